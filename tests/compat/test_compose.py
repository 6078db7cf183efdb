"""Item 11: both generations of Docker's Compose against our socket, with the tutorial's file and with a richer one."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from support import running
from support.engine import Engine, compose_program
from support.images import BUSYBOX, CENTOS
from support.poll import until
from support.running import Result

TUTORIAL = f"""\
version: '3'
services:
  srv1:
    container_name: srv1
    image: {CENTOS}
    tty: true
    networks:
      - my-network
  srv2:
    container_name: srv2
    image: {CENTOS}
    tty: true
    networks:
      - my-network
networks:
  my-network:
    external: true
"""
RICH = f"""\
version: '3.8'
services:
  web:
    image: {BUSYBOX}
    command: ["sleep", "1000"]
    init: true
    ports: ["80", "127.0.0.1::53/udp"]
    environment: {{COLOUR: "red"}}
    volumes: ["data:/data", "./:/here:ro"]
    labels: {{tier: front}}
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
    extra_hosts: ["elsewhere:192.0.2.7"]
    networks:
      front: {{aliases: [www], ipv4_address: 10.86.7.10}}
      back: {{}}
  db:
    image: {BUSYBOX}
    command: ["sleep", "1000"]
    init: true
    depends_on: [web]
    networks: [back]
networks:
  front: {{ipam: {{config: [{{subnet: 10.86.7.0/24}}]}}}}
  back: {{internal: true}}
volumes: {{data: {{}}}}
"""
CHATTER = f"""\
version: '3'
services:
  clock:
    image: {BUSYBOX}
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do echo tick; sleep 0.1; done"]
    network_mode: none
