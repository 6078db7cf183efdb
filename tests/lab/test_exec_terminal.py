"""Item 3: ``exec -it`` gives a real terminal, and two containers on the default bridge reach each other by address."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

import pytest

from lab.marks import ours
from support.drawing import Cli, Lab
from support.images import CENTOS
from support.poll import until
from support.terminal import Terminal

PROMPT = r"root@[0-9a-f]{12}:/# $"


@pytest.fixture
def srv1(cli: Cli) -> str:
    cli("run", "-it", "--name", "srv1", "-d", CENTOS)
    return "srv1"


@pytest.fixture
def bash(cli: Cli, srv1: str) -> Iterator[Terminal]:
    """``exec -it srv1 bash``, at its prompt."""
    with cli.terminal("exec", "-it", srv1, "bash") as terminal:
        terminal.expect(PROMPT)
        yield terminal


def _ask(terminal: Terminal, line: str) -> str:
    """Type *line*; what is printed before the next prompt."""
    terminal.type(f"{line}\n")
    seen = terminal.expect(PROMPT)
    return seen.partition("\n")[2].rpartition("\n")[0]


def test_the_tutorial_s_exec(lab: Lab, cli: Cli, bash: Terminal) -> None:
    cli("run", "-it", "--name", "srv2", "-d", CENTOS)
    gateway = lab.subnet("bridge")["Gateway"]
    addresses = [cli("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).line for name in ("srv1", "srv2")]
    prefix = gateway.rpartition(".")[0]
    assert addresses == [f"{prefix}.2", f"{prefix}.3"], "the first free ones, in order"

    assert _ask(bash, "hostname -i").strip() == addresses[0]
    pinged = _ask(bash, f"ping -c 2 {addresses[1]}")
    assert f"64 bytes from {addresses[1]}: icmp_seq=1" in pinged
    assert "2 packets transmitted, 2 received, 0% packet loss" in pinged
    assert "not known" in _ask(bash, "ping -c 1 srv2"), "the default bridge gives no names"
    assert _ask(bash, "hostname") == cli("ps", "-q", "-f", "name=srv1").line


def test_it_is_a_terminal(bash: Terminal) -> None:
    assert re.fullmatch(r"/dev/pts/\d+", _ask(bash, "tty"))
    assert _ask(bash, "test -t 0 -a -t 1 -a -t 2 && echo all three") == "all three"
    assert _ask(bash, "echo $TERM") == "xterm"
    assert _ask(bash, "stty -a | grep -o ' echo '") == " echo "


def test_the_window_s_size_follows(bash: Terminal) -> None:
    assert _ask(bash, "stty size") == "24 80"
    bash.resize(50, 132)
    until(lambda: _ask(bash, "stty size") == "50 132", "the new size has come through")


def test_job_control_and_ctrl_c(bash: Terminal) -> None:
    assert _ask(bash, "sleep 1000 & jobs").endswith("sleep 1000 &")
    bash.type("fg\n")
    _press_until(bash, "\x1a", r"\[1\]\+  Stopped +sleep 1000")
    bash.expect(PROMPT)
    bash.type("fg\n")
    _press_until(bash, "\x03", PROMPT)
    assert _ask(bash, "echo $?; jobs") == "130"


def _press_until(bash: Terminal, key: str, pattern: str) -> None:
    """The shell says what it brings to the foreground before it does: a key that comes in between is for nobody."""
    bash.expect(r"^sleep 1000$")
    for _ in range(20):
        bash.type(key)
        with contextlib.suppress(AssertionError):
            bash.expect(pattern, timeout_s=1)
            return
    bash.expect(pattern)


def test_colours_and_all_bytes_come_through(cli: Cli, srv1: str) -> None:
    with cli.terminal(
        "exec", "-it", srv1, "sh", "-c", "ls --color=auto -d /etc | od -c | head -1; ls --color=auto -d /etc; echo ende"
    ) as terminal:
        terminal.expect("ende")
        assert terminal.wait() == 0
        assert "\x1b" not in terminal.screen, "what paints is not text"
        assert "/   e   t   c" in terminal.screen, "a pipe is not painted"
        assert "01;34m" in terminal.raw, "a terminal is"


@pytest.mark.parametrize(("options", "keys"), [((), "\x10\x11"), (("--detach-keys", "ctrl-x,q"), "\x18q")])
def test_detach_keys_leave_the_process_running(cli: Cli, srv1: str, options: tuple[str, ...], keys: str) -> None:
    with cli.terminal("exec", "-it", *options, srv1, "bash") as terminal:
        terminal.expect(PROMPT)
        terminal.type("sleep 1234\n")
        terminal.expect("1234")
        until(lambda: "sleep 1234" in cli("top", srv1).out, "the command runs")
        terminal.type(keys)
        assert terminal.wait() == 1
        assert "read escape sequence" in terminal.screen
    assert "sleep 1234" in cli("top", srv1).out


def test_attach_and_detach(cli: Cli, srv1: str) -> None:
    for expected in ("first", "second"):
        with cli.terminal("attach", srv1) as terminal:
            terminal.wait_for_keys()
            terminal.type(f"echo {expected}-$((40 + 2))\n")
            terminal.expect(f"^{expected}-42$")
            terminal.type("\x10\x11")
            assert terminal.wait() == 1
            assert "read escape sequence" in terminal.screen
    assert cli("ps", "-q", "-f", "name=srv1").line
    with cli.terminal("attach", srv1) as terminal:
        terminal.wait_for_keys()
        terminal.type("exit 9\n")
        assert terminal.wait() == 9
    until(lambda: cli("ps", "-q").out == "", "the container has ended with its shell")


def test_run_on_a_terminal_until_it_ends(cli: Cli) -> None:
    with cli.terminal("run", "-it", "--rm", "--name", "here", CENTOS) as terminal:
        terminal.expect(PROMPT)
        assert _ask(terminal, "stty size") == "24 80"
        terminal.type("exit 7\n")
        assert terminal.wait() == 7
    until(lambda: cli("ps", "-aq").out == "", "--rm has removed it")


@pytest.mark.parametrize(
    ("command", "code"), [(("sh", "-c", "exit 7"), 7), (("no-such-program",), 127), (("/etc/hostname",), 126)]
)
def test_exit_codes(cli: Cli, srv1: str, command: tuple[str, ...], code: int) -> None:
    assert cli("exec", srv1, *command, check=False).code == code
    assert cli("run", "--rm", CENTOS, *command, check=False).code == code


def test_streams_stay_apart_and_input_ends(cli: Cli, srv1: str) -> None:
    result = cli("exec", "-i", srv1, "sh", "-c", "cat; echo oops >&2", input="one\ntwo\n")
    assert (result.out, result.err) == ("one\ntwo\n", "oops\n")
    data = bytes(range(256)) * 4096
    done = subprocess.run(
        [cli._path, "exec", "-i", srv1, "cat"], input=data, capture_output=True, env=cli.engine.environ, timeout=60
    )
    assert done.stdout == data


def test_exec_has_its_own_user_directory_and_environment(cli: Cli, srv1: str) -> None:
    text = "id -u; pwd; echo $COLOUR"
    result = cli("exec", "-u", "nobody", "-w", "/tmp", "-e", "COLOUR=blue", srv1, "sh", "-c", text)
    assert result.out.split() == ["65534", "/tmp", "blue"]


@ours
def test_signals_are_forwarded(cli: Cli) -> None:
    with cli.background(
        "run",
        "--rm",
        "--name",
        "trap",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 42' TERM; echo up; while :; do sleep 0.1; done",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.wait(20) == 42
