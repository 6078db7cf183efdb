"""Files named by the sha256 of what is in them. Part of the store's tree, see ``store``.

A blob appears under its name only when it is whole, verified and on the disk: it is written to ``tmp/`` or
``downloads/``, fsynced, renamed, and the directory is fsynced.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sealane.errors import Internal
from sealane.values import Digest

_CHUNK: Final = 1 << 20


def digest_of(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def sync_directory(path: Path) -> None:
    """Bring the names in *path* to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Blobs:
    """``blobs/sha256/HEX``, and how they come there. Used from any thread."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "blobs" / "sha256"
        self.scratch = root / "tmp"
        self.downloads = root / "downloads"
        for folder in (self.folder, self.scratch, self.downloads):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("sha256:")

    def partial(self, digest: str) -> Path:
        """Where the beginning of a blob waits for the rest."""
        return self.downloads / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        return self.path(digest).exists()

    def size(self, digest: str) -> int:
        return self.path(digest).stat().st_size

    def read(self, digest: str) -> bytes:
        """The content, verified again. Raises Internal when the disk gives something else than was written."""
        data = self.path(digest).read_bytes()
        if digest_of(data) != digest:
            raise Internal(f"{self.path(digest)} is damaged: its content is not {digest}")
        return data

    def put(self, data: bytes) -> Digest:
        """Store a small blob."""
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def writer(self, path: Path | None = None) -> BlobWriter:
        """*path* is where the blob grows, on the same filesystem; None for a temporary name."""
        return BlobWriter(self, path)

    def adopt(self, file: Path, digest: Digest) -> None:
        """Move *file*, whose content the caller has hashed and brought to the disk, to its place."""
        os.rename(file, self.path(digest))
        sync_directory(self.folder)

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def all(self) -> Iterator[str]:
        """The digests of all blobs."""
        return (f"sha256:{name}" for name in os.listdir(self.folder))


class BlobWriter:
    """Writes one blob of unknown digest; what was not committed is removed at the end of the ``with``."""

    def __init__(self, blobs: Blobs, path: Path | None = None) -> None:
        self._blobs = blobs
        if path is None:
            descriptor, name = tempfile.mkstemp(dir=blobs.scratch, prefix="blob-")
            path = Path(name)
        else:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file: int | None = descriptor
        self._path: Path | None = path
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        if self._file is None:
            raise ValueError("the blob is closed")
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> Digest:
        return Digest("sha256:" + self._hash.hexdigest())

    def commit(self) -> Digest:
        """Put the blob in its place, durably."""
        if self._file is not None:
            os.fsync(self._file)
        path = self.detach()
        self._blobs.adopt(path, self.digest)
        return self.digest

    def detach(self) -> Path:
        """Leave the file to the caller; its content may not have reached the disk yet."""
        if self._file is None or self._path is None:
            raise ValueError("the blob is closed")
        self._close()
        path, self._path = self._path, None
        return path

    def _close(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
