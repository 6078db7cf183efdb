"""Exec: further processes in a running container.

An exec is known from its creation until some minutes after its end, until its container is removed, or until the engine
restarts; its process may outlive the engine, its exit code then is lost, as with Docker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.health import OUTPUT_LENGTH, clip
from sealane.engine.model import ExecRequest, ExecView, Status
from sealane.engine.sessions import AttachSession
from sealane.engine.times import go_duration
from sealane.errors import Conflict, Internal, InvalidArgument, NotFound, SealaneError
from sealane.runtime.conmon import ExecProcess, Monitor
from sealane.values import ExecId

Spawn = Callable[[Coroutine[Any, Any, None]], object]
#: How long an exec that has ended can still be asked for its exit code (Docker's).
_KEPT_NS: Final = 300_000_000_000
_REFUSED: Final = 126


@dataclass(slots=True)
class _Exec:
    id: ExecId
    container: Container
    request: ExecRequest
    process: ExecProcess | None = None
    exit_code: int | None = None
    started: bool = False
    ended_ns: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Execs:
    """Every exec of this engine's present life."""

    def __init__(
        self, context: Context, containers: Containers, bundles: Bundles, monitor: Monitor, spawn: Spawn
    ) -> None:
        self._context = context
        self._containers = containers
        self._bundles = bundles
        self._monitor = monitor
        self._spawn = spawn
        self._execs: dict[str, _Exec] = {}

    async def create(self, reference: str, request: ExecRequest) -> ExecId:
        """Note what is to be run. Raises Conflict when the container does not run or is paused."""
        container = self._containers.get(reference)
        if container.state.status is Status.PAUSED:
            raise Conflict(f"Container {reference} is paused, unpause the container before exec")
        self._check_running(container)
        if not request.command:
            raise InvalidArgument("No exec command specified")
        self._forget_old()
        item = _Exec(ExecId(self._context.new_id()), container, request)
        self._execs[item.id] = item
        container.exec_ids.append(item.id)
        self._containers.emit(f"exec_create: {_words(request)}", container, execID=item.id)
        return item.id

    def _forget_old(self) -> None:
        before = self._context.clock.now_ns() - _KEPT_NS
        for item in list(self._execs.values()):
            if item.container.gone or 0 < item.ended_ns < before:
                del self._execs[item.id]

    def _check_running(self, container: Container) -> None:
        if container.state.status is Status.PAUSED:
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
        if container.state.status is Status.RESTARTING:
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        if not container.running:
            raise Conflict(f"container {container.id} is not running")

    def _get(self, identifier: str) -> _Exec:
        found = self._execs.get(identifier)
        if found is None:
            matches = [item for key, item in self._execs.items() if identifier and key.startswith(identifier)]
            found = matches[0] if len(matches) == 1 else None
        if found is None:
            raise NotFound(f"No such exec instance: {identifier}")
        return found

    async def start(
        self,
        identifier: str,
        *,
        detach: bool = False,
        tty: bool = False,
        stdin: bool = True,
        size: tuple[int, int] | None = None,
    ) -> AttachSession | None:
        """Run it; gives its streams unless *detach*."""
        item = self._get(identifier)
        if item.started:
            raise Conflict(f"Error: Exec command {identifier} has already run")
        self._check_running(item.container)
        item.started = True
        request = item.request
        try:
            launch = self._bundles.exec_launch(item.container, item.id, request, detach=detach, size=size)
            item.process = await self._monitor.exec(launch)
        except OSError as error:
            self._settle(item, _REFUSED)
            self._check_running(item.container)  # its files go when it ends
            raise Internal(f"cannot exec in container {item.container.name}: {error}") from error
        except SealaneError as error:
            self._settle(item, getattr(error, "exit_code", None) or _REFUSED)
            raise
        self._containers.emit(f"exec_start: {_words(request)}", item.container, execID=item.id)
        self._spawn(self._watch(item, item.process))
        if detach:
            return None
        session = AttachSession(
            tty=request.tty,
            stdin=request.attach_stdin and stdin,
            stdout=request.attach_stdout,
            stderr=request.attach_stderr,
            ended=item.done,
        )
        session.connect(item.process.streams)
        return session

    async def _watch(self, item: _Exec, process: ExecProcess) -> None:
        code: int | None = None
        with contextlib.suppress(OSError):
            code = await process.wait()
        self._settle(item, code)
        self._containers.emit("exec_die", item.container, execID=item.id, exitCode=str(item.exit_code))

    def _settle(self, item: _Exec, code: int | None) -> None:
        """It has ended, or never began."""
        item.exit_code = code
        item.ended_ns = self._context.clock.now_ns()
        item.done.set()
        if item.id in item.container.exec_ids:
            item.container.exec_ids.remove(item.id)

    async def resize(self, identifier: str, height: int, width: int) -> None:
        item = self._get(identifier)
        if item.process is None or item.exit_code is not None:
            raise Conflict(f"exec {identifier} is not running")
        try:
            await item.process.resize(height, width)
        except OSError as error:  # it ends just now: conmon has closed its side already
            raise Conflict(f"exec {identifier} is not running") from error

    def view(self, identifier: str) -> ExecView:
        item = self._get(identifier)
        return ExecView(
            id=item.id,
            container=item.container.id,
            request=item.request,
            running=item.process is not None and item.exit_code is None,
            exit_code=item.exit_code,
            pid=item.process.pid if item.process is not None else 0,
        )

    async def run(self, container: Container, argv: tuple[str, ...], timeout_s: float) -> tuple[int, str]:
        """Run a command to its end and collect its output (health checks).

        -1 with the reason when it could not be run, or ran out of time: it is killed then.
        """
        request = ExecRequest(command=argv, attach_stdout=True, attach_stderr=True)
        output = bytearray()
        try:
            item = self._get(await self.create(container.id, request))
        except SealaneError as error:
            return -1, error.message
        try:
            async with asyncio.timeout(timeout_s):
                await self._collect(item, output)
        except TimeoutError:
            if item.process is not None:
                item.process.kill()
            said = f": {clip(bytes(output))}" if output else ""
            return -1, f"Health check exceeded timeout ({go_duration(round(timeout_s * 1e9))}){said}"
        except SealaneError as error:
            return -1, error.message
        finally:
            self._execs.pop(item.id, None)
        return item.exit_code if item.exit_code is not None else -1, clip(bytes(output))

    async def _collect(self, item: _Exec, output: bytearray) -> None:
        session = await self.start(item.id, stdin=False)
        assert session is not None
        try:
            while (chunk := await session.read()) is not None:
                if len(output) <= OUTPUT_LENGTH:
                    output += chunk[1]
        finally:
            await session.close()

    def forget(self, container: Container) -> None:
        """Drop what is known of the execs of a removed container."""
        for identifier in [key for key, item in self._execs.items() if item.container is container]:
            del self._execs[identifier]


def _words(request: ExecRequest) -> str:
    """As Docker's events have it: with a blank behind a command without arguments."""
    return f"{request.command[0]} {' '.join(request.command[1:])}"
