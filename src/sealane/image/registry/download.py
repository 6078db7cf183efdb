"""Fetching one blob: resumed where it was interrupted, verified while it streams, put into place when it is whole."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sealane.errors import Internal, SealaneError, Unavailable
from sealane.image.blobs import Blobs
from sealane.image.manifest import Descriptor
from sealane.image.registry.repository import Repository
from sealane.image.registry.transport import reason
from sealane.image.threads import in_thread
from sealane.values import short

if TYPE_CHECKING:
    import aiohttp

_BATCH: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """*tries* without a byte of progress before a source is given up; *pause_s* before the second, doubled each time;
    *stall_s* without a byte ends a connection."""

    tries: int = 5
    pause_s: float = 0.5
    stall_s: float = 60.0


class _Interrupted(Exception):
    """The transfer broke off; what came is kept."""


class _Restart(Exception):
    """What lies on the disk is of no use to this source."""


class Partial:
    """The beginning of a blob on the disk, and its running digest. Blocking; the owner closes it."""

    def __init__(self, path: Path, wanted: Descriptor) -> None:
        self._path, self._wanted = path, wanted
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._hash = hashlib.sha256()
        self.size = 0

    def load(self) -> None:
        """Take in what an earlier attempt left."""
        if os.fstat(self._file).st_size > self._wanted.size:
            os.ftruncate(self._file, 0)
        while piece := os.read(self._file, _BATCH):
            self._hash.update(piece)
            self.size += len(piece)

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self._hash.update(data)
        self.size += len(data)

    def restart(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._hash, self.size = hashlib.sha256(), 0

    @property
    def whole(self) -> bool:
        return self.size == self._wanted.size

    def verified(self) -> bool:
        return self._wanted.digest == "sha256:" + self._hash.hexdigest()

    def finish(self, blobs: Blobs) -> None:
        os.fsync(self._file)
        blobs.adopt(self._path, self._wanted.digest)

    def close(self) -> None:
        """Idempotent. Keeps what came, if anything did."""
        if self._file >= 0:
            descriptor, self._file = self._file, -1
            os.close(descriptor)
            if not self.size:
                self._path.unlink(missing_ok=True)


class Download:
    """One blob wanted from *sources*, tried in order. ``progress`` gets the bytes that are there."""

    def __init__(
        self,
        wanted: Descriptor,
        blobs: Blobs,
        sources: Sequence[Repository],
        patience: Patience,
        progress: Callable[[int], None] = lambda _: None,
        verifying: Callable[[], None] = lambda: None,
    ) -> None:
        self._wanted, self._blobs, self._sources, self._patience = wanted, blobs, sources, patience
        self._progress, self._verifying = progress, verifying

    async def run(self) -> None:
        """Return when the blob is in its place. Raises what the last source failed with.

        What came of an interrupted transfer stays in ``downloads/`` for the next attempt; wrong content does not, and a
        full disk gives back what was taken.
        """
        partial = Partial(self._blobs.partial(self._wanted.digest), self._wanted)
        try:
            await in_thread(lambda _: partial.load(), "blob")
            failures: list[SealaneError] = []
            for source in self._sources:
                try:
                    await self._from(source, partial)
                    return
                except SealaneError as error:
                    failures.append(error)
            raise failures[-1]
        except OSError as error:
            partial.restart()
            what = "no space left on device" if error.errno == errno.ENOSPC else str(error)
            raise Internal(f"cannot store blob {self._wanted.digest}: {what}") from error
        finally:
            partial.close()

    async def _from(self, source: Repository, partial: Partial) -> None:
        pause, left = self._patience.pause_s, self._patience.tries
        while True:
            before = partial.size
            try:
                if not partial.whole:
                    await self._transfer(source, partial)
                await self._complete(partial)
                return
            except _Restart:
                partial.restart()
                left -= 1
                why = "the registry sent another part than it was asked for"
            except _Interrupted as error:
                if partial.size > before:
                    pause, left = self._patience.pause_s, self._patience.tries
                left -= 1
                why = str(error)
            if left <= 0:
                raise Unavailable(f"error pulling blob {short(self._wanted.digest)}: {why}")
            await asyncio.sleep(pause)
            pause *= 2

    async def _transfer(self, source: Repository, partial: Partial) -> None:
        """One answer of *source*, appended. Raises _Interrupted when it ends too early, _Restart."""
        import aiohttp

        offset = partial.size
        try:
            async with source.blob(self._wanted.digest, offset) as response:
                if offset and not _continues(response, offset):
                    if response.status != 200:
                        raise _Restart
                    partial.restart()  # the whole blob comes once more
                await self._append(response, partial)
        except Unavailable as error:
            raise _Interrupted(error.message) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise _Interrupted(reason(error)) from error
        if not partial.whole:
            raise _Interrupted(f"unexpected EOF: {partial.size} of {self._wanted.size} bytes came")

    async def _append(self, response: aiohttp.ClientResponse, partial: Partial) -> None:
        batch = bytearray()
        try:
            async for piece in response.content.iter_any():
                batch += piece
                if partial.size + len(batch) > self._wanted.size:
                    batch.clear()
                    partial.restart()
                    raise Internal(
                        f"blob {self._wanted.digest} is longer than the {self._wanted.size} bytes of its manifest"
                    )
                if len(batch) >= _BATCH:
                    await self._flush(batch, partial)
        finally:
            if batch:
                await self._flush(batch, partial)

    async def _flush(self, batch: bytearray, partial: Partial) -> None:
        data = bytes(batch)
        batch.clear()
        await in_thread(lambda _: partial.append(data), "blob")
        self._progress(partial.size)

    async def _complete(self, partial: Partial) -> None:
        self._verifying()
        if not partial.verified():
            partial.restart()
            raise Internal(f"filesystem layer verification failed for digest {self._wanted.digest}")
        await in_thread(lambda _: partial.finish(self._blobs), "blob")


def _continues(response: aiohttp.ClientResponse, offset: int) -> bool:
    """Does the answer start at *offset* (RFC 9110 §14.4)?"""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
