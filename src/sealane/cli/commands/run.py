"""``sealane run``: create a container, start it, and stay attached unless told otherwise."""

from __future__ import annotations

from sealane.cli import creating
from sealane.cli.container_body import attached_streams
from sealane.cli.container_options import CONTAINER_OPTIONS
from sealane.cli.failures import Failure, describe
from sealane.cli.grammar import Command, switch, text
from sealane.cli.keys import parse_keys, wanted_keys
from sealane.client.engine import path
from sealane.client.errors import ApiError
from sealane.client.jsons import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.attachment import SignalDesk
    from sealane.cli.grammar import Args
    from sealane.client.connection import RawStream, Reply
    from sealane.client.types import JsonObject

_NOT_FOUND: Final = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_NOT_EXECUTABLE: Final = ("permission denied", "is a directory", "exec format error")


def run(app: App, args: Args) -> int:
    body = creating.prepare(app, args)
    tty, stdin = args.flag("tty"), body["AttachStdin"]
    if args.flag("detach") and args.many("attach"):
        raise Failure("conflicting options: cannot specify both --attach and --detach", plain=True)
    if tty and stdin and not app.in_is_terminal():
        raise Failure("the input device is not a TTY", plain=True)
    streams = attached_streams(args)
    if not streams:
        return _detached(app, args, body)
    from sealane.cli.attachment import SignalDesk, caught_signals
    from sealane.cli.terminal import SignalPipe, size

    window = size() if tty else None
    if window:
        body["HostConfig"]["ConsoleSize"] = list(window)
    forward = args.flag("sig-proxy")
    with SignalPipe(caught_signals(tty=tty, forward=forward)) as pipe:
        container = create(app, args, body)
        resize_path = path("containers", container, "resize") if tty else ""
        desk = SignalDesk(app, pipe, resize_path=resize_path, forward_to=container if forward else "")
        return _attached(app, args, container, streams, desk)


def _detached(app: App, args: Args, body: JsonObject) -> int:
    container = create(app, args, body)
    try:
        start(app, container)
        return 0
    finally:
        app.say(container)  # also when the start failed: the container exists and wants to be found


def create(app: App, args: Args, body: JsonObject) -> str:
    """Create; a refusal becomes a Failure with the exit code that shells use for it."""
    try:
        return creating.create(app, args, body)
    except (ApiError, Failure) as error:
        raise Failure(describe(error), start_code(error.message)) from None


def start(app: App, container: str) -> None:
    """Start; a refusal becomes a Failure with the exit code that shells use for it."""
    try:
        app.engine.call("POST", path("containers", container, "start"))
    except ApiError as error:
        raise Failure(describe(error), start_code(error.message)) from None


def start_code(message: str) -> int:
    """127: the command is not there; 126: it cannot be executed; 125: anything else."""
    lowered = message.lower()
    if any(words in lowered for words in _NOT_FOUND):
        return 127
    return 126 if any(words in lowered for words in _NOT_EXECUTABLE) else 125


def _attached(app: App, args: Args, container: str, streams: tuple[str, ...], desk: SignalDesk) -> int:
    from sealane.cli.attachment import join, wait_readable

    stream = attach(app, container, streams, wanted_keys(app, args))
    waiting = app.engine.call("POST", path("containers", container, "wait"), {"condition": _condition(args)})
    finished = join(
        app,
        stream,
        desk,
        tty=args.flag("tty"),
        stdin="stdin" in streams,
        keys=_keys(app, args),
        started=lambda: start(app, container),
    )
    if not finished:
        return 0
    wait_readable(desk, waiting.fileno())
    return exit_code(waiting)


def _condition(args: Args) -> str:
    return "removed" if args.flag("rm") else "next-exit"


def _keys(app: App, args: Args) -> bytes:

    try:
        return parse_keys(wanted_keys(app, args))
    except ValueError as error:
        raise Failure(str(error), 125) from None


def attach(app: App, container: str, streams: tuple[str, ...], keys: str, *, logs: bool = False) -> RawStream:
    """Take the connection over for the given streams."""
    query: dict[str, object] = {"stream": True, "logs": logs, "detachKeys": keys or None}
    query |= dict.fromkeys(streams, True)
    try:
        return app.engine.take_over(path("containers", container, "attach"), query)
    except ApiError as error:
        raise Failure(describe(error), plain=True) from None


def exit_code(waiting: Reply) -> int:
    """The exit code in the reply to a wait."""
    answer = loads(waiting.read())
    problem = (answer.get("Error") or {}).get("Message")
    if problem:
        raise Failure(f"Error waiting for container: {problem}", 125)
    return int(answer["StatusCode"])


RUN = Command(
    "run",
    "IMAGE [COMMAND] [ARG...]",
    "Create and run a container",
    run,
    (
        *CONTAINER_OPTIONS,
        switch("detach", "d", "Leave it running in the background and print its id"),
        text("detach-keys", "", "Key sequence for detaching from the container"),
        switch("sig-proxy", "", "Forward signals to the process", default=True),
    ),
    least=1,
    passes_on=True,
    aliases=("container run", "run"),
    complete="image",
    error_code=125,
)
