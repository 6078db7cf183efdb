"""Execs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sealane.api.backend import Engine
from sealane.api.convert import execs as convert
from sealane.api.detach import parse_detach_keys
from sealane.api.duplex import Duplex
from sealane.api.http import Reply, Request, TakeOver, empty, json_reply
from sealane.api.router import Route
from sealane.api.routes.container_streams import stream_media
from sealane.api.routes.containers import terminal_size
from sealane.api.schema.exec import ExecCreate, ExecCreated, ExecStart
from sealane.api.takeover import Attachment, Conversation, LastWords
from sealane.engine.model import ExecView, Status
from sealane.errors import Conflict, SealaneError


async def create(engine: Engine, request: Request) -> Reply:
    body = await request.json(ExecCreate)
    engine.containers.resolve(request.params["id"])
    identifier = await engine.execs.create(request.params["id"], convert.exec_request(body))
    return json_reply(ExecCreated(identifier), 201)


async def start(engine: Engine, request: Request) -> Reply:
    body = await request.json(ExecStart)
    view = engine.execs.view(request.params["id"])
    size = convert.console_size(body.ConsoleSize, body.Tty)
    if body.Detach:
        await engine.execs.start(view.id, detach=True, tty=body.Tty, stdin=False, size=size)
        return empty(200)
    _check_can_start(engine, view)
    framed = not body.Tty
    media = stream_media(request, framed and request.upgrade)
    return TakeOver(_AttachedStart(engine, view, body.Tty, size), media, request.upgrade)


def _check_can_start(engine: Engine, view: ExecView) -> None:
    """What is an error of the request, before the connection leaves HTTP. Raises Conflict."""
    if view.running or view.exit_code is not None:
        raise Conflict(f"Error: Exec command {view.id} has already run")
    if engine.containers.view(view.container).state.status is not Status.RUNNING:
        raise Conflict(f"container {view.container} is not running")


@dataclass(frozen=True, slots=True)
class _AttachedStart:
    """Run an exec with its streams on the connection.

    The head of the reply is out before the process begins: docker-py loses output that comes together with the head.
    A command that cannot be run says so on its stream, where people look for it; inspect has its exit code (126, 127).
    """

    engine: Engine
    view: ExecView
    tty: bool
    size: tuple[int, int] | None

    async def __call__(self, duplex: Duplex) -> None:
        conversation = await self._begin()
        await conversation(duplex)

    async def _begin(self) -> Conversation:
        request, framed = self.view.request, not self.tty
        try:
            session = await self.engine.execs.start(
                self.view.id, detach=False, tty=self.tty, stdin=request.attach_stdin, size=self.size
            )
        except SealaneError as error:
            return LastWords(error.message, framed)
        if session is None:
            return LastWords("the process gave no streams", framed)
        return Attachment(
            session=session,
            framed=framed,
            stdin=request.attach_stdin,
            end_stdin=True,
            detach_keys=parse_detach_keys(request.detach_keys) if session.tty else b"",
        )


async def inspect(engine: Engine, request: Request) -> Reply:
    return json_reply(convert.inspected(engine.execs.view(request.params["id"])))


async def resize(engine: Engine, request: Request) -> Reply:
    view = engine.execs.view(request.params["id"])
    height, width = terminal_size(request)
    await engine.execs.resize(view.id, height, width)
    return empty(200)


ROUTES: Final = (
    Route("POST", "/containers/{id}/exec", create),
    Route("POST", "/exec/{id}/start", start),
    Route("POST", "/exec/{id}/resize", resize),
    Route("GET", "/exec/{id}/json", inspect),
)
