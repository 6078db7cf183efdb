"""The verbs that do one thing to each named container: stop, restart, kill, pause, unpause, wait; and rename."""

from __future__ import annotations

from sealane.cli.failures import Failure, describe
from sealane.cli.grammar import Command, number, text
from sealane.client.engine import path
from sealane.client.errors import ApiError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def for_each(app: App, names: list[str], act: Callable[[str], str]) -> int:
    """Act on each name and print what comes back; failures are told, and do not keep the others from it."""
    code = 0
    for name in names:
        try:
            app.say(act(name))
        except (ApiError, Unreachable) as error:
            app.complain(describe(error))
            code = 1
    return code


def _post(app: App, name: str, verb: str, **query: object) -> str:
    app.engine.call("POST", path("containers", name, verb), query)
    return name


def _timed(verb: str) -> Callable[[App, Args], int]:
    def run(app: App, args: Args) -> int:
        signal, seconds = args.text("signal") or None, args.number("timeout")
        if seconds is None:
            seconds = args.number("time")
        return for_each(app, args.operands, lambda name: _post(app, name, verb, signal=signal, t=seconds))

    return run


def _kill(app: App, args: Args) -> int:
    signal = args.text("signal") or None
    return for_each(app, args.operands, lambda name: _post(app, name, "kill", signal=signal))


def _plain(verb: str) -> Callable[[App, Args], int]:
    return lambda app, args: for_each(app, args.operands, lambda name: _post(app, name, verb))


def _wait(app: App, args: Args) -> int:
    def wait(name: str) -> str:
        answer = app.engine.post(path("containers", name, "wait"))
        return str(answer["StatusCode"])

    return for_each(app, args.operands, wait)


def _rename(app: App, args: Args) -> int:
    old, new = (name.strip() for name in args.operands)
    if not old or not new:
        raise Failure("Error: Neither old nor new names may be empty")
    try:
        app.engine.call("POST", path("containers", old, "rename"), {"name": new})
    except ApiError as error:
        app.complain(describe(error))
        raise Failure(f"Error: failed to rename container named {old}") from None
    return 0


_TIMED_OPTIONS = (
    text("signal", "s", "Signal to send first"),
    number("timeout", "t", "Seconds to wait before SIGKILL"),
    number("time", "", "Same as --timeout", deprecated="use --timeout instead"),
)
_NAMES = "CONTAINER [CONTAINER...]"

STOP = Command(
    "stop", _NAMES, "Stop running containers", _timed("stop"), _TIMED_OPTIONS,
    least=1, aliases=("container stop", "stop"), complete="running",
)  # fmt: skip
RESTART = Command(
    "restart", _NAMES, "Restart containers", _timed("restart"), _TIMED_OPTIONS,
    least=1, aliases=("container restart", "restart"), complete="container",
)  # fmt: skip
KILL = Command(
    "kill", _NAMES, "Send a signal to running containers (SIGKILL by default)", _kill,
    (text("signal", "s", "Signal to send"),),
    least=1, aliases=("container kill", "kill"), complete="running",
)  # fmt: skip
PAUSE = Command(
    "pause", _NAMES, "Freeze all processes of containers", _plain("pause"),
    least=1, aliases=("container pause", "pause"), complete="running",
)  # fmt: skip
UNPAUSE = Command(
    "unpause", _NAMES, "Let frozen containers go on", _plain("unpause"),
    least=1, aliases=("container unpause", "unpause"), complete="running",
)  # fmt: skip
WAIT = Command(
    "wait", _NAMES, "Wait until containers stop and print their exit codes", _wait,
    least=1, aliases=("container wait", "wait"), complete="running",
)  # fmt: skip
RENAME = Command(
    "rename", "CONTAINER NEW_NAME", "Give a container another name", _rename,
    least=2, most=2, aliases=("container rename", "rename"), complete="container",
)  # fmt: skip
