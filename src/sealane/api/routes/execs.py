"""Execs."""

from __future__ import annotations

from typing import Final

from sealane.api.backend import Engine
from sealane.api.convert import execs as convert
from sealane.api.detach import parse_detach_keys
from sealane.api.http import Reply, Request, TakeOver, empty, json_reply
from sealane.api.router import Route
from sealane.api.routes.container_streams import stream_media
from sealane.api.routes.containers import terminal_size
from sealane.api.schema.exec import ExecCreate, ExecCreated, ExecStart
from sealane.api.takeover import Attachment, Conversation, LastWords
from sealane.engine.model import ExecView
from sealane.errors import Conflict, NotFound, SealaneError


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
    conversation = await _start_attached(engine, view, body, size)
    framed = not body.Tty
    return TakeOver(conversation, stream_media(request, framed and request.upgrade), request.upgrade)


async def _start_attached(
    engine: Engine, view: ExecView, body: ExecStart, size: tuple[int, int] | None
) -> Conversation:
    """Run it with its streams. A command that cannot be run says so on its stream, where people look for it.

    Its exit code (126, 127) is then in inspect, as with Docker. What is wrong with the request itself is an error.
    """
    stdin = view.request.attach_stdin
    try:
        session = await engine.execs.start(view.id, detach=False, tty=body.Tty, stdin=stdin, size=size)
    except (NotFound, Conflict):
        raise
    except SealaneError as error:
        return LastWords(error.message, framed=not body.Tty)
    if session is None:
        return LastWords("the process gave no streams", framed=not body.Tty)
    return Attachment(
        session=session,
        framed=not body.Tty,
        stdin=stdin,
        end_stdin=True,
        detach_keys=parse_detach_keys(view.request.detach_keys) if session.tty else b"",
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
