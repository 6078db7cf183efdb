"""Pulling an image: the manifest first, then all layers at once, unpacked while others still come.

What is already there is not fetched again. Layers are unpacked as they arrive and put into place from the bottom up.
The image and its name are recorded last, so a pull that ends early, for whatever reason, leaves at most verified parts:
the next pull uses them, and the next start of the engine sweeps away what nobody came back for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from sealane.errors import Internal, InvalidArgument, NotFound, SealaneError, Unauthorized, Unavailable
from sealane.image.base import BaseStore
from sealane.image.catalogue import Lease
from sealane.image.config import ImageConfig, parse_config
from sealane.image.here import local_platform
from sealane.image.layers import Layer, Staged, chain_ids
from sealane.image.manifest import (
    CONFIG_MAX,
    Descriptor,
    Index,
    Manifest,
    Platform,
    architecture,
    choose,
    parse_manifest,
    parse_platform,
)
from sealane.image.reference import Reference, parse_reference
from sealane.image.registry.credentials import Credentials
from sealane.image.registry.download import Download, Patience
from sealane.image.registry.endpoints import HUB, Endpoint, Registries
from sealane.image.registry.repository import Document, Repository
from sealane.image.registry.transport import Session
from sealane.image.threads import in_thread
from sealane.values import Digest, ImageId, short

#: Docker's max-concurrent-downloads.
_DOWNLOADS: Final = 3
_UNPACKING: Final = 2
#: A bar that moves in steps of at least this many bytes.
_STEP: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Progress:
    """One step in Docker's words; ``id`` is the tag or the short digest of a layer. ``total`` 0: no bar."""

    id: str
    status: str
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class PullResult:
    """``digest`` is that of the manifest or index; ``status`` is Docker's closing line, without "Status: "."""

    digest: Digest
    status: str
    image: ImageId
    newer: bool


Report = Callable[[Progress], None]


