"""An engine in memory, with the managers and signatures that the API is written against: no kernel, no files.

Containers "run" until they are stopped; their process is an echo: what is written to standard input comes back on
standard output, and at the end of the input it says ``bye`` and exits.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface, ip_address, ip_network
from pathlib import Path

from sealane.engine.model import (
    AttachRequest,
    ContainerRequest,
    ContainerState,
    ContainerView,
    Created,
    EndpointView,
    ExecRequest,
    ExecView,
    ExitStatus,
    KernelObject,
    LogLine,
    LogRequest,
    MountKind,
    MountPoint,
    NetworkView,
    PathStat,
    ProcessTable,
    Pruned,
    Resources,
    RestartPolicy,
    StatsSample,
    Status,
    WaitCondition,
)
from sealane.errors import Conflict, Forbidden, InvalidArgument, NotFound, NotModified
from sealane.network.spec import EndpointRequest, EndpointSpec, NetworkRequest, NetworkSpec, Subnet
from sealane.values import (
    ContainerId,
    EndpointId,
    ExecId,
    IfName,
    MacAddress,
    NetworkId,
    PublishedPort,
)
from unit.api.fake_parts import NOW, Events, Images, System, Volumes


class Echo:
    """A session with a process that says back what it is told."""

    def __init__(self, tty: bool, greeting: Sequence[tuple[int, bytes]] = ()) -> None:
        self.tty = tty
        self.stdin_closed = False
        self.closed = False
        self.received = b""
        self._out: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(64)  # like a pipe, it holds only so much
        for item in greeting:
            self._out.put_nowait(item)

    async def read(self) -> tuple[int, bytes] | None:
        return await self._out.get()

    async def write(self, data: bytes, /) -> None:
        self.received += data
        await self._out.put((1, data))

    async def close_stdin(self) -> None:
        self.stdin_closed = True
        await self._out.put((2, b"bye"))
        await self._out.put(None)

    async def close(self) -> None:
        self.closed = True

    def end(self) -> None:
        if self._out.full():
            self._out.get_nowait()
        self._out.put_nowait(None)


@dataclass
class Box:
    """A container of the fake."""

    view: ContainerView
    session: Echo | None = None
    log: list[LogLine] = field(default_factory=list)
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    removed: asyncio.Event = field(default_factory=asyncio.Event)


class Containers:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.boxes: dict[str, Box] = {}

    def box(self, ref: str) -> Box:
        for identifier, box in self.boxes.items():
            if ref and (ref in (box.view.name, identifier) or identifier.startswith(ref)):
                return box
        raise NotFound(f"No such container: {ref}")

    async def create(self, request: ContainerRequest, /) -> Created:
        image = self.engine.images.get(request.image)
        for reference in request.volumes_from:
            self.box(reference)
        number = next(self.engine.numbers)
        identifier = ContainerId(f"{number:064x}")
        name = request.name or f"box{number}"
        if any(box.view.name == name for box in self.boxes.values()):
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        argv = (*(request.entrypoint or ()), *(request.command or ("sh",)))
        endpoints = request.endpoints or (EndpointRequest(network=request.network_mode),)
        view = ContainerView(
            id=identifier,
            name=name,
            created_ns=NOW + number,
            request=request,
            image_id=image.id,
            image_ref=request.image,
            path=argv[0],
            args=argv[1:],
            env=request.env,
            working_dir=request.working_dir,
            user=request.user,
            entrypoint=request.entrypoint,
            command=request.command,
            labels=request.labels,
            exposed_ports=tuple({*request.exposed_ports, *(b.container_port for b in request.port_bindings)}),
            hostname=request.hostname or identifier[:12],
            stop_signal=request.stop_signal,
            state=ContainerState(),
            mounts=tuple(
                MountPoint(kind=m.kind, name=m.source, destination=m.target, driver="local")
                if m.kind is MountKind.VOLUME
                else MountPoint(kind=m.kind, source=m.source, destination=m.target, propagation="rprivate")
                for m in request.mounts
            ),
            endpoints=tuple(
                EndpointView(network_name=e.network, network_id=None, asked=e, settled=None) for e in endpoints
            ),
            ports=(),
            sandbox_key="",
            rootfs=None,
            log_path=Path("/var/lib/sealane/log"),
            resolv_conf_path=Path("/var/lib/sealane/resolv.conf"),
            hosts_path=Path("/var/lib/sealane/hosts"),
            hostname_path=Path("/var/lib/sealane/hostname"),
            cgroup_path="sealane/x",
        )
        self.boxes[identifier] = Box(view)
        self.engine.events.emit("container", "create", identifier, {"name": name, "image": request.image})
        return Created(identifier)

    def resolve(self, ref: str, /) -> ContainerId:
        return self.box(ref).view.id

    def view(self, ref: str, /) -> ContainerView:
        return self.box(ref).view

    def views(self) -> list[ContainerView]:
        return sorted((box.view for box in self.boxes.values()), key=lambda view: -view.created_ns)

    def _set(self, box: Box, **changes: object) -> None:
        box.view = replace(box.view, state=replace(box.view.state, **changes))  # type: ignore[arg-type]

    async def start(self, ref: str, detach_keys: str | None = None, /) -> None:
        box = self.box(ref)
        if box.view.state.status is Status.RUNNING:
            raise NotModified("already running")
        self._set(box, status=Status.RUNNING, pid=4242, started_ns=NOW)
        box.view = replace(
            box.view,
            endpoints=tuple(self._settle(box.view, endpoint) for endpoint in box.view.endpoints),
            ports=tuple(
                PublishedPort(ip_address("0.0.0.0"), int((b.host_port or "32768").split("-")[0]), b.container_port)
                for b in box.view.request.port_bindings
            ),
            sandbox_key="/run/sealane/netns/x",
        )
        self.engine.events.emit("container", "start", box.view.id, {"name": box.view.name, "image": box.view.image_ref})

    def _settle(self, view: ContainerView, endpoint: EndpointView) -> EndpointView:
        network = self.engine.networks.view(endpoint.network_name).spec
        settled = EndpointSpec(
            id=EndpointId("e" * 64),
            network=network.id,
            container=view.id,
            container_name=view.name,
            ifname=IfName("eth0"),
            host_ifname=IfName("sleeee"),
            altname="a",
            mac=MacAddress("02:42:ac:11:00:02"),
            ipv4=IPv4Interface("172.17.0.2/16") if network.subnets else None,
            ipv6=None,
            gateway_ipv4=IPv4Address("172.17.0.1") if network.subnets else None,
            gateway_ipv6=None,
            names=(view.name, view.id[:12]),
        )
        self.engine.networks.endpoints.setdefault(network.id, []).append(settled)
        return replace(endpoint, network_id=network.id, settled=settled, names=settled.names)

    async def stop(self, ref: str, timeout_s: int | None = None, signal: str = "", /) -> None:
        box = self.box(ref)
        if box.view.state.status is not Status.RUNNING:
            raise NotModified("not running")
        self.exit(box, 137)

    def exit(self, box: Box, code: int) -> None:
        self._set(box, status=Status.EXITED, pid=0, exit_code=code, finished_ns=NOW + 5)
        for endpoints in self.engine.networks.endpoints.values():
            endpoints[:] = [e for e in endpoints if e.container != box.view.id]
        box.view = replace(
            box.view, ports=(), sandbox_key="", endpoints=tuple(replace(e, settled=None) for e in box.view.endpoints)
        )
        if box.session is not None:
            box.session.end()
        box.exited.set()

    async def restart(self, ref: str, timeout_s: int | None = None, signal: str = "", /) -> None:
        self.box(ref)

    async def kill(self, ref: str, signal: str, /) -> None:
        box = self.box(ref)
        if box.view.state.status is not Status.RUNNING:
            raise Conflict(f"cannot kill container: {ref}: container {box.view.id} is not running")
        self.exit(box, 137)

    async def pause(self, ref: str, /) -> None:
        self._set(self.box(ref), status=Status.PAUSED)

    async def unpause(self, ref: str, /) -> None:
        self._set(self.box(ref), status=Status.RUNNING)

    async def rename(self, ref: str, new_name: str, /) -> None:
        box = self.box(ref)
        box.view = replace(box.view, name=new_name)

    async def update(
        self, ref: str, resources: Resources, restart: RestartPolicy | None, asked: bytes | None, /
    ) -> tuple[str, ...]:
        box = self.box(ref)
        request = replace(box.view.request, resources=resources, asked=asked or box.view.request.asked)
        box.view = replace(box.view, request=replace(request, restart=restart or request.restart))
        return ()

    async def remove(self, ref: str, /, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        box = self.box(ref)
        if box.view.state.status is Status.RUNNING and not force:
            raise Conflict(f'cannot remove container "/{box.view.name}": container is running')
        self.exit(box, 0)
        del self.boxes[box.view.id]
        box.removed.set()

    async def wait(self, ref: str, condition: WaitCondition, /) -> Awaitable[ExitStatus]:
        box = self.box(ref)
        event = box.removed if condition is WaitCondition.REMOVED else box.exited
        if condition is WaitCondition.NOT_RUNNING and box.view.state.status is not Status.RUNNING:
            event = asyncio.Event()
            event.set()
        done: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

        async def tell() -> bool:
            await event.wait()
            if not done.done():
                done.set_result(ExitStatus(box.view.state.exit_code))
            return True

        self.engine.tasks.append(asyncio.ensure_future(tell()))
        return done

    async def attach(self, ref: str, request: AttachRequest, /) -> Echo:
        box = self.box(ref)
        box.session = Echo(box.view.request.tty, [(1, b"out\n"), (2, b"err\n")])
        if not request.stream:
            box.session.end()
        return box.session

    async def logs(self, ref: str, request: LogRequest, /) -> AsyncIterator[LogLine]:
        box = self.box(ref)
        for line in box.log:
            yield line
        if request.follow:
            await box.exited.wait()

    async def resize(self, ref: str, height: int, width: int, /) -> None:
        self.box(ref)
        self.engine.sizes.append((height, width))

    async def top(self, ref: str, ps_args: str, /) -> ProcessTable:
        self.box(ref)
        return ProcessTable(("PID", "CMD"), (("1", "sh"),))

    async def stats(self, ref: str, /) -> StatsSample:
        self.box(ref)
        return StatsSample(
            time_ns=NOW,
            cpu_total_ns=1,
            cpu_user_ns=1,
            cpu_kernel_ns=0,
            system_cpu_ns=10,
            online_cpus=2,
            memory_usage=4096,
            memory_limit=1 << 30,
            memory_stats={"cache": 1},
            pids=1,
            pids_limit=0,
            networks={},
        )

    async def prune(self, keep: Callable[[ContainerView], bool], /) -> Pruned:
        gone = [v.id for v in self.views() if v.state.status is not Status.RUNNING and not keep(v)]
        for identifier in gone:
            await self.remove(identifier)
        return Pruned(tuple(gone))

    async def changes(self, ref: str, /) -> list[tuple[int, str]]:
        self.box(ref)
        return [(1, "/etc"), (2, "/etc/new")]

    async def archive_stat(self, ref: str, path: str, /) -> PathStat:
        self.box(ref)
        if path != "/etc":
            raise NotFound(f"Could not find the file {path} in container {ref}")
        return PathStat("etc", 4096, 0o20000000755, NOW, "")

    async def archive_get(self, ref: str, path: str, /) -> AsyncIterator[bytes]:
        yield b"tar " * 100

    async def archive_put(
        self,
        ref: str,
        path: str,
        body: AsyncIterator[bytes],
        /,
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        self.box(ref)
        self.engine.uploaded = 0
        async for chunk in body:
            self.engine.uploaded += len(chunk)

    async def export(self, ref: str, /) -> AsyncIterator[bytes]:
        yield b"tar " * 100


class Execs:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.items: dict[str, ExecView] = {}
        self.sessions: list[Echo] = []

    async def create(self, ref: str, request: ExecRequest, /) -> ExecId:
        container = self.engine.containers.view(ref)
        if container.state.status is not Status.RUNNING:
            raise Conflict(f"container {container.id} is not running")
        identifier = ExecId(f"{next(self.engine.numbers):064x}")
        self.items[identifier] = ExecView(
            id=identifier, container=container.id, request=request, running=False, exit_code=None, pid=0
        )
        return identifier

    async def start(
        self, exec_id: str, /, *, detach: bool, tty: bool, stdin: bool, size: tuple[int, int] | None
    ) -> Echo | None:
        item = self.view(exec_id)
        if item.exit_code is not None:
            raise Conflict(f"Error: Exec command {exec_id} has already run")
        if item.request.command[0] == "missing":
            self.items[exec_id] = replace(item, exit_code=127)
            raise InvalidArgument('exec: "missing": executable file not found in $PATH')
        self.items[exec_id] = replace(item, exit_code=0)
        if detach:
            return None
        session = Echo(item.request.tty)
        if not stdin:
            session.end()
        self.sessions.append(session)
        return session

    async def resize(self, exec_id: str, height: int, width: int, /) -> None:
        self.view(exec_id)
        self.engine.sizes.append((height, width))

    def view(self, exec_id: str, /) -> ExecView:
        if exec_id not in self.items:
            raise NotFound(f"No such exec instance: {exec_id}")
        return self.items[exec_id]


class Networks:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.specs: dict[str, NetworkSpec] = {}
        self.endpoints: dict[str, list[EndpointSpec]] = {}
        for name, driver in (("bridge", "bridge"), ("host", "host"), ("none", "null")):
            subnets = (Subnet(ip_network("172.17.0.0/16"), ip_address("172.17.0.1")),) if name == "bridge" else ()
            self._add(name, driver, subnets)

    def _add(self, name: str, driver: str, subnets: tuple[Subnet, ...], **more: object) -> NetworkId:
        identifier = NetworkId(f"{next(self.engine.numbers):064x}")
        self.specs[identifier] = NetworkSpec(
            id=identifier,
            name=name,
            created="2026-11-24T08:25:16.077676251Z",
            driver=driver,
            subnets=subnets,
            **more,  # type: ignore[arg-type]
        )
        return identifier

    async def create(self, request: NetworkRequest, /) -> tuple[NetworkId, str]:
        if any(spec.name == request.name for spec in self.specs.values()):
            raise Conflict(f"network with name {request.name} already exists")
        subnets = (Subnet(ip_network("172.18.0.0/16"), ip_address("172.18.0.1")),)
        return self._add(request.name, request.driver, subnets, labels=request.labels, options=request.options), ""

    def view(self, ref: str, /) -> NetworkView:
        for spec in self.specs.values():
            if ref and (ref in (spec.name, spec.id) or spec.id.startswith(ref)):
                return NetworkView(spec, tuple(self.endpoints.get(spec.id, ())), {"172.18.0.0/16": (3, 65533)})
        raise NotFound(f"network {ref} not found")

    def views(self) -> list[NetworkView]:
        return [self.view(identifier) for identifier in self.specs]

    async def remove(self, ref: str, /) -> None:
        view = self.view(ref)
        if view.spec.predefined:
            raise Forbidden(f"{view.spec.name} is a pre-defined network and cannot be removed")
        del self.specs[view.spec.id]

    async def connect(self, ref: str, container_ref: str, endpoint: EndpointRequest, /) -> None:
        self.view(ref)
        self.engine.containers.view(container_ref)
        self.engine.connected.append(endpoint)

    async def disconnect(self, ref: str, container_ref: str, force: bool, /) -> None:
        self.view(ref)
        self.engine.containers.view(container_ref)

    async def prune(self, keep: Callable[[NetworkSpec], bool], /) -> Pruned:
        gone = [spec for spec in self.specs.values() if not spec.predefined and not keep(spec)]
        for spec in gone:
            del self.specs[spec.id]
        return Pruned(tuple(spec.name for spec in gone))

    async def kernel(self, ref: str, /) -> list[KernelObject]:
        return [KernelObject("link", "sl-x", f"bridge of {self.view(ref).spec.name}", "ip link show sl-x")]

    async def dry_run(self, request: NetworkRequest, /) -> list[KernelObject]:
        return [KernelObject("link", "sl-x", f"bridge of {request.name}", "ip link add sl-x type bridge")]


class FakeEngine:
    """All managers; what they were told that has no other trace is kept in ``sizes``, ``connected``, ``uploaded``."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.tasks: list[asyncio.Task[bool]] = []
        self.sizes: list[tuple[int, int]] = []
        self.connected: list[EndpointRequest] = []
        self.uploaded = 0
        self.events = Events()
        self.images = Images(self)
        self.networks = Networks(self)
        self.containers = Containers(self)
        self.execs = Execs(self)
        self.volumes = Volumes(self)
        self.system = System(self)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
