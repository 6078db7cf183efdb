"""``sealane start``: start stopped containers, attached on demand."""

from __future__ import annotations

from sealane.cli.failures import Failure, describe
from sealane.cli.grammar import Command, switch, text
from sealane.cli.keys import parse_keys, wanted_keys
from sealane.client.engine import path
from sealane.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    if args.text("checkpoint") or args.text("checkpoint-dir"):
        raise Failure("checkpoints are not supported")
    if args.flag("attach") or args.flag("interactive"):
        if len(args.operands) > 1:
            raise Failure("you cannot start and attach multiple containers at once")
        return _start_attached(app, args)
    failed = []
    for name in args.operands:
        try:
            app.engine.call("POST", path("containers", name, "start"))
            app.say(name)
        except ApiError as error:
            app.complain(describe(error))
            failed.append(name)
    if failed:
        raise Failure(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start_attached(app: App, args: Args) -> int:
    from sealane.cli.attachment import SignalDesk, caught_signals, join, wait_readable
    from sealane.cli.commands.run import attach, exit_code
    from sealane.cli.terminal import SignalPipe

    info = app.engine.get(path("containers", args.operands[0], "json"))
    container, tty = info["Id"], bool(info["Config"]["Tty"])
    stdin = args.flag("interactive") and bool(info["Config"]["OpenStdin"])
    if tty and stdin and not app.in_is_terminal():
        app.complain("the input device is not a TTY")
        return 1
    try:
        keys = parse_keys(wanted_keys(app, args))
    except ValueError as error:
        raise Failure(str(error)) from None
    streams = ("stdin", "stdout", "stderr") if stdin else ("stdout", "stderr")
    with SignalPipe(caught_signals(tty=tty, forward=not tty)) as pipe:
        resize_path = path("containers", container, "resize") if tty else ""
        desk = SignalDesk(app, pipe, resize_path=resize_path, forward_to="" if tty else container)
        stream = attach(app, container, streams, wanted_keys(app, args))
        removed = bool(info["HostConfig"].get("AutoRemove"))
        waiting = app.engine.call(
            "POST", path("containers", container, "wait"), {"condition": "removed" if removed else "next-exit"}
        )
        start_path = path("containers", container, "start")
        if not join(app, stream, desk, tty=tty, stdin=stdin, keys=keys, started=lambda: _start(app, start_path)):
            return 0
        wait_readable(desk, waiting.fileno())
        return exit_code(waiting)


def _start(app: App, start_path: str) -> None:
    app.engine.call("POST", start_path)


START = Command(
    "start",
    "CONTAINER [CONTAINER...]",
    "Start stopped containers",
    run,
    (
        switch("attach", "a", "Attach output, forward signals, and return the exit code"),
        text("checkpoint", "", "Not supported", hidden=True),
        text("checkpoint-dir", "", "Not supported", hidden=True),
        text("detach-keys", "", "Key sequence for detaching from the container"),
        switch("interactive", "i", "Attach standard input"),
    ),
    least=1,
    aliases=("container start", "start"),
    complete="container",
)
