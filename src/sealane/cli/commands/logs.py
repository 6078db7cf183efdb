"""``sealane logs``: what a container wrote."""

from __future__ import annotations

import time

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, switch, text
from sealane.cli.units import engine_timestamp
from sealane.client.engine import path
from sealane.client.frames import STDERR, SYSTEM_ERROR, FrameReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    container = app.engine.get(path("containers", args.operands[0], "json"))
    query = {
        "stdout": True,
        "stderr": True,
        "follow": args.flag("follow"),
        "timestamps": args.flag("timestamps"),
        "details": args.flag("details"),
        "tail": args.text("tail"),
        "since": _moment(args, "since"),
        "until": _moment(args, "until"),
    }
    reply = app.engine.call("GET", path("containers", container["Id"], "logs"), query)
    frames = None if container["Config"]["Tty"] else FrameReader()
    chunks = reply.chunks() if not reply.raw else iter(reply.take_over().read, b"")
    for chunk in chunks:
        if frames is None:
            app.write_bytes(chunk)
            continue
        for number, piece in frames.feed(chunk):
            app.write_bytes(piece, error=number in (STDERR, SYSTEM_ERROR))
    return 0


def _moment(args: Args, name: str) -> str | None:
    try:
        return engine_timestamp(args.text(name), time.time()) or None
    except ValueError as error:
        raise Failure(f'invalid value for "{name}": {error}') from None


LOGS = Command(
    "logs",
    "CONTAINER",
    "Show what a container wrote",
    run,
    (
        switch("details", "", "Show the attributes of the log too"),
        switch("follow", "f", "Go on with what is written from now on"),
        text("since", "", "Only from this time on (a date, or 42m for the last 42 minutes)"),
        text("tail", "n", "Only so many lines from the end", default="all"),
        switch("timestamps", "t", "Show the time of each line"),
        text("until", "", "Only up to this time"),
    ),
    least=1,
    most=1,
    aliases=("container logs", "logs"),
    complete="container",
)