class Puller:
    """Pulls into *store*. *mirrors* and *insecure* are as in the configuration file; *hub* is where Docker Hub is."""

    def __init__(
        self,
        store: BaseStore,
        mirrors: Sequence[str] = (),
        insecure: Sequence[str] = (),
        *,
        hub: str = HUB,
        patience: Patience = Patience(),  # noqa: B008 (immutable)
    ) -> None:
        self._store = store
        self._registries = Registries(tuple(mirrors), tuple(insecure), hub)
        self._patience = patience
        self._busy: dict[str, tuple[asyncio.Lock, int]] = {}  # with the number of those who want it
        self._here = local_platform()

    async def pull(
        self,
        ref: str,
        *,
        platform: str = "",
        credentials: Credentials | None = None,
        progress: Report = lambda _: None,
    ) -> PullResult:
        """Pull *ref* and name the image so.

        Raises NotFound (no such image or platform, or access denied), Unauthorized, Unavailable (the registry cannot be
        reached, or breaks off again and again), InvalidArgument (bad name, damaged or hostile image), Internal (wrong
        digest, full disk). Two pulls of the same layer at once fetch it once.
        """
        name = parse_reference(ref)
        wanted = parse_platform(platform, self._here) if platform else None
        with self._store.lease() as lease:
            try:
                async with self._open(name, credentials) as (document, sources):
                    work = _Pull(self._store, self._patience, self._alone, sources, lease, progress)
                    progress(Progress(name.tag if name.digest is None and name.tag else str(name), _pulling(name)))
                    image = await self._image(work, name, document, wanted)
            except Unavailable:
                raise  # what came so far is worth keeping for the next attempt
            except SealaneError:
                lease.end()
                await self._store.sweep()
                raise
            return self._record(name, image, document.digest)

    async def tags(self, ref: str, *, credentials: Credentials | None = None) -> tuple[str, ...]:
        """Every tag of a repository (``pull --all-tags``). Raises as `pull` does."""
        name = parse_reference(ref)
        async with AsyncExitStack() as stack:
            failures: list[SealaneError] = []
            for source in [await self._source(name, at, credentials, stack) for at in self._registries.endpoints(name)]:
                try:
                    return await source.tags()
                except SealaneError as error:
                    failures.append(error)
            raise _worst(failures)

    async def login(self, server: str, credentials: Credentials) -> None:
        """Show *credentials* to a registry ("" for Docker Hub; a host, or the address that clients keep it under).

        Raises Unauthorized, Unavailable, InvalidArgument.
        """
        failures: list[SealaneError] = []
        for endpoint in self._registries.of_server(server):
            async with Session(endpoint, self._registries, "", credentials, self._patience.stall_s) as session:
                try:
                    return await session.check()
                except SealaneError as error:
                    failures.append(error)
        raise next((error for error in failures if isinstance(error, Unauthorized)), failures[-1])

    # where from

    @asynccontextmanager
    async def _open(
        self, name: Reference, credentials: Credentials | None
    ) -> AsyncIterator[tuple[Document, list[Repository]]]:
        """The manifest or index behind *name*, and where its blobs can be had, best first."""
        async with AsyncExitStack() as stack:
            failures: list[SealaneError] = []
            endpoints = self._registries.endpoints(name)
            for number, endpoint in enumerate(endpoints):
                if any(_same_host(endpoint, other) and isinstance(failure, NotFound)
                       for other, failure in zip(endpoints, failures, strict=False)):  # fmt: skip
                    continue  # it has answered already, with TLS
                source = await self._source(name, endpoint, credentials, stack)
                try:
                    document = await source.manifest(name.digest or name.tag or "latest")
                except SealaneError as error:
                    failures.append(error)
                    continue
                others = [item for item in endpoints[number + 1 :] if not _same_host(item, endpoint)]
                sources = [source, *[await self._source(name, item, credentials, stack) for item in others]]
                yield document, sources
                return
            raise _worst(failures)

    async def _source(
        self, name: Reference, endpoint: Endpoint, credentials: Credentials | None, stack: AsyncExitStack
    ) -> Repository:
        scope = f"repository:{name.path}:pull"
        session = Session(endpoint, self._registries, scope, credentials, self._patience.stall_s)
        return Repository(name, endpoint, await stack.enter_async_context(session))

    @asynccontextmanager
    async def _alone(self, digest: str) -> AsyncIterator[None]:
        """One at a time for each *digest*. A layer that came plain may have its blob's: the key says which is meant."""
        lock, users = self._busy.get(digest) or (asyncio.Lock(), 0)
        self._busy[digest] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            users = self._busy[digest][1] - 1
            if users:
                self._busy[digest] = (lock, users)
            else:
                del self._busy[digest]

    # what

    async def _image(self, work: _Pull, name: Reference, document: Document, wanted: Platform | None) -> ImageId:
        known = self._store.find(name.by_digest(document.digest))
        if known is not None and (wanted is None or _runs_on(self._store.config(known), wanted)):
            return known
        found = parse_manifest(document.raw, document.media_type)
        if isinstance(found, Index):
            target = choose(found.entries, wanted or self._here)
            document = await work.sources[0].manifest(target.digest)
            found = parse_manifest(document.raw, document.media_type)
            if isinstance(found, Index):
                raise InvalidArgument(f"invalid image index {document.digest}: it leads to another index")
        config = await work.config(found)
        if wanted is not None and not _runs_on(config, wanted):
            raise NotFound(
                f"image with reference {name.familiar()} was found but does not match the specified platform: "
                f"wanted {wanted}, actual: {Platform(config.os, config.architecture, config.variant)}"
            )
        return self._store.add(config, await work.layers(found, config))

    def _record(self, name: Reference, image: ImageId, digest: Digest) -> PullResult:
        by_digest = name.by_digest(digest)
        own = by_digest if name.digest is not None else name
        newer = self._store.find(own) != image
        if newer or self._store.find(by_digest) != image or self._store.repo_digest(own) != digest:
            self._store.name(image, sorted({own, by_digest}, key=str), digest)
        what = "Downloaded newer image for" if newer else "Image is up to date for"
        return PullResult(digest, f"{what} {name.familiar()}", image, newer)


