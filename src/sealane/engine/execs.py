"""Exec: further processes in a running container.

An exec is known from its creation until its container is removed or the engine restarts; its process may outlive the
engine, its
exit code then is lost, as with Docker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.model import ExecRequest, ExecView, Status
from sealane.engine.sessions import AttachSession
from sealane.errors import Conflict, InvalidArgument, NotFound, SealaneError
from sealane.runtime.conmon import ExecProcess, Monitor
from sealane.values import ExecId

Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(slots=True)
class _Exec:
    id: ExecId
    container: Container
    request: ExecRequest
    process: ExecProcess | None = None
    exit_code: int | None = None
    started: bool = False
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
        self._check_running(container)
        if not request.command:
            raise InvalidArgument("No exec command specified")
        item = _Exec(ExecId(self._context.new_id()), container, request)
        self._execs[item.id] = item
        container.exec_ids.append(item.id)
        self._containers.emit(f"exec_create: {' '.join(request.command)}", container, execID=item.id)
        return item.id

    def _check_running(self, container: Container) -> None:
        if container.state.status is Status.PAUSED:
            raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
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
        except SealaneError as error:
            item.exit_code = getattr(error, "exit_code", None) or 126
            item.done.set()
            raise
        self._containers.emit(f"exec_start: {' '.join(request.command)}", item.container, execID=item.id)
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
        with contextlib.suppress(OSError):
            item.exit_code = await process.wait()
        item.done.set()
        if item.id in item.container.exec_ids:
            item.container.exec_ids.remove(item.id)
        self._containers.emit("exec_die", item.container, execID=item.id, exitCode=str(item.exit_code))

    async def resize(self, identifier: str, height: int, width: int) -> None:
        item = self._get(identifier)
        if item.process is None or item.exit_code is not None:
            raise Conflict(f"exec {identifier} is not running")
        await item.process.resize(height, width)

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
        """Run a command to its end and collect its output (health checks); -1 when it ran out of time."""
        request = ExecRequest(command=argv, attach_stdout=True, attach_stderr=True)
        identifier = await self.create(container.id, request)
        output: list[bytes] = []
        item = self._get(identifier)
        try:
            async with asyncio.timeout(timeout_s):
                session = await self.start(identifier, stdin=False)
                while session is not None and (chunk := await session.read()) is not None:
                    output.append(chunk[1])
                await item.done.wait()
        except TimeoutError:
            return -1, f"Health check exceeded timeout ({timeout_s:g}s)"
        except SealaneError as error:
            return -1, error.message
        finally:
            self._execs.pop(identifier, None)
        code = item.exit_code if item.exit_code is not None else -1
        return code, b"".join(output).decode(errors="replace")

    def forget(self, container: Container) -> None:
        """Drop what is known of the execs of a removed container."""
        for identifier in [key for key, item in self._execs.items() if item.container is container]:
            del self._execs[identifier]
