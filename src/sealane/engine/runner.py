"""Starting, stopping and removing containers, and what happens when one ends.

The start of a container, in order: decide everything (addresses, ports, mounts) → make the namespace → at the same
time wire it completely and let the runtime prepare the process → commit "running" → release the process. It is released
only when its network is whole and the resolver has acknowledged its names. A step that fails takes all before it back.

An end, wanted or not, is noticed by the container's own watcher, which tears down, commits the exit code, tells those
who wait, and applies the restart policy and auto-removal. Verbs that stop a container only send signals and wait for
the watcher.
"""

from __future__ import annotations

import asyncio
import logging
import signal as signals
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.events import Events
from sealane.engine.health import HealthWatch
from sealane.engine.model import ContainerState, ExitStatus, Health, Status
from sealane.engine.networks import Networks
from sealane.engine.planning import limits_of
from sealane.engine.restart import next_delay_ns, wants_restart, wants_start_at_boot
from sealane.engine.sandboxes import Sandboxes, SandboxPlan
from sealane.engine.signalnames import parse_signal
from sealane.engine.undo import Undo, both
from sealane.engine.volumes import Volumes
from sealane.errors import Conflict, Internal, InvalidArgument, NotFound, NotModified, SealaneError
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.runtime.conmon import Created, Monitor
from sealane.runtime.resources import resources as oci_resources

_log = logging.getLogger(__name__)
_KILL_GRACE_S: Final = 10.0
#: The shell's exit codes for "not found" and "not executable", which a refused start leaves on the record.
_NOT_STARTED: Final = 128


