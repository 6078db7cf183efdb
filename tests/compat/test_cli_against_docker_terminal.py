"""On a terminal, ``sealane`` does what the real ``docker`` does: each test runs with both, with one expectation."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from support.drawing import Cli
from support.engine import BIN, Engine
from support.poll import until
from support.terminal import Terminal

SHELL = "/ # $"
#: Says which signal came and ends with 4.
TRAPS = (
    'for s in HUP INT QUIT TERM USR1 USR2 ALRM CONT; do trap "echo got $s; exit 4" $s; done; '
    "echo up; while :; do sleep 0.1; done"
)
DEAF = "trap 'echo not me' INT TERM; echo up; while :; do sleep 0.1; done"


@pytest.fixture(params=["sealane", "docker"])
def cli(engine: Engine, request: pytest.FixtureRequest) -> Cli:
    return Cli(engine, request.param)


def status(cli: Cli, name: str) -> str:
    return cli("inspect", "-f", "{{.State.Status}}", name).line


def test_detaching_and_coming_back(cli: Cli) -> None:
    with cli.terminal("run", "-it", "--name", "box", "busybox", "sh") as terminal:
        terminal.expect(SHELL)
        terminal.type("\x10\x11")
        assert terminal.wait() == 0
    assert status(cli, "box") == "running"

    with cli.terminal("attach", "box") as terminal:
        terminal.expect(SHELL)  # painted anew, though nothing was typed
        terminal.type("echo a''b\n")
        terminal.expect("ab\n")
        terminal.type("\x10x")  # not the sequence: both keys go through
        terminal.type("\x03")
        terminal.expect(SHELL)
        terminal.type("\x10")
        terminal.type("\x11")
        assert (terminal.wait(), terminal.screen.splitlines()[-1]) == (1, "/ # read escape sequence")

    with cli.terminal("attach", "--detach-keys", "ctrl-x,x", "box") as terminal:
        terminal.expect(SHELL)
        terminal.type("\x18x")
        assert terminal.wait() == 1
    assert status(cli, "box") == "running"

    with cli.terminal("attach", "box") as terminal:
        terminal.expect(SHELL)
        terminal.type("exit 5\n")
        assert terminal.wait() == 5


def test_detach_keys_of_the_user(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"detachKeys": "ctrl-k,d"}')
    with cli.terminal("--config", str(tmp_path), "run", "-it", "--name", "box", "busybox", "sh") as terminal:
        terminal.expect(SHELL)
        terminal.type("\x0bd")
        assert terminal.wait() == 0
    assert status(cli, "box") == "running"


def test_detaching_from_a_further_process(cli: Cli) -> None:
    cli("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    with cli.terminal("exec", "-it", "box", "sh") as terminal:
        terminal.expect(SHELL)
        terminal.type("\x10\x11")
        assert (terminal.wait(), terminal.screen.splitlines()[-1]) == (1, "/ # read escape sequence")


def test_starting_a_container_with_its_terminal(cli: Cli) -> None:
    cli("create", "-it", "--name", "box", "busybox", "sh")
    with cli.terminal("start", "-ai", "box", rows=20, columns=70) as terminal:
        terminal.expect(SHELL)
        terminal.type("stty size\n")
        assert terminal.expect(r"\d+ \d+\n").splitlines()[-1] == "20 70"
        terminal.expect(SHELL)
        terminal.resize(21, 71)
        terminal.type("until stty size | grep '21 71'; do :; done\n")
        terminal.expect("^21 71")
        terminal.expect(SHELL)
        terminal.type("exit 6\n")
        assert terminal.wait() == 6


@pytest.mark.parametrize("options", [(), ("-t",), ("-i",)], ids=["plain", "tty", "stdin"])
def test_an_interrupt_reaches_the_process(cli: Cli, options: tuple[str, ...]) -> None:
    with cli.terminal("run", *options, "--rm", "busybox", "sh", "-c", TRAPS) as terminal:
        terminal.expect("up")
        terminal.type("\x03")
        terminal.expect("got INT")
        assert terminal.wait() == 4


def test_who_ignores_interrupts_is_left_at_the_third(cli: Cli) -> None:
    with cli.terminal("run", "--name", "box", "busybox", "sh", "-c", DEAF) as terminal:
        terminal.expect("up")
        for _ in range(3):
            terminal.type("\x03")
            terminal.expect("not me|forcefully exiting")
        terminal.wait()
        assert "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n" in terminal.screen
        assert terminal.wait() == 1
    assert status(cli, "box") == "running"


def test_an_interrupt_ends_what_only_looks(cli: Cli) -> None:
    cli("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo up; exec sleep 1000")
    with cli.terminal("logs", "-f", "box") as terminal:
        terminal.expect("up")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert status(cli, "box") == "running"


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "CONT"])
def test_signals_are_forwarded(cli: Cli, name: str) -> None:
    with cli.background("run", "--rm", "busybox", "sh", "-c", TRAPS) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.Signals[f"SIG{name}"])

        assert (process.stdout.read(), process.wait(20)) == (f"got {name}\n".encode(), 4)


def test_no_terminal_no_tty(cli: Cli) -> None:
    for words in (["run", "-it", "busybox"], ["exec", "-it", "box", "sh"]):
        cli("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=False)
        assert cli.refuses(*words) == "the input device is not a TTY\n"


def test_much_is_pasted(cli: Cli) -> None:
    """More than fits into any buffer, and the process reads it late."""
    script = "stty -echo; echo rdy; head -c 300000 | md5sum"
    with cli.terminal("run", "-it", "--rm", "busybox", "sh", "-c", script) as terminal:
        terminal.expect("rdy")
        typist = threading.Thread(target=terminal.type, args=(("x" * 99 + "\n") * 3100,))
        typist.start()
        assert terminal.expect(r"[0-9a-f]{32}").endswith("e1d42b6bdf6aa2129e26e52ca4306d5a")
        assert terminal.wait() == 0
        typist.join()


def test_much_goes_through_pipes(cli: Cli) -> None:
    data = bytes(range(256)) * 40_000
    with cli.background("run", "-i", "--rm", "busybox", "cat") as process:
        echoed, _ = process.communicate(data)

    assert echoed == data


def test_a_reader_that_leaves_is_no_disaster(cli: Cli) -> None:
    with cli.background("run", "--name", "box", "busybox", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(20) != 0
    until(lambda: status(cli, "box") == "running", "the container goes on")


def test_the_screen_is_cooked_again_afterwards(cli: Cli) -> None:
    """A shell on the same terminal goes on as if nothing had been."""
    program = str(BIN / "sealane") if cli.program == "sealane" else "docker"
    script = f"{program} run -it --rm busybox true; {program} run -it --rm nosuch:1; stty -a"
    with Terminal(["sh", "-c", script], env=cli.engine.environ) as terminal:
        terminal.expect(r" icanon.* echo ")
        assert " -echo " not in terminal.screen
