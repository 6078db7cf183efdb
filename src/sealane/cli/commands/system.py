"""``sealane system start``, ``stop`` and ``status``: the engine's process, for people without systemd."""

from __future__ import annotations

import os

from sealane.cli import daemons
from sealane.cli.grammar import Command, number, switch, text
from sealane.client.address import DEFAULT_SOCKET
from sealane.client.engine import path
from sealane.errors import SealaneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

_RUN_DIR: Final = os.path.dirname(DEFAULT_SOCKET)
_NOT_RUNNING: Final = 3  # what init scripts return for a service that is not running


def _start(app: App, args: Args) -> int:
    run_dir = _run_dir(args)
    pid = daemons.running(run_dir)
    if pid:
        app.say(f"The engine is already running (pid {pid}).")
        return 0
    passed = []
    for name in ("root", "run-dir", "config"):
        if args.given(name):  # the engine runs in another directory than we
            passed += [f"--{name}", os.path.abspath(args.text(name))]
    if args.given("host"):
        passed += ["--host", args.text("host")]
    log = os.path.abspath(args.text("log-file") or os.path.join(run_dir, "sealaned.log"))
    address = args.text("host") or f"unix://{os.path.join(run_dir, 'sealane.sock')}"
    pid = daemons.start(passed, run_dir=run_dir, log=log, address=address, seconds=args.number("timeout") or 0)
    app.say(f"The engine is running (pid {pid}) and listens on {address}.")
    app.say(f"Its log goes to {log}.")
    return 0


def _stop(app: App, args: Args) -> int:
    run_dir, seconds = _run_dir(args), args.number("timeout") or 0
    pid = daemons.running(run_dir)
    if args.flag("all") and pid:
        _stop_containers(app, run_dir)
    if pid:
        daemons.stop(pid, seconds)
        app.say(f"The engine has ended (pid {pid}).")
    else:
        app.say("The engine is not running.")
    if args.flag("all"):
        for name, helper in daemons.helpers(run_dir):
            daemons.stop(helper, seconds)
            app.say(f"{name} has ended (pid {helper}).")
    elif pid:
        app.say("Containers keep running; 'sealane system stop --all' stops them too.")
    return 0


def _run_dir(args: Args) -> str:
    return os.path.abspath(args.text("run-dir"))


def _engine_address(app: App, run_dir: str) -> str:
    return app.asked_host or f"unix://{os.path.join(run_dir, 'sealane.sock')}"


def _stop_containers(app: App, run_dir: str) -> None:
    from sealane.cli.app import App as OtherApp

    engine = OtherApp(_engine_address(app, run_dir), app.environ).engine
    for container in engine.get("/containers/json"):
        name = container["Names"][0].removeprefix("/")
        try:
            engine.call("POST", path("containers", container["Id"], "stop"))
            app.say(f"Container {name} has stopped.")
        except SealaneError as error:
            app.complain(f"cannot stop container {name}: {error.message}")


def _status(app: App, args: Args) -> int:
    run_dir = _run_dir(args)
    pid = daemons.running(run_dir)
    address = _engine_address(app, run_dir)
    app.say(f"Engine:      {f'running (pid {pid})' if pid else 'not running'}")
    app.say(f"Socket:      {address}")
    answers = _facts(app, address)
    for name, helper in daemons.helpers(run_dir):
        app.say(f"{name + ':':<12} running (pid {helper})")
    return 0 if pid and answers else _NOT_RUNNING


def _facts(app: App, address: str) -> bool:
    """What the engine itself says, when it answers."""
    from sealane.cli.app import App as OtherApp

    engine = OtherApp(address, app.environ).engine
    try:
        version, info = engine.get("/version"), engine.get("/info")
    except SealaneError as error:
        app.complain(error.message)
        return False
    app.say(f"Version:     {version['Version']} (API {version['ApiVersion']})")
    app.say(f"Containers:  {info['Containers']} ({info['ContainersRunning']} running)")
    return True


_RUN_DIR_OPTION = text(
    "run-dir", "", "Directory of sockets and other things that do not outlive a boot", default=_RUN_DIR
)

START = Command(
    "system start",
    "",
    "Start the engine in the background",
    _start,
    (
        text("config", "", "Configuration file of the engine"),
        text("host", "", "Address to listen on"),
        text("log-file", "", "Where its log goes (default: sealaned.log in the run directory)"),
        text("root", "", "Directory of its state"),
        _RUN_DIR_OPTION,
        number("timeout", "", "Seconds to wait until it answers", default="30"),
    ),
    most=0,
)
STOP = Command(
    "system stop",
    "",
    "Stop the engine; containers keep running",
    _stop,
    (
        switch("all", "a", "Stop the containers first, and the resolver and the relay too"),
        _RUN_DIR_OPTION,
        number("timeout", "t", "Seconds to wait before SIGKILL", default="30"),
    ),
    most=0,
)
STATUS = Command("system status", "", "Show whether the engine is running", _status, (_RUN_DIR_OPTION,), most=0)
