"""``sealane attach``: join the standard streams of a running container."""

from __future__ import annotations

from sealane.cli.attachment import SignalDesk, caught_signals, join, wait_readable
from sealane.cli.commands.run import attach, exit_code
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, switch, text
from sealane.cli.keys import parse_keys, wanted_keys
from sealane.cli.terminal import SignalPipe
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    container = app.engine.get(path("containers", args.operands[0], "json"))
    _check_state(container["State"])
    config = container["Config"]
    stdin = not args.flag("no-stdin") and bool(config["OpenStdin"])
    tty = bool(config["Tty"])
    if tty and stdin and not app.in_is_terminal():
        app.complain("the input device is not a TTY")
        return 1
    return attach_running(
        app, container["Id"], tty=tty, stdin=stdin, keys=wanted_keys(app, args), forward=args.flag("sig-proxy")
    )


def attach_running(app: App, container: str, *, tty: bool, stdin: bool, keys: str, forward: bool) -> int:
    """Stay attached until the container ends (its exit code) or the user detaches."""
    try:
        sequence = parse_keys(keys)
    except ValueError as error:
        raise Failure(str(error)) from None
    forward = forward and not tty  # on a terminal the keys themselves travel
    with SignalPipe(caught_signals(tty=tty, forward=forward)) as pipe:
        resize_path = path("containers", container, "resize") if tty else ""
        desk = SignalDesk(app, pipe, resize_path=resize_path, forward_to=container if forward else "")
        waiting = app.engine.call("POST", path("containers", container, "wait"))
        streams = ("stdin", "stdout", "stderr") if stdin else ("stdout", "stderr")
        stream = attach(app, container, streams, keys)
        desk.redraw()
        if not join(app, stream, desk, tty=tty, stdin=stdin, keys=sequence):
            raise Failure("read escape sequence")
        wait_readable(desk, waiting.fileno())
        return exit_code(waiting)


def _check_state(state: dict[str, object]) -> None:
    if not state["Running"]:
        raise Failure("You cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise Failure("You cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise Failure("You cannot attach to a restarting container, wait until it is running")


ATTACH = Command(
    "attach",
    "CONTAINER",
    "Join the standard streams of a running container",
    run,
    (
        text("detach-keys", "", "Key sequence for detaching from the container"),
        switch("no-stdin", "", "Do not attach standard input"),
        switch("sig-proxy", "", "Forward signals to the process", default=True),
    ),
    least=1,
    most=1,
    aliases=("container attach", "attach"),
    complete="running",
)