"""


@dataclass(frozen=True, slots=True)
class Compose:
    """One generation of the program, in a directory with a file."""

    program: str
    folder: Path
    engine: Engine

    def __call__(self, *arguments: str, **how: Any) -> Result:
        return running.run([self.program, *arguments], env=self.engine.environ, cwd=str(self.folder), **how)

    def write(self, text: str) -> None:
        (self.folder / "docker-compose.yml").write_text(text)

    @contextlib.contextmanager
    def in_front(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run it as a person at a terminal does, until the block ends."""
        with subprocess.Popen(
            [self.program, *arguments],
            env=self.engine.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_default_interrupt,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(params=["1.29", "5"])
def compose(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Compose:
    """Debian's docker-compose, written in Python, and the present one."""
    folder = tmp_path / "shop"
    folder.mkdir()
    return Compose("/usr/bin/docker-compose" if request.param == "1.29" else str(compose_program()), folder, engine)


def test_the_tutorials_file(compose: Compose, engine: Engine) -> None:
    engine.docker("network", "create", "my-network")
    compose.write(TUTORIAL)

    compose("up", "-d")
    listed = compose("ps").out
    assert all(re.search(rf"^{name}\b.*\bUp\b", listed, re.MULTILINE) for name in ("srv1", "srv2"))
    said = compose("exec", "-T", "srv1", "ping", "-c", "1", "srv2").out
    assert re.search(r"64 bytes from srv2\.my-network \(172\.\d+\.0\.\d+\)", said)

    running.run(["docker", "exec", "srv1", "sh", "-c", "echo from srv1 >/proc/1/fd/1"], env=engine.environ)
    until(lambda: "from srv1" in compose("logs", "--no-color").out, "the log of srv1 is shown")
    compose("down", "-t", "0")
    assert engine.docker("ps", "-aq").out == ""
    assert engine.docker("network", "inspect", "-f", "{{.Name}}", "my-network").line == "my-network"


def test_a_second_up_changes_nothing_and_a_forced_one_everything(compose: Compose, engine: Engine) -> None:
    compose.write(TUTORIAL)
    engine.docker("network", "create", "my-network")
    compose("up", "-d")
    before = engine.docker("ps", "-q", "--no-trunc").out

    compose("up", "-d")
    assert engine.docker("ps", "-q", "--no-trunc").out == before
    compose("up", "-d", "--force-recreate", "-t", "0")
    after = engine.docker("ps", "-q", "--no-trunc").out
    assert len(after.split()) == 2
    assert not set(after.split()) & set(before.split())


def test_its_own_networks_volumes_ports_and_their_end(compose: Compose, engine: Engine) -> None:
    compose.write(RICH)
    compose("up", "-d")

    assert "10.86.7.10" in compose("exec", "-T", "web", "ip", "addr").out
    assert " 0% packet loss" in compose("exec", "-T", "db", "ping", "-c", "1", "web").out
    compose("exec", "-T", "db", "nslookup", "www", check=False)
    assert compose("exec", "-T", "db", "ping", "-c", "1", "www", check=False).code != 0  # an alias on the other network
    assert "192.0.2.7\telsewhere" in compose("exec", "-T", "web", "cat", "/etc/hosts").out
    assert re.fullmatch(r"0\.0\.0\.0:\d+", compose("port", "web", "80").line)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", compose("port", "--protocol", "udp", "web", "53").line)
    until(lambda: "healthy)" in compose("ps").out, "web is healthy")

    compose("down", "--volumes", "-t", "0")
    assert engine.docker("ps", "-aq").out == ""
    assert engine.docker("volume", "ls", "-q").out == ""
    assert engine.docker("network", "ls", "--filter", "type=custom", "-q").out == ""


def test_a_changed_service_is_made_anew_and_keeps_its_address(compose: Compose) -> None:
    compose.write(RICH)
    compose("up", "-d")
    compose.write(RICH.replace('"red"', '"blue"'))

    compose("up", "-d")
    assert compose("exec", "-T", "web", "sh", "-c", "echo $COLOUR").line == "blue"
    assert "10.86.7.10" in compose("exec", "-T", "web", "ip", "addr").out
    compose("down", "--volumes", "-t", "0")


def test_scale_and_orphans(compose: Compose, engine: Engine) -> None:
    compose.write(RICH)
    compose("up", "-d", "--scale", "db=3")
    assert len(engine.docker("ps", "-q").out.split()) == 4
    assert " 0% packet loss" in compose("exec", "-T", "web", "ping", "-c", "1", "db").out

    without_db = re.sub(r"  db:.*?(?=^networks:)", "", RICH, flags=re.DOTALL | re.MULTILINE)
    compose.write(without_db)
    assert "Found orphan containers" in compose("up", "-d").err
    compose("up", "-d", "--remove-orphans", "-t", "0")
    assert len(engine.docker("ps", "-aq").out.split()) == 1
    compose("down", "--volumes", "-t", "0")


def test_one_off_commands(compose: Compose, engine: Engine) -> None:
    compose.write(RICH)
    done = compose("run", "--rm", "--no-deps", "web", "sh", "-c", "echo hello; exit 7", check=False)
    assert (done.code, done.out) == (7, "hello\n")
    assert engine.docker("ps", "-aq").out == ""
    compose("down", "--volumes")


def test_stop_start_restart_pause_kill(compose: Compose, engine: Engine) -> None:
    compose.write(RICH)
    compose("up", "-d")

    def states() -> set[str]:
        return set(engine.docker("ps", "-a", "--format", "{{.State}}").out.split())

    for words, state in (
        (("stop", "-t", "0"), "exited"),
        (("start",), "running"),
        (("restart", "-t", "0"), "running"),
        (("pause",), "paused"),
        (("unpause",), "running"),
        (("kill",), "exited"),
    ):
        compose(*words)
        assert states() == {state}, words
    compose("rm", "-f")
    assert states() == set()
    compose("down", "--volumes")


def test_up_in_the_foreground_shows_output_and_ends_with_an_interrupt(compose: Compose, engine: Engine) -> None:
    compose.write(CHATTER)
    with compose.in_front("up") as process:
        assert process.stdout is not None
        _read_until(process.stdout, b"tick")
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) in (0, 1, 130)
    assert engine.docker("ps", "-a", "--format", "{{.State}}").line == "exited"
    compose("down")


def _read_until(stream: IO[bytes], words: bytes) -> None:
    seen = b""
    while words not in seen:
        line = stream.readline()
        assert line, f"no {words!r} in {seen!r}"
        seen += line
