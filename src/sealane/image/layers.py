"""Unpacked layers, each named by its chain id. Part of the store's tree, see ``store``.

The chain id (OCI image-spec config.md) stands for a layer together with everything below it. It, not the layer alone,
is the name because directories that a layer uses without naming them take their attributes from below (``inherit``).

A layer is unpacked under ``tmp/``, checked against its diff id, brought to the disk, and renamed into place as a whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sealane.errors import Internal, InvalidArgument
from sealane.image.blobs import Blobs, sync_directory
from sealane.image.compression import CHUNK, Compressor, DamagedStream, Peeked, Read, decoder
from sealane.image.inherit import inherit
from sealane.image.kernel import syncfs
from sealane.image.readahead import ReadAhead
from sealane.image.tar import TarError, TarReader
from sealane.image.unpack import unpack
from sealane.values import Digest, short

_FACTS: Final = "layer.json"


@dataclass(frozen=True, slots=True)
class Layer:
    """One unpacked layer.

    ``archive`` is the blob that it came in, ``plain_size`` the bytes of that when it is unpacked, ``size`` those of the
    files in it.
    """

    chain_id: Digest
    diff_id: Digest
    parent: Digest | None
    archive: Digest
    size: int
    plain_size: int


class _Facts(msgspec.Struct):
    diff_id: str
    parent: str | None
    archive: str
    size: int
    plain_size: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A layer that is unpacked in *folder* and waits for those below it. ``loose`` is its archive, when it is not yet a
    blob."""

    folder: Path
    diff_id: Digest
    archive: Digest
    size: int
    plain_size: int
    implicit: tuple[bytes, ...]
    loose: Path | None


def chain_ids(diff_ids: Sequence[str]) -> tuple[Digest, ...]:
    """The chain id of each layer, lowest first."""
    found: list[Digest] = []
    for diff_id in diff_ids:
        above = hashlib.sha256(f"{found[-1]} {diff_id}".encode()).hexdigest() if found else ""
        found.append(Digest(f"sha256:{above}") if found else Digest(diff_id))
    return tuple(found)


class Layers:
    """``layers/HEX/``. Used from any thread; the caller sees to it that nobody removes what another one needs."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        self.folder = root / "layers"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._blobs = blobs

    def path(self, chain_id: str) -> Path:
        """The directory for overlayfs."""
        return self._home(chain_id) / "diff"

    def has(self, chain_id: str) -> bool:
        return self._home(chain_id).exists()

    def get(self, chain_id: Digest) -> Layer:
        """Raises Internal when it is not there or cannot be read."""
        try:
            facts = msgspec.json.decode((self._home(chain_id) / _FACTS).read_bytes(), type=_Facts)
        except (OSError, msgspec.DecodeError) as error:
            raise Internal(f"cannot read layer {short(chain_id)}: {error}") from error
        parent = Digest(facts.parent) if facts.parent is not None else None
        return Layer(chain_id, Digest(facts.diff_id), parent, Digest(facts.archive), facts.size, facts.plain_size)

    def all(self) -> Iterator[Digest]:
        return (Digest(f"sha256:{name}") for name in os.listdir(self.folder))

    def bury(self, chain_id: str, grave: Path) -> None:
        """Take the layer out of sight: what is left of it lies in *grave*, for the caller to remove."""
        os.rename(self._home(chain_id), grave)

    def _home(self, chain_id: str) -> Path:
        return self.folder / chain_id.removeprefix("sha256:")

    # making layers

    def stage(
        self,
        read: Read,
        *,
        archive: Digest | None,
        expected: str | None = None,
        stopped: Callable[[], bool] = lambda: False,
        ahead: bool = True,
    ) -> Staged:
        """Unpack what *read* gives. *archive* names the blob that it is read from; None keeps a compressed copy.

        *ahead* calls *read* in a thread of its own; not for sources that wait for somebody.

        Raises InvalidArgument for a damaged or hostile archive or one that is not *expected* (a diff id), OSError when
        the filesystem refuses. Then nothing is left behind.
        """
        folder = Path(tempfile.mkdtemp(dir=self._blobs.scratch, prefix="layer-"))
        try:
            diff = folder / "diff"
            diff.mkdir(mode=0o755)
            diff.chmod(0o755)
            with ExitStack() as stack:
                stream = _Stream(read)
                if archive is None:
                    writer = stack.enter_context(self._blobs.writer(folder / "archive"))
                    stream.copy = Compressor(writer.write)
                if ahead:
                    stream.next = stack.enter_context(ReadAhead(stream.next))
                result = unpack(stream.tar, diff, folder, stopped)
                stream.finish()
                if expected is not None and stream.diff_id != expected:
                    raise InvalidArgument(f"layer has the wrong content: diff id {stream.diff_id}, expected {expected}")
                loose = writer.detach() if archive is None else None
                origin = archive if archive is not None else writer.digest
            return Staged(folder, stream.diff_id, origin, result.size, stream.size, result.implicit, loose)
        except DamagedStream as error:
            shutil.rmtree(folder)
            raise InvalidArgument(str(error)) from error
        except BaseException:
            shutil.rmtree(folder)
            raise

    def discard(self, staged: Staged) -> None:
        """Remove a staged layer; nothing happens when it was committed."""
        shutil.rmtree(staged.folder, ignore_errors=True)

    def commit(self, staged: Staged, lower: Sequence[Digest]) -> Layer:
        """Put a staged layer into its place above *lower* (chain ids, lowest first), durably. Raises OSError."""
        parent = lower[-1] if lower else None
        chain_id = chain_ids([parent, staged.diff_id])[-1] if parent else staged.diff_id
        layer = Layer(chain_id, staged.diff_id, parent, staged.archive, staged.size, staged.plain_size)
        if staged.implicit and lower:
            inherit(staged.folder / "diff", staged.implicit, [self.path(item) for item in reversed(lower)])
        facts = _Facts(layer.diff_id, layer.parent, layer.archive, layer.size, layer.plain_size)
        (staged.folder / _FACTS).write_bytes(msgspec.json.encode(facts))
        descriptor = os.open(staged.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syncfs(descriptor)
        finally:
            os.close(descriptor)
        if staged.loose is not None:
            self._blobs.adopt(staged.loose, staged.archive)
        try:
            os.rename(staged.folder, self._home(chain_id))
        except OSError:
            if not self.has(chain_id):
                raise
            self.discard(staged)  # another image brought the same layer meanwhile
            return self.get(chain_id)
        sync_directory(self.folder)
        return layer


class _Stream:
    """The plain archive: read by the unpacker, hashed, and copied on the way."""

    def __init__(self, read: Read) -> None:
        self._plain = decoder(Peeked(read))
        self._hash = hashlib.sha256()
        self._piece = memoryview(b"")
        self.size = 0
        self.copy: Compressor | None = None
        self.next: Callable[[], bytes] = self._produce
        self.tar = TarReader(self._read)

    def _produce(self) -> bytes:
        plain = self._plain(CHUNK)
        self._hash.update(plain)
        self.size += len(plain)
        if self.copy is not None and plain:
            self.copy.feed(plain)
        return plain

    def _read(self, size: int) -> bytes:
        if not self._piece:  # in large steps, however small the headers are
            self._piece = memoryview(self.next())
        piece, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return piece

    def finish(self) -> None:
        """Take in what follows the last entry."""
        try:
            self.tar.drain()
        except TarError as error:
            raise InvalidArgument(f"invalid tar archive: {error}") from error
        if self.copy is not None:
            self.copy.close()

    @property
    def diff_id(self) -> Digest:
        return Digest("sha256:" + self._hash.hexdigest())