class _Pull:
    """One pull whose manifest is known."""

    def __init__(
        self,
        store: BaseStore,
        patience: Patience,
        alone: Callable[[str], contextlib.AbstractAsyncContextManager[None]],
        sources: Sequence[Repository],
        lease: Lease,
        report: Report,
    ) -> None:
        self._store, self._patience, self._alone, self.sources = store, patience, alone, sources
        self._lease, self._report = lease, report
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        self._unpacking = asyncio.Semaphore(_UNPACKING)

    async def config(self, manifest: Manifest) -> ImageConfig:
        if manifest.config.size > CONFIG_MAX:
            raise InvalidArgument(f"invalid image manifest: a configuration of {manifest.config.size} bytes")
        await self._blob(manifest.config)
        config = parse_config(self._store.blobs.read(manifest.config.digest))
        if config.os not in ("", "linux"):
            raise InvalidArgument(f"image operating system {config.os!r} cannot be used on this platform")
        if len(config.diff_ids) != len(manifest.layers):
            raise InvalidArgument(
                f"invalid image: its manifest has {len(manifest.layers)} layers, its configuration "
                f"{len(config.diff_ids)}"
            )
        return config

    async def layers(self, manifest: Manifest, config: ImageConfig) -> list[Layer]:
        chain = chain_ids(config.diff_ids)
        self._lease.add(*chain)
        missing = [not self._store.layers.has(chain_id) for chain_id in chain]
        for target, absent in zip(manifest.layers, missing, strict=True):
            self._tell(target, "Pulling fs layer" if absent else "Already exists")
        for target in [item for item, absent in zip(manifest.layers, missing, strict=True) if absent][_DOWNLOADS:]:
            self._tell(target, "Waiting")
        below: asyncio.Future[Layer] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                tasks: list[asyncio.Task[Layer]] = []
                for number, target in enumerate(manifest.layers):
                    below = tasks[-1] if tasks else None
                    tasks.append(
                        group.create_task(self._layer(target, config.diff_ids[number], chain[: number + 1], below))
                    )
        except ExceptionGroup as failed:
            raise _first(failed) from failed
        return [task.result() for task in tasks]

    async def _layer(
        self, target: Descriptor, diff_id: str, chain: Sequence[Digest], below: asyncio.Future[Layer] | None
    ) -> Layer:
        """Have one layer in place; *chain* ends with its own chain id."""
        async with self._alone(f"layer {chain[-1]}"):
            if self._store.layers.has(chain[-1]):
                return self._store.layers.get(chain[-1])
            async with self._downloads:
                await self._blob(target, shown=True)
            try:
                async with self._unpacking:
                    loop = asyncio.get_running_loop()
                    staged = await in_thread(
                        lambda stopped: self._stage(target, diff_id, loop, stopped),
                        "unpack",
                        unwanted=self._store.layers.discard,
                    )
                try:
                    if below is not None:
                        await asyncio.wait([below])
                        below.result()
                    layer = await self._store.add_layer(staged, chain[:-1], self._lease)
                finally:
                    await self._store.discard(staged)
            except InvalidArgument as error:
                raise InvalidArgument(f"failed to register layer {short(target.digest)}: {error}") from error
            except OSError as error:
                why = error.strerror or str(error)
                raise Internal(f"failed to register layer {short(target.digest)}: {why}") from error
        self._tell(target, "Pull complete")
        return layer

    def _stage(
        self, target: Descriptor, diff_id: str, loop: asyncio.AbstractEventLoop, stopped: Callable[[], bool]
    ) -> Staged:
        """Unpack a layer's blob; in a thread."""

        def tell(count: int) -> None:
            loop.call_soon_threadsafe(self._tell, target, "Extracting", count)

        with self._store.blobs.path(target.digest).open("rb", buffering=0) as file:
            read = _counted(file, tell)
            return self._store.layers.stage(read, archive=target.digest, expected=diff_id, stopped=stopped)

    async def _blob(self, target: Descriptor, *, shown: bool = False) -> None:
        self._lease.add(target.digest)
        async with self._alone(f"blob {target.digest}"):
            if not self._store.blobs.has(target.digest):
                download = Download(
                    target,
                    self._store.blobs,
                    self.sources,
                    self._patience,
                    (lambda count: self._tell(target, "Downloading", count)) if shown else lambda _: None,
                    (lambda: self._tell(target, "Verifying Checksum")) if shown else lambda: None,
                )
                await download.run()
        if shown:
            self._tell(target, "Download complete")

    def _tell(self, target: Descriptor, status: str, current: int = 0) -> None:
        self._report(Progress(short(target.digest), status, current, target.size if current else 0))


def _counted(file: BinaryIO, tell: Callable[[int], None]) -> Callable[[int], bytes]:
    count = told = 0

    def read(size: int) -> bytes:
        nonlocal count, told
        piece = file.read(size)
        count += len(piece)
        if count - told >= _STEP or (not piece and count != told):
            told = count
            tell(count)
        return piece

    return read


def _pulling(name: Reference) -> str:
    return f"Pulling from {name.path}"


def _runs_on(config: ImageConfig, wanted: Platform) -> bool:
    same = (config.os or "linux", architecture(config.architecture)) == (wanted.os, wanted.architecture)
    return same and (not wanted.variant or not config.variant or wanted.variant == config.variant)


def _same_host(one: Endpoint, other: Endpoint) -> bool:
    return urlsplit(one.base).netloc == urlsplit(other.base).netloc


def _leaves(failed: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in failed.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure to tell of: one of ours if there is one."""
    leaves = list(_leaves(failed))
    return next((error for error in leaves if isinstance(error, SealaneError)), leaves[0])


def _worst(failures: Sequence[SealaneError]) -> SealaneError:
    """The failure to tell of when no endpoint had the image: the last one, as Docker does, except that "not found"
    says more than "could not be reached"."""
    last = failures[-1]
    missing = next((error for error in failures if isinstance(error, NotFound)), None)
    if isinstance(last, Unavailable) and missing is not None:
        return NotFound(f"{missing.message} ({last.message})")
    return last
