"""``sealane exec``: run a further process in a running container."""

from __future__ import annotations

import os

from sealane.cli.environment import check_variable, environment
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, many, switch, text
from sealane.cli.keys import parse_keys, wanted_keys
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject


def run(app: App, args: Args) -> int:
    detach, tty = args.flag("detach"), args.flag("tty")
    stdin = args.flag("interactive") and not detach
    body = _body(app, args, stdin=stdin, attach=not detach)
    if tty and stdin and not app.in_is_terminal():
        app.engine.get(path("containers", args.operands[0], "json"))  # that it is missing is told first
        raise Failure("the input device is not a TTY")
    exec_id = app.engine.post(path("containers", args.operands[0], "exec"), {}, body)["Id"]
    start: JsonObject = {"Detach": detach, "Tty": tty}
    if "ConsoleSize" in body:
        start["ConsoleSize"] = body["ConsoleSize"]
    if detach:
        app.engine.post(path("exec", exec_id, "start"), {}, start)
        return 0
    return _attached(app, args, exec_id, start, stdin=stdin)


def _body(app: App, args: Args, *, stdin: bool, attach: bool) -> JsonObject:
    try:
        variables = environment(args.many("env-file"), args.many("env"), os.environ)
    except ValueError as error:
        raise Failure(str(error), 125) from None
    body: JsonObject = {
        "AttachStdin": stdin,
        "AttachStdout": attach,
        "AttachStderr": attach,
        "Cmd": args.operands[1:],
        "Env": variables or None,
        "Privileged": args.flag("privileged"),
        "Tty": args.flag("tty"),
        "User": args.text("user"),
        "WorkingDir": args.text("workdir"),
    }
    if wanted_keys(app, args):
        body["DetachKeys"] = wanted_keys(app, args)
    if args.flag("tty"):
        from sealane.cli.terminal import size

        window = size()
        if window:
            body["ConsoleSize"] = list(window)
    return body


def _attached(app: App, args: Args, exec_id: str, start: JsonObject, *, stdin: bool) -> int:
    from sealane.cli.attachment import SignalDesk, caught_signals, join
    from sealane.cli.terminal import SignalPipe

    tty = args.flag("tty")
    try:
        keys = parse_keys(wanted_keys(app, args))
    except ValueError as error:
        raise Failure(str(error), 125) from None
    with SignalPipe(caught_signals(tty=tty, forward=False)) as pipe:
        desk = SignalDesk(app, pipe, resize_path=path("exec", exec_id, "resize") if tty else "")
        stream = app.engine.take_over(path("exec", exec_id, "start"), {}, start)
        if not join(app, stream, desk, tty=tty, stdin=stdin, keys=keys):
            raise Failure("read escape sequence")
    return int(app.engine.get(path("exec", exec_id, "json"))["ExitCode"] or 0)


EXEC = Command(
    "exec",
    "CONTAINER COMMAND [ARG...]",
    "Run a command in a running container",
    run,
    (
        switch("detach", "d", "Run it in the background"),
        text("detach-keys", "", "Key sequence for detaching from the process"),
        many("env", "e", "Set an environment variable", check=check_variable),
        many("env-file", "", "Read environment variables from a file"),
        switch("interactive", "i", "Keep standard input open"),
        switch("privileged", "", "All capabilities for the process"),
        switch("tty", "t", "Give it a terminal"),
        text("user", "u", "User (name or number[:group])"),
        text("workdir", "w", "Working directory"),
    ),
    least=2,
    passes_on=True,
    aliases=("container exec", "exec"),
    complete="running",
)
