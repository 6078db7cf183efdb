"""Images, as the API and the other managers see them: the store and the puller, with events and who uses what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from sealane.engine.container import Container
from sealane.engine.events import Events
from sealane.engine.model import RemovedImage
from sealane.errors import NotFound
from sealane.image.image import HistoryLine, Image, ImageUse, Removed
from sealane.image.reference import parse_reference
from sealane.image.registry.pull import Progress, Puller, PullResult
from sealane.image.store import ImageStore
from sealane.values import ImageId


class Credentials(Protocol):
    """What a registry is shown; see ``image.registry.credentials``."""

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def identity_token(self) -> str: ...
    @property
    def registry_token(self) -> str: ...


class Images:
    """Every verb on images. *containers* gives all containers, for images in use are kept."""

    def __init__(
        self, store: ImageStore, puller: Puller, events: Events, containers: Callable[[], Iterable[Container]]
    ) -> None:
        self._store = store
        self._puller = puller
        self._events = events
        self._containers = containers

    # looking

    def get(self, reference: str) -> Image:
        """By name, id or beginning of an id. Raises NotFound with Docker's "No such image: X"."""
        return self._store.get(reference)

    def all(self) -> Sequence[Image]:
        """Newest first."""
        return self._store.all()

    def layers(self, image: ImageId) -> tuple[Path, ...]:
        """Unpacked layers, topmost first; also of an image that was removed under a stopped container."""
        return self._store.layer_paths(image)

    def history(self, reference: str) -> Sequence[HistoryLine]:
        return self._store.history(reference)

    def _uses(self, image: ImageId) -> list[ImageUse]:
        return [ImageUse(item.id, item.running) for item in self._containers() if item.record.image_id == image]

    # coming

    async def pull(
        self, reference: str, tag: str, platform: str, credentials: Credentials | None
    ) -> AsyncIterator[Progress]:
        """Pull *reference*; with neither tag nor digest, every tag of the repository. Yields each step, as it happens.

        Raises NotFound, Unauthorized, Unavailable, InvalidArgument, Internal; see ``Puller.pull``.
        """
        name = _joined(reference, tag)
        queue: asyncio.Queue[Progress | None] = asyncio.Queue()

        async def work() -> None:
            try:
                await self._pull(name, tag, platform, credentials, queue.put_nowait)
            finally:
                queue.put_nowait(None)

        task = asyncio.ensure_future(work())
        try:
            while (step := await queue.get()) is not None:
                yield step
            await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _pull(
        self, name: str, tag: str, platform: str, credentials: Credentials | None, report: Callable[[Progress], None]
    ) -> None:
        parsed = parse_reference(name, default_tag=False)
        if tag or parsed.digest is not None or parsed.tag is not None:
            result = await self._pull_one(name, platform, credentials, report)
            report(Progress("", f"Status: {result.status}"))
            return
        tags = await self._puller.tags(name, credentials=credentials)
        if not tags:
            raise NotFound(f"No tags available in remote repository {parsed.familiar_repository}")
        results = [await self._pull_one(f"{name}:{found}", platform, credentials, report) for found in tags]
        what = "Downloaded newer image for" if any(result.newer for result in results) else "Image is up to date for"
        report(Progress("", f"Status: {what} {parsed.familiar_repository}"))

    async def _pull_one(
        self, ref: str, platform: str, credentials: Credentials | None, report: Callable[[Progress], None]
    ) -> PullResult:
        result = await self._puller.pull(ref, platform=platform, credentials=credentials, progress=report)
        report(Progress("", f"Digest: {result.digest}"))
        name = parse_reference(ref)
        self._events.emit("image", "pull", name.familiar(), {"name": name.familiar_repository})
        return result

    async def login(self, server: str, credentials: Credentials) -> None:
        """Show credentials to a registry. Raises Unauthorized, Unavailable, InvalidArgument."""
        await self._puller.login(server, credentials)

    async def load(self, body: AsyncIterator[bytes]) -> AsyncIterator[str]:
        """Load every image of an archive; yields Docker's lines."""
        before = {image.id for image in self._store.all()}
        async for line in self._store.load(body):
            yield line
        for image in self._store.all():
            if image.id not in before:
                self._events.emit("image", "load", image.id, {"name": image.id})

    def save(self, references: Sequence[str]) -> AsyncIterator[bytes]:
        """One archive of several images; a repository without a tag is all its tags. Raises NotFound at once."""
        wanted = self._store.wanted(references)
        for item in wanted:
            self._events.emit("image", "save", item.image.id, {"name": item.image.id})
        return self._store.save(wanted)

    async def import_(
        self, body: AsyncIterator[bytes], reference: str, changes: Sequence[str], message: str, platform: str
    ) -> ImageId:
        """An image of one layer from a root filesystem's archive."""
        image = await self._store.import_(body, reference, changes, message, platform)
        if reference:
            self._events.emit("image", "tag", image, {"name": parse_reference(reference).familiar()})
        self._events.emit("image", "import", image, {"name": image})
        return image

    # names, and going

    async def tag(self, source: str, target: str) -> None:
        """Give an image another name."""
        image = self._store.tag(source, target)
        self._events.emit("image", "tag", image, {"name": parse_reference(target).familiar()})

    async def remove(self, reference: str, force: bool, prune: bool) -> list[RemovedImage]:
        """Docker's rmi. Raises NotFound, Conflict."""
        image = self._store.get(reference).id
        return self._tell(await self._store.remove(reference, force, self._uses, prune=prune), image)

    async def prune(self, dangling: bool, keep: Callable[[Image], bool]) -> tuple[list[RemovedImage], int]:
        """Remove unused images, only nameless ones if *dangling*; also the bytes that came free."""
        lines, reclaimed = await self._store.prune(dangling, self._uses, keep)
        removed = self._tell(lines, "")
        self._events.emit("image", "prune", "", {"reclaimed": str(reclaimed)})
        return removed, reclaimed

    def _tell(self, lines: Sequence[Removed], image: str) -> list[RemovedImage]:
        for line in lines:
            if line.untagged and image:
                self._events.emit("image", "untag", image, {"name": image})
            if line.deleted:
                self._events.emit("image", "delete", line.deleted, {"name": line.deleted})
        return [RemovedImage(line.untagged, line.deleted) for line in lines]

    async def container_gone(self) -> None:
        """Let go of images that were removed while a container still needed their layers."""
        await self._store.collect(self._uses)


def _joined(reference: str, tag: str) -> str:
    """``fromImage`` and ``tag`` of the API as one name; the tag may be a digest."""
    if not tag:
        return reference
    return f"{reference}@{tag}" if ":" in tag else f"{reference}:{tag}"