class Runner:
    """Owns the watcher tasks; *spawn* puts a coroutine into the engine's task group."""

    def __init__(
        self,
        context: Context,
        containers: Containers,
        networks: Networks,
        sandboxes: Sandboxes,
        bundles: Bundles,
        volumes: Volumes,
        monitor: Monitor,
        events: Events,
        health: HealthWatch,
        spawn: Any,
    ) -> None:
        self._context = context
        self._containers = containers
        self._networks = networks
        self._sandboxes = sandboxes
        self._bundles = bundles
        self._volumes = volumes
        self._monitor = monitor
        self._events = events
        self._health = health
        self._spawn = spawn
        self._born_ns = context.clock.now_ns()

    # starting

    async def start(self, reference: str, detach_keys: str | None = None) -> None:
        """Run a created or stopped container. Raises NotModified when it runs already."""
        container = self._containers.get(reference)
        async with container.lock:
            self._check_startable(container)
            try:
                await self._start(container)
            except Exception as error:
                failure = error
            else:
                return
        if container.record.request.auto_remove:  # its name is free when the client hears of the failure
            await self._auto_remove(container)
        raise failure

    def _check_startable(self, container: Container) -> None:
        if container.removing:
            raise Conflict(f"container is marked for removal and cannot be started: {container.id}")
        if container.state.status is Status.PAUSED:
            raise Conflict("cannot start a paused container, try unpause instead")
        if container.running:
            raise NotModified(f"container {container.name} is already running")

    async def _start(self, container: Container, restart_count: int = 0) -> None:
        """Under the container's lock."""
        joining = [self._networks.resolve(a.asked.network).id for a in container.record.attachments]
        for network in joining:
            self._networks.join(network)
        try:
            async with container.wiring, Undo() as undo:
                await self._bring_up(container, restart_count, undo)
        except BaseException as error:
            self._start_failed(container, error)
            raise
        finally:
            for network in joining:
                self._networks.joined(network)
        self._after_start(container)

    async def _bring_up(self, container: Container, restart_count: int, undo: Undo) -> None:
        self._bundles.check(container)
        plan = self._sandboxes.settle(container)
        undo.add("addresses", lambda: self._unsettle(container, plan.endpoints))
        namespace: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        _, process = await both(
            self._make_network(container, plan, namespace, undo),
            self._create_process(container, plan.endpoints, namespace, undo),
        )
        for session in container.sessions:
            session.connect(await self._monitor.attach(container.id))
        container.sessions.clear()
        state = ContainerState(
            status=Status.RUNNING,
            pid=process.pid,
            started_ns=self._context.clock.now_ns(),
            restart_count=restart_count,
            health=Health("starting") if self._has_health(container) else None,
        )
        live = replace(
            container.live,
            state=state,
            endpoints=plan.endpoints,
            ports=plan.ports,
            conmon_pid=process.conmon_pid,
            stopped_by_user=False,
        )
        before = container.live
        self._containers.commit(container, live=live)
        undo.add("record", lambda: self._recommit(container, before))
        container.finished.clear()
        await self._monitor.start(container.id)

    async def _make_network(
        self, container: Container, plan: SandboxPlan, namespace: asyncio.Future[None], undo: Undo
    ) -> None:
        """*namespace* is done when the runtime can join it, wired or not."""
        try:
            if plan.own:
                await self._sandboxes.make_namespace(container, undo)
        finally:
            namespace.set_result(None)
        if plan.own:
            await self._sandboxes.wire(container, plan, undo)

    async def _create_process(
        self, container: Container, endpoints: Sequence[EndpointSpec], namespace: asyncio.Future[None], undo: Undo
    ) -> Created:
        undo.add("bundle", lambda: self._bundles.discard(container))
        launch = await self._bundles.prepare(container, endpoints)
        await namespace
        undo.add("process", lambda: self._monitor.delete(container.id))
        return await self._monitor.create(launch)

    async def _unsettle(self, container: Container, endpoints: Sequence[EndpointSpec]) -> None:
        self._sandboxes.release(container, endpoints)
        await self._sandboxes.give_up_ports(container)

    async def _recommit(self, container: Container, live: Any) -> None:
        self._containers.commit(container, live=live)
        container.finished.set()

    def _start_failed(self, container: Container, error: BaseException) -> None:
        """Note the failure on the record, as Docker does: the message, and 126, 127 or 128 as the exit code."""
        for session in container.sessions:
            session.abandon()
        container.sessions.clear()
        container.finished.set()
        code = getattr(error, "exit_code", None) or _NOT_STARTED
        message = error.message if isinstance(error, SealaneError) else str(error)
        status = Status.CREATED if container.state.status is Status.CREATED else Status.EXITED
        live = container.with_state(status=status, pid=0, exit_code=code, error=message)
        self._containers.commit(container, live=replace(live, endpoints=(), ports=()))

    def _after_start(self, container: Container) -> None:
        for endpoint in container.live.endpoints:
            spec = self._networks.get(endpoint.network)
            if spec is not None:
                self.emit_network("connect", spec, container)
        self._containers.emit("start", container)
        self._spawn(self.watch(container))
        if self._has_health(container):
            self._spawn(self._health.run(container))

    def _has_health(self, container: Container) -> bool:
        check = container.record.process.health
        return check is not None and check.test[:1] != ("NONE",)

    def emit_network(self, action: str, spec: NetworkSpec, container: Container) -> None:
        attributes = {"container": container.id, "name": spec.name, "type": spec.driver}
        self._events.emit("network", action, spec.id, attributes)

    # ending

    async def watch(self, container: Container) -> None:
        """Wait for the container's process to end, then settle what follows. One task per run."""
        try:
            code = await self._monitor.wait_exit(container.id)
            await self._ended(container, code)
        except Exception:
            _log.exception("watching container %s failed", container.name)

    async def _ended(self, container: Container, code: int, *, restart: bool = True) -> None:
        async with container.wiring:
            endpoints = container.live.endpoints
            oom = self._monitor.oom_killed(container.id)
            try:
                await self._sandboxes.close(container)
            except Exception:
                _log.exception("tearing down container %s", container.name)
            await self._monitor.delete(container.id)
            await self._bundles.discard(container)
            restarting = restart and self._will_restart(container, code)
            live = container.with_state(
                status=Status.RESTARTING if restarting else Status.EXITED,
                pid=0,
                exit_code=code,
                oom_killed=oom,
                finished_ns=self._context.clock.now_ns(),
            )
            self._containers.commit(container, live=replace(live, endpoints=(), ports=(), conmon_pid=0))
        self._containers.emit("die", container, exitCode=str(code))
        for endpoint in endpoints:
            spec = self._networks.get(endpoint.network)
            if spec is not None:
                self.emit_network("disconnect", spec, container)
        container.finished.set()
        container.tell_exit(ExitStatus(code))
        if restarting:
            self._spawn(self._restart_later(container))
        elif container.record.request.auto_remove and not container.removing:
            self._spawn(self._auto_remove(container))

    def _will_restart(self, container: Container, code: int) -> bool:
        live = container.live
        return not container.removing and wants_restart(
            container.record.request.restart, code, live.state.restart_count, live.stopped_by_user
        )

    async def _restart_later(self, container: Container, delay_ns: int = 0) -> None:
        """Try again after a growing delay until it runs, or until somebody stopped or removed it."""
        ran = container.state.finished_ns - container.state.started_ns
        delay = next_delay_ns(delay_ns, ran)
        while True:
            await asyncio.sleep(delay / 1e9)
            async with container.lock:
                if container.state.status is not Status.RESTARTING or container.removing:
                    return
                try:
                    await self._start(container, container.state.restart_count + 1)
                except Exception as error:
                    _log.warning("cannot restart container %s: %s", container.name, error)
                    if not self._will_restart(container, container.state.exit_code or _NOT_STARTED):
                        return
                    self._containers.commit(
                        container,
                        live=container.with_state(
                            status=Status.RESTARTING, restart_count=container.state.restart_count + 1
                        ),
                    )
                    delay = next_delay_ns(delay, 0)
                else:
                    return

    async def _auto_remove(self, container: Container) -> None:
        try:
            await self.remove(container.id, volumes=True)
        except (NotFound, Conflict):
            pass  # somebody else removes it

    # after a restart of the engine

    def still_there(self, container: Container) -> bool:
        """True when the process of a container that was running still exists."""
        return self._monitor.running(container.id)

    async def take_over(self, container: Container) -> None:
        """Go on with a container that has been running all the time."""
        if not self._monitor.released(container.id):
            await self._monitor.start(container.id)
        container.finished.clear()
        self._spawn(self.watch(container))
        if self._has_health(container):
            self._spawn(self._health.run(container))

    async def ended_meanwhile(self, container: Container) -> None:
        """Settle a container that ended while no engine was there."""
        code = await self._monitor.wait_exit(container.id)
        await self._ended(container, code, restart=False)

    async def start_at_boot(self, container: Container) -> None:
        """Apply the restart policy to a container that does not run now."""
        live = container.live
        was_running = live.state.status is Status.RESTARTING or live.state.finished_ns >= self._born_ns
        policy = container.record.request.restart
        if container.running or live.state.status is Status.CREATED:
            return
        if not wants_start_at_boot(policy, was_running, live.stopped_by_user):
            if live.state.status is Status.RESTARTING:
                self._containers.commit(container, live=container.with_state(status=Status.EXITED))
            return
        async with container.lock:
            await self._start(container)

    async def update(self, reference: str, resources: Any, restart: Any, asked: bytes | None) -> None:
        """Change limits; those of a running container take effect at once."""
        container = self._containers.get(reference)
        async with container.lock:
            merged = replace(container.record.request, resources=resources)
            if container.running:
                await self._monitor.update(container.id, oci_resources(limits_of(merged)))
            await self._containers.update(reference, resources, restart, asked)

    # signals

    async def kill(self, reference: str, signal: str) -> None:
        """Send a signal. Raises Conflict when the container does not run."""
        container = self._containers.get(reference)
        number = parse_signal(signal or "SIGKILL")
        if not container.running:
            raise Conflict(f"cannot kill container: {reference}: container {container.id} is not running")
        await self._signal(container, number)
        self._containers.emit("kill", container, signal=str(number))

    async def _signal(self, container: Container, number: int) -> None:
        if number == signals.SIGKILL:
            container.live = replace(container.live, stopped_by_user=True)
            if container.state.status is Status.PAUSED:
                await self._monitor.resume(container.id)
        try:
            await self._monitor.kill(container.id, number)
        except ProcessLookupError:
            pass  # it ended by itself; the watcher knows

    async def stop(self, reference: str, timeout_s: int | None = None, signal: str = "") -> None:
        """The stop signal, then after the timeout SIGKILL. Raises NotModified when it does not run."""
        container = self._containers.get(reference)
        async with container.lock:
            if container.state.status is Status.RESTARTING:
                self._stop_restarting(container)
                return
            if not container.running:
                raise NotModified(f"container {container.name} is already stopped")
            await self._stop(container, timeout_s, signal)
        self._containers.emit("stop", container)

    def _stop_restarting(self, container: Container) -> None:
        live = replace(container.with_state(status=Status.EXITED), stopped_by_user=True)
        self._containers.commit(container, live=live)

    async def _stop(self, container: Container, timeout_s: int | None, signal: str) -> None:
        """Under the container's lock."""
        request = container.record.request
        number = parse_signal(signal or container.record.process.stop_signal or "SIGTERM")
        if timeout_s is None:
            timeout_s = request.stop_timeout_s
        if timeout_s is None:
            timeout_s = self._context.settings.stop_timeout_s
        self._containers.commit(container, live=replace(container.live, stopped_by_user=True))
        if container.state.status is Status.PAUSED:
            await self._monitor.resume(container.id)
        await self._signal(container, number)
        self._containers.emit("kill", container, signal=str(number))
        if not await self._finishes_within(container, None if timeout_s < 0 else float(timeout_s)):
            await self._signal(container, signals.SIGKILL)
            self._containers.emit("kill", container, signal="9")
            await self._await_killed(container)

    async def _finishes_within(self, container: Container, seconds: float | None) -> bool:
        try:
            await asyncio.wait_for(container.finished.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _await_killed(self, container: Container) -> None:
        if not await self._finishes_within(container, _KILL_GRACE_S):
            raise Internal(
                f"cannot stop container {container.name}: its process {container.state.pid} does not end on SIGKILL"
            )

    async def restart(self, reference: str, timeout_s: int | None = None, signal: str = "") -> None:
        """Stop when it runs, then start."""
        container = self._containers.get(reference)
        async with container.lock:
            if container.removing:
                raise Conflict(f"container is marked for removal and cannot be started: {container.id}")
            if container.state.status is Status.RESTARTING:
                self._stop_restarting(container)
            if container.running:
                # an auto-removed container outlives its own restart
                with _kept(container):
                    await self._stop(container, timeout_s, signal)
            await self._start(container)
        self._containers.emit("restart", container)

    async def pause(self, reference: str) -> None:
        container = self._containers.get(reference)
        async with container.lock:
            if container.state.status is Status.PAUSED:
                raise Conflict(f"container {container.id} is already paused")
            if not container.running:
                raise Conflict(f"container {container.id} is not running")
            await self._monitor.pause(container.id)
            self._containers.commit(container, live=container.with_state(status=Status.PAUSED))
        self._containers.emit("pause", container)

    async def unpause(self, reference: str) -> None:
        container = self._containers.get(reference)
        async with container.lock:
            if container.state.status is not Status.PAUSED:
                raise Conflict(f"container {container.id} is not paused")
            await self._monitor.resume(container.id)
            self._containers.commit(container, live=container.with_state(status=Status.RUNNING))
        self._containers.emit("unpause", container)

    # removing

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        """Delete a container. A running one only by force."""
        container = self._containers.get(reference)
        if link:
            raise InvalidArgument("removing a link of a container is not supported: links are part of the container")
        if container.removing:
            raise Conflict(f"removal of container {reference} is already in progress")
        if (container.running or container.state.status is Status.RESTARTING) and not force:
            raise Conflict(
                f'cannot remove container "/{container.name}": container is {container.state.status.value}: '
                "stop the container before removing or force remove"
            )
        container.removing = True
        try:
            async with container.lock:
                if container.running:
                    await self._signal(container, signals.SIGKILL)
                    self._containers.emit("kill", container, signal="9")
                    await self._await_killed(container)
                await self._bundles.delete(container)
                self._containers.forget(container)
        finally:
            container.removing = False
        if volumes:
            await self._remove_anonymous_volumes(container)

    async def _remove_anonymous_volumes(self, container: Container) -> None:
        for mount in container.record.mounts:
            if mount.is_volume and not mount.asked.source:
                try:
                    await self._volumes.remove(mount.point.name)
                except SealaneError:
                    continue  # another container uses it


class _kept:
    """While inside, an end of the container does not remove it."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._record = container.record

    def __enter__(self) -> None:
        request = replace(self._record.request, auto_remove=False)
        self._container.record = replace(self._record, request=request)

    def __exit__(self, *error: object) -> None:
        self._container.record = self._record
