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
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any, Final

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.events import Events
from sealane.engine.health import HealthWatch, stopped_health
from sealane.engine.model import ContainerState, ExitStatus, Health, Status
from sealane.engine.networks import Networks
from sealane.engine.planning import limits_of
from sealane.engine.restart import next_delay_ns, wants_restart, wants_start_at_boot
from sealane.engine.sandboxes import Sandboxes, SandboxPlan
from sealane.engine.signalnames import parse_signal
from sealane.engine.undo import Undo, both, to_the_end
from sealane.engine.volumes import Volumes
from sealane.errors import Conflict, Internal, InvalidArgument, NotFound, NotModified, SealaneError
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.runtime.conmon import LOST, Created, Monitor
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

    # starting

    async def start(self, reference: str, detach_keys: str | None = None) -> None:
        """Run a created or stopped container. Raises NotModified when it runs already."""
        async with self._containers.locked(reference) as container:
            self._check_startable(container)
            container.restart_delay_ns = 0
            await self._start(container)

    def _check_startable(self, container: Container) -> None:
        if container.removing:
            raise Conflict(f"container is marked for removal and cannot be started: {container.id}")
        if container.state.status is Status.PAUSED:
            raise Conflict("cannot start a paused container, try unpause instead")
        if container.running or container.state.status is Status.RESTARTING:
            raise NotModified(f"container {container.name} is already running")

    async def _start(self, container: Container, restart_count: int = 0) -> None:
        """Under the container's lock."""
        try:
            self._containers.find_networks(container)
            with self._networks.joining(a.network_id for a in container.record.attachments):
                async with container.wiring, Undo() as undo:
                    await self._bring_up(container, restart_count, undo)
        except BaseException as error:
            await to_the_end(self._start_failed(container, error))
            raise
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
        await self._connect_sessions(container)
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

    async def _connect_sessions(self, container: Container) -> None:
        """Those who attached before the start; some may have left since."""
        for session in container.sessions:
            if not session.closed:
                session.connect(await self._monitor.attach(container.id))
        container.sessions.clear()

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

    async def _start_failed(self, container: Container, error: BaseException) -> None:
        """Note the failure on the record, as Docker does: the message, and 126, 127 or 128 as the exit code.

        A container that is to be removed automatically is gone when this returns: its name is free again.
        """
        for session in container.sessions:
            session.abandon()
        container.sessions.clear()
        container.finished.set()
        code = getattr(error, "exit_code", None) or _NOT_STARTED
        message = error.message if isinstance(error, SealaneError) else str(error)
        status = Status.CREATED if container.state.status is Status.CREATED else Status.EXITED
        live = container.with_state(status=status, pid=0, exit_code=code, error=message)
        self._containers.note(container, replace(live, endpoints=(), ports=()))
        if container.record.request.auto_remove and not container.removing:
            await self._take_away(container, volumes=True)

    def _after_start(self, container: Container) -> None:
        for endpoint in container.live.endpoints:
            spec = self._networks.get(endpoint.network)
            if spec is not None:
                self.emit_network("connect", spec, container)
        self._tell_mounts(container)
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

    def _tell_mounts(self, container: Container) -> None:
        for mount in container.record.mounts:
            if mount.is_volume:
                point = mount.point
                attributes = {
                    "container": container.id,
                    "destination": point.destination,
                    "driver": point.driver,
                    "propagation": point.propagation,
                    "read/write": str(point.read_write).lower(),
                }
                self._events.emit("volume", "mount", point.name, attributes)

    def _tell_unmounts(self, container: Container) -> None:
        for mount in container.record.mounts:
            if mount.is_volume:
                attributes = {"container": container.id, "driver": mount.point.driver}
                self._events.emit("volume", "unmount", mount.point.name, attributes)

    # ending

    async def watch(self, container: Container) -> None:
        """Wait for the container's process to end, then settle what follows, to the end. One task per run."""
        try:
            code = await self._monitor.wait_exit(container.id)
        except Exception:
            _log.exception("watching container %s", container.name)
            code = LOST
        await to_the_end(self._ended(container, code))

    async def _ended(self, container: Container, code: int, *, restart: bool = True, at_ns: int = 0) -> None:
        async with container.wiring:
            endpoints = container.live.endpoints
            oom = self._monitor.oom_killed(container.id)
            await _attempt(self._sandboxes.close(container), container)
            # the exit code is on record before the only other trace of it is deleted
            restarting = restart and self._will_restart(container, code)
            live = container.with_state(
                status=Status.RESTARTING if restarting else Status.EXITED,
                pid=0,
                exit_code=code,
                oom_killed=oom,
                finished_ns=at_ns or self._context.clock.now_ns(),
                restart_count=container.state.restart_count + restarting,
                health=stopped_health(container.state.health),
            )
            self._containers.note(container, replace(live, endpoints=(), ports=(), conmon_pid=0))
            await _attempt(self._monitor.delete(container.id), container)
            await _attempt(self._bundles.discard(container), container)
        self._tell_end(container, endpoints)
        container.finished.set()
        container.tell_exit(ExitStatus(code))
        if restarting:
            self._spawn(self._restart_later(container))
        elif container.record.request.auto_remove and not container.removing and not container.kept:
            self._spawn(self._auto_remove(container))

    def _tell_end(self, container: Container, endpoints: Sequence[EndpointSpec]) -> None:
        state = container.state
        if state.oom_killed:
            self._containers.emit("oom", container)
        for endpoint in endpoints:
            spec = self._networks.get(endpoint.network)
            if spec is not None:
                self.emit_network("disconnect", spec, container)
        self._tell_unmounts(container)
        seconds = max(0, state.finished_ns - state.started_ns) // 1_000_000_000
        self._containers.emit("die", container, execDuration=str(seconds), exitCode=str(state.exit_code))

    def _will_restart(self, container: Container, code: int) -> bool:
        live = container.live
        return not container.removing and wants_restart(
            container.record.request.restart, code, live.state.restart_count, live.stopped_by_user
        )

    async def _restart_later(self, container: Container) -> None:
        """Try again after a growing delay until it runs, or until somebody stopped, started or removed it."""
        ended_ns = container.state.finished_ns
        ran = ended_ns - container.state.started_ns
        while True:
            container.restart_delay_ns = next_delay_ns(container.restart_delay_ns, ran)
            await asyncio.sleep(container.restart_delay_ns / 1e9)
            async with container.lock:
                mine = container.state.status is Status.RESTARTING and container.state.finished_ns == ended_ns
                if not mine or container.removing or container.gone or not await self._restart_failed(container):
                    return
                ran = 0

    async def _restart_failed(self, container: Container) -> bool:
        """Under the container's lock: start it again; True when that failed and is to be tried again."""
        count = container.state.restart_count
        try:
            await self._start(container, count)
        except Exception as error:
            _log.warning("cannot restart container %s: %s", container.name, error)
        else:
            return False
        again = not container.gone and self._will_restart(container, container.state.exit_code or _NOT_STARTED)
        if again:
            live = container.with_state(status=Status.RESTARTING, restart_count=count + 1)
            self._containers.note(container, live)
        else:
            container.tell_exit(ExitStatus(container.state.exit_code))
        return again

    async def _auto_remove(self, container: Container) -> None:
        try:
            await self.remove(container.id, volumes=True)
        except (NotFound, Conflict):
            pass  # somebody else removes it

    # after a restart of the engine

    def still_there(self, container: Container) -> bool:
        """True when the process of a container that was running still exists."""
        return self._monitor.running(container.id)

    def process_of(self, container: Container) -> int:
        """The pid of its first process. Raises ProcessLookupError when it has ended."""
        return self._monitor.pid(container.id)

    async def take_over(self, container: Container) -> None:
        """Go on with a container that has been running all the time."""
        container.finished.clear()
        if not self._monitor.released(container.id):
            await self._monitor.start(container.id)
        self._spawn(self.watch(container))
        if self._has_health(container):
            self._spawn(self._health.run(container))

    async def ended_meanwhile(self, container: Container) -> None:
        """Settle a container that ended while no engine was there, at the time at which it did; end one that runs."""
        ended = self._monitor.exit(container.id)
        code = LOST if self._monitor.running(container.id) else await self._monitor.wait_exit(container.id)
        await self._ended(container, code, restart=False, at_ns=ended.at_ns if ended else 0)

    async def start_at_boot(self, container: Container, was_running: bool) -> None:
        """Apply the restart policy, or automatic removal, to a container that does not run now."""
        if container.running or container.state.status is Status.CREATED:
            return
        if self._starts_at_boot(container, was_running):
            async with container.lock:
                await self._start(container)
            return
        if container.state.status is Status.RESTARTING:
            self._containers.commit(container, live=container.with_state(status=Status.EXITED))
        if container.record.request.auto_remove:
            self._spawn(self._auto_remove(container))

    def _starts_at_boot(self, container: Container, was_running: bool) -> bool:
        live, policy = container.live, container.record.request.restart
        again = wants_restart(policy, live.state.exit_code, live.state.restart_count, live.stopped_by_user)
        return wants_start_at_boot(policy, was_running and again)

    async def update(self, reference: str, resources: Any, restart: Any, asked: bytes | None) -> None:
        """Change limits; those of a running container take effect at once."""
        async with self._containers.locked(reference) as container:
            merged = replace(container.record.request, resources=resources)
            if container.running:
                await self._monitor.update(container.id, oci_resources(limits_of(merged)))
            await self._containers.update(reference, resources, restart, asked)

    # signals

    async def kill(self, reference: str, signal: str) -> None:
        """Send a signal; SIGKILL is waited for. Raises Conflict when the container does not run.

        One that stops the container (SIGKILL, or its own stop signal) also ends its restarts. Takes no lock, for a verb
        that holds it may be waiting for the very end.
        """
        container = self._containers.get(reference)
        number = parse_signal(signal or "SIGKILL")
        stops = number in (signals.SIGKILL, _stop_signal(container))
        if container.state.status is Status.RESTARTING:
            async with container.lock:
                if container.state.status is Status.RESTARTING:
                    if stops:
                        self._stop_restarting(container)
                    return
        if not container.running:
            raise Conflict(f"cannot kill container: {reference}: container {container.id} is not running")
        if stops:
            self._containers.note(container, replace(container.live, stopped_by_user=True))
        await self._signal(container, number)
        if number == signals.SIGKILL:
            await self._await_killed(container)

    async def _signal(self, container: Container, number: int) -> None:
        """Also to a paused process, which goes on then when the signal is to stop it."""
        try:
            await self._monitor.kill(container.id, number)
        except ProcessLookupError:
            pass  # it ended by itself; the watcher knows
        self._containers.emit("kill", container, signal=str(number))
        if container.state.status is Status.PAUSED and number in (signals.SIGKILL, _stop_signal(container)):
            await self._thaw(container)

    async def _thaw(self, container: Container) -> None:
        try:
            await self._monitor.resume(container.id)
        except SealaneError:
            if self._monitor.running(container.id):
                raise
        if container.state.status is Status.PAUSED:
            self._containers.note(container, container.with_state(status=Status.RUNNING))
            self._containers.emit("unpause", container)

    async def _kill(self, container: Container) -> None:
        """Whoever holds the lock: kill it, and return when it has ended."""
        self._containers.note(container, replace(container.live, stopped_by_user=True))
        await self._signal(container, signals.SIGKILL)
        await self._await_killed(container)

    async def stop(self, reference: str, timeout_s: int | None = None, signal: str = "") -> None:
        """The stop signal, then after the timeout SIGKILL. Raises NotModified when it does not run."""
        async with self._containers.locked(reference) as container:
            if container.state.status is Status.RESTARTING:
                self._stop_restarting(container)
            elif container.running:
                await self._stop(container, timeout_s, signal)
            else:
                raise NotModified(f"container {container.name} is already stopped")
            self._containers.emit("stop", container)

    def _stop_restarting(self, container: Container) -> None:
        """Under the container's lock."""
        self._containers.note(container, replace(container.with_state(status=Status.EXITED), stopped_by_user=True))
        container.tell_exit(ExitStatus(container.state.exit_code))

    async def _stop(self, container: Container, timeout_s: int | None, signal: str) -> None:
        """Under the container's lock."""
        request = container.record.request
        number = parse_signal(signal) if signal else _stop_signal(container)
        if timeout_s is None:
            timeout_s = request.stop_timeout_s
        if timeout_s is None:
            timeout_s = self._context.settings.stop_timeout_s
        self._containers.note(container, replace(container.live, stopped_by_user=True))
        await self._signal(container, number)
        if container.state.status is Status.PAUSED:
            await self._thaw(container)
        if not await self._finishes_within(container, None if timeout_s < 0 else float(timeout_s)):
            await self._signal(container, signals.SIGKILL)
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
        async with self._containers.locked(reference) as container:
            if container.removing:
                raise Conflict(f"container is marked for removal and cannot be started: {container.id}")
            if container.state.status is Status.RESTARTING:
                self._stop_restarting(container)
            if container.running:
                container.kept = True  # an auto-removed container outlives its own restart
                try:
                    await self._stop(container, timeout_s, signal)
                finally:
                    container.kept = False
                self._containers.emit("stop", container)
            container.restart_delay_ns = 0
            await self._start(container)
            self._containers.emit("restart", container)

    async def pause(self, reference: str) -> None:
        """Freeze every process of a container; its health is not checked meanwhile, and counts as bad (Docker's)."""
        async with self._containers.locked(reference) as container:
            if container.state.status is Status.PAUSED:
                raise Conflict(f"Container {container.id} is already paused")
            self._check_running(container)
            await self._monitor.pause(container.id)
            self._check_running(container)  # it may have ended just before it could be frozen
            health = stopped_health(container.state.health)
            self._containers.commit(container, live=container.with_state(status=Status.PAUSED, health=health))
            self._containers.emit("pause", container)

    def _check_running(self, container: Container) -> None:
        if container.state.status is Status.RESTARTING:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        if not container.running:
            raise Conflict(f"container {container.id} is not running")

    async def unpause(self, reference: str) -> None:
        async with self._containers.locked(reference) as container:
            if container.state.status is not Status.PAUSED:
                raise Conflict(f"Container {container.id} is not paused")
            await self._thaw(container)

    # removing

    async def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        """Delete a container. A running one only by force."""
        container = self._containers.get(reference)
        if link:
            raise InvalidArgument("removing a link of a container is not supported: links are part of the container")
        if container.removing:
            raise Conflict(f"removal of container {reference} is already in progress")
        self._check_removable(container, force)
        container.removing = True
        try:
            if container.running:  # a verb that holds the lock may be waiting for its end, for as long as it takes
                await self._kill(container)
            async with container.lock:
                if container.gone:
                    raise NotFound(f"No such container: {reference}")
                self._check_removable(container, force)
                if container.running:
                    await self._kill(container)
                await to_the_end(self._take_away(container, volumes))
        finally:
            container.removing = False

    def _check_removable(self, container: Container, force: bool) -> None:
        if (container.running or container.state.status is Status.RESTARTING) and not force:
            raise Conflict(
                f'cannot remove container "/{container.name}": container is {container.state.status.value}: '
                "stop the container before removing or force remove"
            )

    async def _take_away(self, container: Container, volumes: bool) -> None:
        """Under the container's lock: the record first, for what is left of the files then goes at the next start."""
        async with container.wiring:
            try:
                self._containers.forget(container)
            except SealaneError:  # a full disk: what the files give back may be enough
                await self._bundles.delete(container)
                self._containers.forget(container)
            try:
                await self._bundles.delete(container)
                if volumes:
                    await self._remove_anonymous_volumes(container)
            except OSError as error:
                raise Internal(f"cannot delete all files of container {container.name}: {error}") from error
            finally:
                self._containers.say_gone(container)

    async def _remove_anonymous_volumes(self, container: Container) -> None:
        for mount in container.record.mounts:
            if mount.is_volume and not mount.asked.source:
                try:
                    await self._volumes.remove(mount.point.name)
                except SealaneError:
                    continue  # another container uses it


async def _attempt(step: Awaitable[object], container: Container) -> None:
    """One step of a teardown that goes on whatever happens."""
    try:
        await step
    except Exception:
        _log.exception("tearing down container %s", container.name)


def _stop_signal(container: Container) -> int:
    """SIGTERM also where an image names a signal that does not exist."""
    try:
        return parse_signal(container.record.process.stop_signal)
    except InvalidArgument:
        return signals.SIGTERM
