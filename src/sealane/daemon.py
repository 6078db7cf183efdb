"""sealaned: the composition root. Builds every part, in the order in which they need each other, and takes them down
again.

Shutting down leaves containers, names and published ports as they are: the next engine takes them over.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import grp
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sealane import VERSION
from sealane.api.routes import build_router
from sealane.api.server import ApiServer
from sealane.config import Config, parse_config
from sealane.dns.publisher import Publisher, ResolverProcess
from sealane.engine.addresses import AddressBook
from sealane.engine.archive import Archives
from sealane.engine.bundles import Bundles
from sealane.engine.connections import Connections
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context, Layout, Settings, SystemClock, random_id
from sealane.engine.directory import Directory
from sealane.engine.dismantle import dismantle
from sealane.engine.engine import ContainerVerbs, Engine, NetworkVerbs
from sealane.engine.events import Events
from sealane.engine.execs import Execs
from sealane.engine.health import HealthWatch
from sealane.engine.images import Images
from sealane.engine.networks import Networks
from sealane.engine.observe import Observer
from sealane.engine.planning import Planner
from sealane.engine.portbook import PortBook
from sealane.engine.recover import Recovery
from sealane.engine.ruleswatch import RulesWatch
from sealane.engine.runner import Runner
from sealane.engine.sandboxes import Sandboxes
from sealane.engine.system import RuntimeFacts, System
from sealane.engine.volumes import Volumes
from sealane.engine.wires import Wires
from sealane.errors import SealaneError, Unavailable
from sealane.image.registry.pull import Puller
from sealane.image.store import ImageStore
from sealane.linux import cgroups, process
from sealane.relay.publisher import RelayProcess, RelayPublisher
from sealane.runtime.conmon import CONMON, Monitor
from sealane.runtime.machine import look_at_machine
from sealane.runtime.oci import OciRuntime, pick
from sealane.store.database import Database
from sealane.values import ContainerId, IPAddress, Transport, short
from sealane.wiring.fabric import Fabric

DEFAULT_CONFIG: Final = Path("/etc/sealane/sealaned.toml")
_FLUSH_S: Final = 0.25
_log = logging.getLogger("sealaned")


def main() -> int:
    """The console script. Exit code 0 after a signal, 1 when it could not start."""
    options = _arguments()
    try:
        config = _configuration(options)
        logging.basicConfig(
            level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
        )
        if options.dismantle:
            return asyncio.run(_dismantle(config))
        asyncio.run(_serve(config))
    except (SealaneError, OSError) as error:
        print(f"sealaned: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup as group:
        print(f"sealaned: {group}: {group.exceptions}", file=sys.stderr)
        logging.getLogger("sealaned").exception("stopped", exc_info=group)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sealaned", description="the Sealane engine")
    parser.add_argument("--config", type=Path, help=f"configuration file (default {DEFAULT_CONFIG}, if it exists)")
    parser.add_argument("--root", type=Path, help="durable state")
    parser.add_argument("--run-dir", type=Path, help="volatile state: sockets, namespaces")
    parser.add_argument("--host", "-H", action="append", help="unix://PATH to listen on (repeatable)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    parser.add_argument(
        "--dismantle",
        action="store_true",
        help="take everything of a stopped engine out of the host: containers' processes, networks, helper processes",
    )
    parser.add_argument("--version", action="version", version=f"sealaned {VERSION}")
    return parser.parse_args()


def _configuration(options: argparse.Namespace) -> Config:
    path: Path = options.config or DEFAULT_CONFIG
    config = Config()
    if options.config is not None or path.exists():
        config = parse_config(path.read_text(encoding="utf-8"), str(path))
    if options.root is not None:
        config = replace(config, root=options.root.absolute())
    if options.run_dir is not None:
        config = replace(config, run_dir=options.run_dir.absolute())
    if options.host:
        config = replace(config, hosts=tuple(options.host))
    if options.log_level:
        config = replace(config, log_level=options.log_level)
    return config


@contextlib.contextmanager
def _only_engine(run_dir: Path) -> Iterator[None]:
    """Hold the pid file; a second engine in the same directory is refused."""
    fd = os.open(run_dir / "sealaned.pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(fd, 32).decode().strip()
            raise Unavailable(f"another sealaned (pid {holder}) already serves {run_dir}") from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        yield
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _listen(host: str, group: str) -> socket.socket:
    """A listening socket for ``unix://PATH``: mode 0660, owned by root and the group if it exists."""
    if not host.startswith("unix://"):
        raise Unavailable(f"cannot listen on {host}: only unix:// addresses are served")
    path = Path(host.removeprefix("unix://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    old = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(old)
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        gid = 0
    os.chown(path, 0, gid)
    os.chmod(path, 0o660)
    sock.listen(1024)
    return sock


class TaskOwner:
    """Runs the engine's background tasks; a task that fails is logged, none outlives the parts that it uses."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._ending:
            work.close()
            return
        task = self._group.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            _log.exception("a background task failed")

    async def end(self) -> None:
        """Cancel all and wait: work that has to be done to its end is. Nothing can be spawned any more."""
        self._ending = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))


async def _serve(config: Config) -> None:
    layout = Layout(config.root, config.run_dir)
    layout.make()
    _raise_limits()
    with _only_engine(config.run_dir):
        async with asyncio.TaskGroup() as group:
            tasks = TaskOwner(group)
            async with _engine(config, layout, tasks) as (engine, events):
                await _serve_api(config, engine, events, group)


async def _dismantle(config: Config) -> int:
    layout = Layout(config.root, config.run_dir)
    if not layout.run.exists():
        return 0
    layout.make()
    with _only_engine(config.run_dir), contextlib.closing(Fabric(layout.netns, table=config.table)) as fabric:
        failures = await dismantle(layout, config.cgroup_parent, fabric, *_helpers(layout))
    for failure in failures:
        print(f"sealaned: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _helpers(layout: Layout) -> tuple[Publisher, RelayPublisher]:
    return (
        Publisher(ResolverProcess(socket=layout.run / "dns.sock", log=layout.run / "dns.log")),
        RelayPublisher(RelayProcess(socket=layout.run / "relay.sock", log=layout.run / "relay.log")),
    )


def _raise_limits() -> None:
    """Each container costs a few file descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve_api(config: Config, engine: Engine, events: Events, group: asyncio.TaskGroup) -> None:
    hosts = config.hosts or (f"unix://{config.run_dir / 'sealane.sock'}",)
    router = build_router()
    servers = [(ApiServer(engine, router, version=VERSION), _listen(host, config.group)) for host in hosts]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = [group.create_task(server.serve(sock)) for server, sock in servers]
    _log.info("Sealane %s listens on %s", VERSION, ", ".join(hosts))
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _FLUSH_S)
        events.flush()
    for server, _ in servers:
        await server.close()
    await asyncio.gather(*serving)
    for host in hosts:
        Path(host.removeprefix("unix://")).unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _engine(config: Config, layout: Layout, tasks: TaskOwner) -> AsyncIterator[tuple[Engine, Events]]:
    """Every part, connected; taken down in the reverse order."""
    async with contextlib.AsyncExitStack() as stack:
        database = Database(config.root / "state.db")
        stack.callback(database.close)
        context = Context(layout, _settings(config), SystemClock(), random_id, _host_id(database))
        events = Events(database, context.clock)
        stack.callback(events.close)
        fabric = Fabric(layout.netns, table=config.table)
        stack.callback(fabric.close)
        wires = Wires(fabric)
        stack.callback(wires.close)
        publisher, relay = _helpers(layout)
        await publisher.connect()
        stack.push_async_callback(publisher.close)
        await relay.connect()
        stack.push_async_callback(relay.close)
        runtime = await asyncio.to_thread(pick, config.runtime, layout.run / "oci", config.cgroup_parent)
        monitor = Monitor(runtime, layout.run)
        stack.callback(monitor.close)
        stack.push_async_callback(tasks.end)
        engine, recovery, rules = _build(
            config, context, database, events, wires, publisher, relay, monitor, runtime, tasks
        )
        await recovery.run()
        tasks.spawn(rules.run())
        yield engine, events


def _build(
    config: Config,
    context: Context,
    database: Database,
    events: Events,
    wires: Wires,
    publisher: Publisher,
    relay: RelayPublisher,
    monitor: Monitor,
    runtime: OciRuntime,
    tasks: TaskOwner,
) -> tuple[Engine, Recovery, RulesWatch]:
    where = cgroups.layout()
    directory: Directory[Container] = Directory()
    addresses = AddressBook(
        lambda identifier: _name_of(directory, identifier), lambda identifier: _runs(directory, identifier)
    )
    networks = Networks(context, database, events, wires, publisher, addresses)
    ports = PortBook(context, relay, _probe_port, _ephemeral_range, Path("/proc/net/if_inet6").exists())
    sandboxes = Sandboxes(context, networks, wires, publisher, addresses, ports)
    store = ImageStore(config.root / "image", database)
    images = Images(store, Puller(store, config.mirrors, config.insecure), events, lambda: list(directory))
    containers: Containers
    volumes = Volumes(context, database, events, lambda name: containers.users_of_volume(name))
    containers = Containers(context, database, events, images, networks, volumes, addresses, directory)
    planner = Planner(context, look_at_machine(where, config.init_path), containers.get)
    bundles = Bundles(context, images, volumes, networks, planner, containers.get)
    execs = Execs(context, containers, bundles, monitor, tasks.spawn)
    health = HealthWatch(containers, context.clock, lambda: execs.run)
    runner = Runner(context, containers, networks, sandboxes, bundles, volumes, monitor, events, health, tasks.spawn)
    connections = Connections(containers, networks, sandboxes, bundles, runner)
    facts = RuntimeFacts(
        runtime.name, runtime.version, runtime.reason, _conmon_version(), "2" if where.version == "v2" else "1"
    )
    engine = Engine(
        ContainerVerbs(
            containers,
            runner,
            connections,
            Observer(context, containers, monitor),
            Archives(containers, bundles),
            execs,
        ),
        execs,
        NetworkVerbs(networks, connections),
        images,
        volumes,
        events,
        System(context, containers, lambda: len(images.all()), facts),
    )
    recovery = Recovery(context, database, networks, containers, sandboxes, bundles, volumes, runner, wires)
    return engine, recovery, RulesWatch(networks, wires)


def _conmon_version() -> str:
    """ "2.1.6"; "" when conmon is not there."""
    try:
        said = subprocess.run([CONMON, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.splitlines()[0].rpartition(" ")[2]


def _settings(config: Config) -> Settings:
    return Settings(
        default_pools=config.pools,
        bridge_name=config.bridge,
        bridge_subnet=config.bridge_subnet,
        bridge_ipv6=config.bridge_ipv6,
        mtu=config.mtu,
        dns=config.dns,
        dns_search=config.dns_search,
        dns_options=config.dns_options,
        host_gateway=config.host_gateway,
        default_bind=config.bind,
        log_driver=config.log_driver,
        log_options=config.log_options,
        shm_size=config.shm_size,
        stop_timeout_s=config.stop_timeout_s,
        cgroup_parent=config.cgroup_parent,
        mirrors=config.mirrors,
        insecure_registries=config.insecure,
        labels=config.labels,
    )


def _host_id(database: Database) -> str:
    """An id of this engine, made once."""
    found = database.meta("host-id")
    if found is None:
        found = random_id()
        database.put_meta("host-id", found)
    return found


def _name_of(directory: Directory[Container], identifier: ContainerId) -> str:
    container = directory.get(identifier)
    return container.name if container is not None else short(identifier)


def _runs(directory: Directory[Container], identifier: ContainerId) -> bool:
    """Also while it is being started, or something else is done to it."""
    container = directory.get(identifier)
    return container is not None and (container.running or container.lock.locked())


def _probe_port(address: IPAddress, transport: Transport, port: int) -> str:
    """Who holds a host port, "" when it is free. Raises OSError for an address that is not the host's."""
    if process.can_bind(address, transport, port):
        return ""
    return process.port_holder(address, transport, port)


def _ephemeral_range() -> tuple[int, int]:
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    return int(first), int(last)


if __name__ == "__main__":
    raise SystemExit(main())
