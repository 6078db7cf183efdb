"""What of a container comes over time: attach, logs, wait, stats."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

from sealane.api.backend import Engine
from sealane.api.convert.stats import stats as shown_stats
from sealane.api.convert.times import fixed_stamp, parse_unix
from sealane.api.detach import parse_detach_keys
from sealane.api.frames import MULTIPLEXED_STREAM, RAW_STREAM, frame
from sealane.api.http import Reply, Request, Stream, TakeOver, json_bytes
from sealane.api.iterating import closing
from sealane.api.router import Route
from sealane.api.schema.container_view import WaitAnswer, WaitError
from sealane.api.takeover import Attachment
from sealane.api.versions import ApiVersion
from sealane.engine.model import AttachRequest, ContainerView, LogRequest, StatsSample, Status, WaitCondition
from sealane.errors import InvalidArgument, NotFound, SealaneError, Unsupported

#: Since then the media type tells framed from raw output.
_TYPED_STREAMS: Final = ApiVersion(1, 42)
_STATS_INTERVAL_S: Final = 1.0


def stream_media(request: Request, framed: bool) -> str:
    """The media type of a container's output."""
    return MULTIPLEXED_STREAM if framed and request.version >= _TYPED_STREAMS else RAW_STREAM


async def attach(engine: Engine, request: Request) -> Reply:
    query = request.query
    detach_keys = query.text("detachKeys")
    try:
        keys = parse_detach_keys(detach_keys)
    except ValueError:
        raise InvalidArgument(f"Invalid detach keys ({detach_keys}) provided") from None
    await request.read()
    view = engine.containers.view(request.params["id"])
    stdin, stream = query.flag("stdin"), query.flag("stream")
    asked = AttachRequest(
        stdin=stdin and stream,
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr"),
        stream=stream,
        logs=query.flag("logs"),
        detach_keys=detach_keys or None,
    )
    session = await engine.containers.attach(view.id, asked)
    tty = session.tty
    conversation = Attachment(
        session=session,
        framed=not tty,
        stdin=asked.stdin,
        end_stdin=view.request.stdin_once and not tty,
        detach_keys=keys if tty else b"",
    )
    return TakeOver(conversation, stream_media(request, not tty and request.upgrade), request.upgrade)


async def logs(engine: Engine, request: Request) -> Reply:
    query = request.query
    stdout, stderr = query.flag("stdout"), query.flag("stderr")
    view = engine.containers.view(request.params["id"])
    if not (stdout or stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    if view.request.log_driver == "none":
        raise Unsupported("configured logging driver does not support reading")
    asked = LogRequest(
        stdout=stdout,
        stderr=stderr,
        follow=query.flag("follow"),
        since_ns=parse_unix(query.text("since"), "since"),
        until_ns=parse_unix(query.text("until"), "until"),
        tail=_tail(query.text("tail")),
    )
    framed = not view.request.tty
    return Stream(_log_lines(engine, view, asked, framed, query.flag("timestamps")), stream_media(request, framed))


def _tail(text: str) -> int | None:
    """How many lines from the end; None for all, which is also what Docker makes of anything else."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


async def _log_lines(
    engine: Engine, view: ContainerView, asked: LogRequest, framed: bool, timestamps: bool
) -> AsyncIterator[bytes]:
    async with closing(engine.containers.logs(view.id, asked)) as lines:
        async for line in lines:
            data = fixed_stamp(line.time_ns).encode() + b" " + line.data if timestamps else line.data
            yield frame(line.stream, data) if framed else data


async def wait(engine: Engine, request: Request) -> Reply:
    text = request.query.text("condition") or WaitCondition.NOT_RUNNING.value
    try:
        condition = WaitCondition(text)
    except ValueError:
        raise InvalidArgument(f'invalid condition: "{text}"') from None
    exit_status = await engine.containers.wait(request.params["id"], condition)

    async def answer() -> AsyncIterator[bytes]:
        try:
            status = await exit_status
        except SealaneError as error:  # the head is out already
            yield json_bytes(WaitAnswer(-1, WaitError(error.message)))
            return
        if status.error:
            yield json_bytes(WaitAnswer(status.code, WaitError(status.error)))
        else:
            yield json_bytes(WaitAnswer(status.code))

    return Stream(answer())


async def stats(engine: Engine, request: Request) -> Reply:
    view = engine.containers.view(request.params["id"])
    once = not request.query.flag("stream", True)
    one_shot = request.query.flag("one-shot")
    if one_shot and not once:
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    return Stream(_readings(engine, view.id, once=once, one_shot=one_shot))


async def _readings(engine: Engine, ref: str, *, once: bool, one_shot: bool) -> AsyncIterator[bytes]:
    """One reading a second until the container is gone. A single one is taken against one a second before."""
    before: StatsSample | None = None
    if once and not one_shot:
        before = await _sample(engine, ref)
        if before is not None:
            await asyncio.sleep(_STATS_INTERVAL_S)
    while True:
        try:
            view = engine.containers.view(ref)
        except NotFound:
            return
        sample = await _sample(engine, ref)
        yield json_bytes(shown_stats(view, sample, before))
        if once:
            return
        before = sample
        await asyncio.sleep(_STATS_INTERVAL_S)


async def _sample(engine: Engine, ref: str) -> StatsSample | None:
    """None while there is nothing to be read."""
    try:
        if engine.containers.view(ref).state.status not in (Status.RUNNING, Status.PAUSED):
            return None
        return await engine.containers.stats(ref)
    except SealaneError:
        return None


async def attach_websocket(engine: Engine, request: Request) -> Reply:
    raise Unsupported("attaching over a websocket is not served yet; use POST /containers/{id}/attach")


ROUTES: Final = (
    Route("POST", "/containers/{id}/attach", attach),
    Route(
        "GET", "/containers/{id}/attach/ws", attach_websocket, refused="attaching over a websocket is not served yet"
    ),
    Route("GET", "/containers/{id}/logs", logs),
    Route("POST", "/containers/{id}/wait", wait),
    Route("GET", "/containers/{id}/stats", stats),
)
