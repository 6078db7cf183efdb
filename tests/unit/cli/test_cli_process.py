"""The program as a whole, without an engine: what it imports, how it refuses, what it completes."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

NOWHERE = "unix:///nonexistent/sealane.sock"
#: Each of these costs several milliseconds; a whole `sealane ps` takes about fifteen.
HEAVY = {
    "asyncio", "click", "dataclasses", "enum", "h11", "ipaddress", "json", "msgspec", "re", "rich", "socket", "typing",
}  # fmt: skip
GOLDEN = Path(__file__).parent / "golden"


def sealane(
    *words: str, env: dict[str, str] | None = None, flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, "-c", "from sealane.cli.main import main; main()", *words]
    environ = {**os.environ, "DOCKER_HOST": NOWHERE, **(env or {})}
    environ.pop("SEALANE_HOST", None)
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


LEAN = (
    "ps -a", "network ls", "run -d -p 8080:80 --network n busybox", "exec c true", "stop c", "rm -f c", "images",
    "inspect c", "logs c", "network create n", "pull busybox",
)  # fmt: skip


@pytest.mark.parametrize("line", LEAN)
def test_a_command_imports_only_what_it_needs(line: str) -> None:
    done = sealane(*line.split(), flags=("-X", "importtime"))
    imported = {text.rpartition("|")[2].strip() for text in done.stderr.splitlines() if text.startswith("import time")}

    assert "sealane.cli.main" in imported
    assert sorted(imported & HEAVY) == []


def refusals() -> Iterator[tuple[str, str]]:
    """(command line, what it prints to standard error and its exit code) of each case in the golden file."""
    for case in (GOLDEN / "refusals.txt").read_text().split("$ ")[1:]:
        line, _, output = case.partition("\n")
        yield line, output.rstrip("\n")


@pytest.mark.parametrize(("line", "output"), list(refusals()))
def test_how_the_program_refuses(line: str, output: str) -> None:
    """Taken from docker 28.2, with our own name in place of Docker's."""
    done = sealane(*shlex.split(line))

    assert f"{done.stderr}[{done.returncode}]" == output
    assert done.stdout in ("", "[]\n")


def test_help_goes_to_standard_output_and_a_lone_group_to_standard_error() -> None:
    assert sealane("network", "--help").stdout.startswith("Usage:  sealane network COMMAND\n\nManage networks\n")
    assert sealane("network").stderr.startswith("Usage:  sealane network COMMAND\n")
    assert "Usage:  sealane container ls [OPTIONS]\n" in sealane("container", "list", "--help").stdout
    assert sealane("run", "--help").stdout.count("--network ") == 1
    assert sealane("--version").stdout.startswith("Sealane version ")


def test_help_needs_no_terminal_width() -> None:
    lines = sealane("run", "--help", env={"COLUMNS": "80"}).stdout.splitlines()

    assert max(map(len, lines)) <= 80


def test_an_id_file_does_not_outlive_a_failed_creation(tmp_path: Path) -> None:
    done = sealane("run", "--cidfile", str(tmp_path / "id"), "busybox")

    assert (done.returncode, list(tmp_path.iterdir())) == (125, [])
    missing = sealane("run", "--cidfile", str(tmp_path / "no" / "id"), "busybox")
    assert missing.returncode == 127
    assert missing.stderr.startswith("sealane: failed to create the container ID file: open ")


def completions(shell: str, *words: str) -> list[str]:
    place = str(len(words) - 1) if shell == "bash" else words[-1]
    env = {"_SEALANE_COMPLETE": f"{shell}_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": place}
    return sealane(env=env).stdout.splitlines()


def test_words_that_bash_is_offered() -> None:
    assert completions("bash", "sealane", "netw") == ["plain,network"]
    assert completions("bash", "sealane", "network", "i") == ["plain,inspect"]
    assert "plain,--network" in completions("bash", "sealane", "run", "--net")
    assert "plain,--kernel" in completions("bash", "sealane", "network", "inspect", "--k")
    assert completions("bash", "sealane", "exec", "c", "ls", "/e") == ["file,/e"]
    assert completions("bash", "sealane", "rm", "x") == ["file,x"]  # no engine: no names, and no complaint


def test_words_that_fish_is_offered() -> None:
    assert completions("fish", "sealane", "netw") == ["plain,network\tManage networks"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_for_shells(shell: str) -> None:
    script = sealane("completion", shell).stdout

    assert f"_SEALANE_COMPLETE={shell}_complete" in script


def test_bash_takes_the_script() -> None:
    code = (
        'PATH=$1:$PATH; eval "$(sealane completion bash)"; COMP_WORDS=(sealane network cr); COMP_CWORD=2; '
        '_sealane_completion sealane; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code, "bash", str(Path(sys.executable).parent)], capture_output=True, text=True, check=True
    )

    assert done.stdout == "create\n"


def test_another_shell_is_refused() -> None:
    assert sealane("completion", "tcsh").returncode == 1


@pytest.fixture
def nonsense(tmp_path: Path) -> Iterator[str]:
    """The address of something that answers every request with what no engine would say."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n[7, 8]\n"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                peer, _ = listener.accept()
                with peer:
                    while peer.recv(65536):
                        peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix://{tmp_path / 's'}"
        done.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(tmp_path / "s"))
        thread.join()


def test_what_nobody_expected_is_one_line(nonsense: str) -> None:
    done = sealane("-H", nonsense, "ps")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("sealane: unexpected failure: TypeError: ")
    assert "Traceback" in sealane("-D", "-H", nonsense, "ps").stderr
