"""The engine: its managers, as the API sees them.

``ContainerVerbs`` joins what several managers know about containers into one object with the verbs that clients have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from sealane.engine.archive import Archives
from sealane.engine.connections import Connections
from sealane.engine.containers import Containers
from sealane.engine.events import Events
from sealane.engine.execs import Execs
from sealane.engine.images import Images
from sealane.engine.model import (
    AttachRequest,
    ContainerRequest,
    ContainerView,
    Created,
    ExitStatus,
    KernelObject,
    LogLine,
    LogRequest,
    NetworkView,
    PathStat,
    ProcessTable,
    Pruned,
    Resources,
    RestartPolicy,
    StatsSample,
    WaitCondition,
)
from sealane.engine.networks import Networks
from sealane.engine.observe import Observer
from sealane.engine.runner import Runner
from sealane.engine.sessions import AttachSession
from sealane.engine.system import System
from sealane.engine.volumes import Volumes
from sealane.network.spec import EndpointRequest, NetworkRequest, NetworkSpec
from sealane.values import ContainerId, NetworkId


class ContainerVerbs:
    """Every verb on containers."""

    def __init__(
        self,
        containers: Containers,
        runner: Runner,
        connections: Connections,
        observer: Observer,
        archives: Archives,
        execs: Execs,
    ) -> None:
        self._containers = containers
        self._runner = runner
        self._connections = connections
        self._observer = observer
        self._archives = archives
        self._execs = execs

    def resolve(self, reference: str) -> ContainerId:
        return self._containers.get(reference).id

    def view(self, reference: str) -> ContainerView:
        return self._containers.view(reference)

    def views(self) -> list[ContainerView]:
        return self._containers.views()

    async def create(self, request: ContainerRequest) -> Created:
        return await self._containers.create(request)

    async def start(self, reference: str, detach_keys: str | None = None) -> None:
        await self._runner.start(reference, detach_keys)

    async def stop(self, reference: str, timeout_s: int | None = None, signal: str = "") -> None:
        await self._runner.stop(reference, timeout_s, signal)

    async def restart(self, reference: str, timeout_s: int | None = None, signal: str = "") -> None:
        await self._runner.restart(reference, timeout_s, signal)

    async def kill(self, reference: str, signal: str) -> None:
        await self._runner.kill(reference, signal)

    async def pause(self, reference: str) -> None:
        await self._runner.pause(reference)

    async def unpause(self, reference: str) -> None:
        await self._runner.unpause(reference)

    async def rename(self, reference: str, new_name: str) -> None:
        await self._connections.rename(reference, new_name)

    async def update(
        self, reference: str, resources: Resources, restart: RestartPolicy | None, asked: bytes | None
    ) -> tuple[str, ...]:
        await self._runner.update(reference, resources, restart, asked)
        return ()

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        container = self._containers.get(reference)
        await self._runner.remove(container.id, force=force, volumes=volumes, link=link)
        self._execs.forget(container)

    async def wait(self, reference: str, condition: WaitCondition) -> Awaitable[ExitStatus]:
        return await self._containers.wait(reference, condition)

    async def attach(self, reference: str, request: AttachRequest) -> AttachSession:
        return await self._observer.attach(reference, request)

    def logs(self, reference: str, request: LogRequest) -> AsyncIterator[LogLine]:
        return self._observer.logs(reference, request)

    async def resize(self, reference: str, height: int, width: int) -> None:
        await self._observer.resize(reference, height, width)

    async def top(self, reference: str, ps_args: str) -> ProcessTable:
        return await self._observer.top(reference, ps_args)

    async def stats(self, reference: str) -> StatsSample:
        return await self._observer.stats(reference)

    async def prune(self, keep: Callable[[ContainerView], bool]) -> Pruned:
        return await self._containers.prune(keep, self.remove)

    async def changes(self, reference: str) -> list[tuple[int, str]]:
        return await self._archives.changes(reference)

    async def archive_stat(self, reference: str, path: str) -> PathStat:
        return await self._archives.stat(reference, path)

    def archive_get(self, reference: str, path: str) -> AsyncIterator[bytes]:
        return self._archives.get(reference, path)

    async def archive_put(
        self,
        reference: str,
        path: str,
        body: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        await self._archives.put(
            reference, path, body, no_overwrite_dir_non_dir=no_overwrite_dir_non_dir, copy_uid_gid=copy_uid_gid
        )

    def export(self, reference: str) -> AsyncIterator[bytes]:
        return self._archives.export(reference)


class NetworkVerbs:
    """Every verb on networks."""

    def __init__(self, networks: Networks, connections: Connections) -> None:
        self._networks = networks
        self._connections = connections

    async def create(self, request: NetworkRequest) -> tuple[NetworkId, str]:
        return await self._networks.create(request)

    def view(self, reference: str) -> NetworkView:
        return self._networks.view(reference)

    def views(self) -> list[NetworkView]:
        return self._networks.views()

    async def remove(self, reference: str) -> None:
        await self._networks.remove(reference)

    async def connect(self, reference: str, container: str, asked: EndpointRequest) -> None:
        await self._connections.connect(reference, container, asked)

    async def disconnect(self, reference: str, container: str, force: bool = False) -> None:
        await self._connections.disconnect(reference, container, force)

    async def prune(self, keep: Callable[[NetworkSpec], bool]) -> Pruned:
        return await self._networks.prune(keep)

    async def kernel(self, reference: str) -> list[KernelObject]:
        return await self._networks.kernel(reference)

    async def dry_run(self, request: NetworkRequest) -> list[KernelObject]:
        return await self._networks.dry_run(request)


@dataclass(frozen=True, slots=True)
class Engine:
    """What the API is given."""

    containers: ContainerVerbs
    execs: Execs
    networks: NetworkVerbs
    images: Images
    volumes: Volumes
    events: Events
    system: System
