"""The fake engine's images, volumes, events and system (see ``fake_engine``)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sealane.api.backend import Credentials
from sealane.engine.model import Event, Pruned, RemovedImage, SystemInfo, VolumeView
from sealane.errors import Conflict, InvalidArgument, NotFound, Unauthorized
from sealane.values import ImageId

if TYPE_CHECKING:
    from unit.api.fake_engine import FakeEngine

NOW = 1_795_509_431_659_802_480


@dataclass(frozen=True)
class FakeConfig:
    raw: bytes
    labels: Mapping[str, str]


@dataclass(frozen=True)
class FakeImage:
    id: ImageId
    tags: tuple[str, ...]
    config: FakeConfig
    repo_digests: tuple[str, ...] = ()
    size: int = 1000
    parent: str | None = None
    tagged_ns: int = 0


@dataclass(frozen=True)
class Step:
    id: str
    status: str
    current: int = 0
    total: int = 0


@dataclass(frozen=True)
class HistoryEntry:
    id: str
    created_ns: int
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...]


class Images:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.items: dict[str, FakeImage] = {}
        self.add("centos:7.6.1810")
        self.add("registry.local:5000/team/app:1")

    def add(self, tag: str) -> FakeImage:
        blob = {
            "created": "2026-11-24T08:37:11.630283641Z",
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"a": "b"}},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
            "history": [{"created": "2026-11-24T08:37:11Z"}],
        }
        image = FakeImage(
            ImageId(f"sha256:{next(self.engine.numbers):064x}"),
            (tag,),
            FakeConfig(json.dumps(blob).encode(), {"a": "b"}),
        )
        self.items[image.id] = image
        return image

    def get(self, ref: str, /) -> FakeImage:
        if ref != ref.lower():
            raise InvalidArgument(f"invalid reference format: repository name ({ref}) must be lowercase")
        for image in self.items.values():
            if ref and (ref in image.tags or f"{ref}:latest" in image.tags or ref == image.id):
                return image
        raise NotFound(f"No such image: {ref if ':' in ref else ref + ':latest'}")

    def all(self) -> Sequence[FakeImage]:
        return list(self.items.values())

    async def pull(self, ref: str, tag: str, platform: str, credentials: object, /) -> AsyncIterator[Step]:
        if ref == "nowhere":
            raise NotFound("pull access denied for nowhere, repository does not exist or may require 'docker login'")
        yield Step(tag or "latest", f"Pulling from {ref}")
        yield Step("aaaaaaaaaaaa", "Downloading", 10, 100)
        if ref == "broken":
            raise Conflict("filesystem layer verification failed")
        yield Step("aaaaaaaaaaaa", "Pull complete")
        yield Step("", "Status: Downloaded newer image")
        self.add(f"{ref}:{tag or 'latest'}")

    async def login(self, server: str, credentials: Credentials, /) -> None:
        if credentials.password == "wrong":
            raise Unauthorized(f"login attempt to {server} failed with status: 401 Unauthorized")

    async def load(self, body: AsyncIterator[bytes], /) -> AsyncIterator[str]:
        size = 0
        async for chunk in body:
            size += len(chunk)
        if size < 3:
            raise InvalidArgument("unexpected EOF")
        yield f"Loaded image of {size} bytes\n"

    def layers(self, image: ImageId, /) -> tuple[Path, ...]:
        return (Path("/image/layers/2/diff"), Path("/image/layers/1/diff"))

    def save(self, refs: Sequence[str], /) -> AsyncIterator[bytes]:
        for ref in refs:
            self.get(ref)
        return self._archive(refs)

    async def _archive(self, refs: Sequence[str]) -> AsyncIterator[bytes]:
        for ref in refs:
            yield ref.encode()

    async def import_(
        self, body: AsyncIterator[bytes], ref: str, changes: Sequence[str], message: str, platform: str, /
    ) -> ImageId:
        async for _ in body:
            pass
        return self.add(ref or "imported:latest").id

    async def tag(self, source: str, target: str, /) -> None:
        image = self.get(source)
        self.items[image.id] = replace(image, tags=(*image.tags, target))

    async def remove(self, ref: str, force: bool, prune: bool, /) -> list[RemovedImage]:
        image = self.get(ref)
        del self.items[image.id]
        return [RemovedImage(untagged=image.tags[0]), RemovedImage(deleted=image.id)]

    def history(self, ref: str, /) -> Sequence[HistoryEntry]:
        return [HistoryEntry(self.get(ref).id, NOW, "/bin/sh", "", 10, ())]

    async def prune(self, dangling: bool, keep: Callable[[FakeImage], bool], /) -> tuple[list[RemovedImage], int]:
        return [], 0


class Volumes:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.items: dict[str, VolumeView] = {}

    async def create(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str], /
    ) -> VolumeView:
        if driver != "local":
            raise NotFound(f'error looking up volume plugin {driver}: plugin "{driver}" not found')
        name = name or f"{next(self.engine.numbers):064x}"
        view = VolumeView(
            name=name,
            driver=driver,
            mountpoint=Path("/var/lib/sealane/volumes") / name,
            created_ns=NOW,
            labels=labels,
            options=options,
        )
        return self.items.setdefault(name, view)

    def view(self, name: str, /) -> VolumeView:
        if name not in self.items:
            raise NotFound(f"get {name}: no such volume")
        return self.items[name]

    def views(self) -> list[VolumeView]:
        return list(self.items.values())

    async def remove(self, name: str, force: bool, /) -> None:
        if name not in self.items and force:
            return
        self.view(name)
        del self.items[name]

    async def prune(self, keep: Callable[[VolumeView], bool], /) -> Pruned:
        gone = [view.name for view in self.views() if not keep(view)]
        for name in gone:
            del self.items[name]
        return Pruned(tuple(gone))


class Events:
    def __init__(self) -> None:
        self.past: list[Event] = []
        self.listeners: list[asyncio.Queue[Event]] = []

    def emit(self, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
        event = Event(NOW + len(self.past), kind, action, actor, attributes)
        self.past.append(event)
        for listener in self.listeners:
            listener.put_nowait(event)

    def history(self, since_ns: int, until_ns: int, /) -> list[Event]:
        return [event for event in self.past if since_ns <= event.time_ns <= until_ns]

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Event]]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self.listeners.append(queue)
        try:
            yield self._drain(queue)
        finally:
            self.listeners.remove(queue)

    @staticmethod
    async def _drain(queue: asyncio.Queue[Event]) -> AsyncIterator[Event]:
        while True:
            yield await queue.get()


class System:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine

    def info(self) -> SystemInfo:
        return SystemInfo(
            id="fake",
            version="0.1.0",
            root=Path("/var/lib/sealane"),
            run_dir=Path("/run/sealane"),
            host_name="host",
            kernel="6.1",
            os_name="Debian GNU/Linux 12",
            os_version="12",
            architecture="x86_64",
            cpus=2,
            memory=1 << 34,
            cgroup_version="1",
            cgroup_driver="cgroupfs",
            runtime="runc",
            runtime_version="1.1",
            runtime_reason="crun refuses hybrid cgroups",
            conmon_version="2.1",
            default_pools=(("172.17.0.0/12", 16),),
            containers=len(self.engine.containers.boxes),
            running=0,
            paused=0,
            stopped=0,
            images=len(self.engine.images.items),
            mirrors=("http://127.0.0.1:5000",),
            insecure_registries=("reg:1",),
            warnings=(),
            time_ns=NOW,
        )
