"""Whoever of us is killed, containers go on, names and ports answer, and the next engine knows what there is."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support import running
from support.drawing import Box, Cli, Lab
from support.engine import Engine
from support.poll import holds, until
from support.registry import Registry, free_port
from support.session import Session

ROUNDS = 20
#: Waits until somebody makes /go, then ends with 3.
WAITING = "while [ ! -e /go ]; do sleep 0.02; done; exit 3"


@pytest.fixture(scope="module")
def mortal(session: Session, registry: Registry) -> Iterator[Engine]:
    """An engine to be killed."""
    with Engine(session, mirrors=[registry.url]) as made:
        made.cli("pull", "-q", "busybox")
        yield made


@pytest.fixture
def lab(mortal: Engine, tmp_path: Path) -> Iterator[Lab]:
    seen = len(mortal.log.read_text())
    with ExitStack() as stack:
        yield Lab(Cli(mortal, "sealane"), tmp_path, stack)
    mortal.stop()
    mortal.start()
    mortal.tidy()
    assert "Traceback" not in mortal.log.read_text()[seen:], mortal.tail()


class Pair:
    """web, with a published port, and its neighbour asker, on the network red."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.port = free_port()
        self.web = lab.container("web", lab.network("red"), options=("-p", f"{self.port}:80"))
        self.web.serve(80, "web")
        self.asker = lab.container("asker", "red")
        self.address = self.web.address()
        self.pids = (self.web.pid, self.asker.pid)

    def whole(self) -> None:
        """Assert that everything answers; needs no engine."""
        self.by_address()
        enter = ["nsenter", "-t", str(self.pids[1]), "-n", "-m"]
        inside = running.run([*enter, "nslookup", "-type=a", "web.", "127.0.0.11"], check=False)
        assert str(self.address) in inside.out, str(inside)
        assert self._lab.host.ask("::1", self.port, 2) == "web"

    def whole_soon(self) -> None:
        """Wait for that."""

        def claim() -> None:
            try:
                self.whole()
            except OSError as error:
                raise AssertionError(str(error)) from error

        holds(claim)

    def by_address(self) -> None:
        """What the kernel does alone."""
        assert self._lab.host.ask("127.0.0.1", self.port, 2) == "web"
        assert self._lab.host.ask(self.address, 80, 2) == "web"
        assert all(Path(f"/proc/{pid}").exists() for pid in self.pids)

    def adopted(self) -> None:
        """Assert that the engine knows them as they were."""
        self.whole()
        assert (self.web.pid, self.asker.pid) == self.pids
        assert self.web.address() == self.address
        assert self.asker.shell("echo here").line == "here"
        assert self._lab.cli("port", "web").out.splitlines()[0] == f"80/tcp -> 0.0.0.0:{self.port}"


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_engine_goes_and_comes_back(lab: Lab, how: str) -> None:
    pair = Pair(lab)
    lab.engine.kill() if how == "kill" else lab.engine.stop()
    pair.whole()
    lab.engine.start()
    pair.adopted()

    late = lab.container("late", "red")
    assert late.resolves("web") == {str(pair.address)}
    assert pair.asker.resolves("late") == {str(late.address())}
    assert late.address() not in (pair.address, pair.asker.address())
    lab.cli("rm", "-f", "web")
    assert lab.host.cut_off([("127.0.0.1", pair.port), ("::1", pair.port)])
    assert late.resolves("web") == set()


def test_ends_while_nobody_looks_are_noticed(lab: Lab) -> None:
    kinds: dict[str, tuple[str, ...]] = {"plain": (), "again": ("--restart=always",), "once": ("--rm",)}
    boxes = {name: lab.container(name, options=options, command=WAITING) for name, options in kinds.items()}
    killed = lab.container("killed")
    pids = {name: box.pid for name, box in (*boxes.items(), ("killed", killed))}
    lab.engine.kill()
    for name in kinds:
        Path(f"/proc/{pids[name]}/root/go").touch()
    os.kill(pids["killed"], signal.SIGKILL)
    until(lambda: not any(_alive(pid) for pid in pids.values()), "they have ended")
    lab.engine.start()

    def noticed() -> None:
        shown = lab.cli("ps", "-a", "--format", "{{.Names}} {{.Status}}").out.splitlines()
        states = dict(line.split(" ", 1) for line in shown)
        assert set(states) == {"plain", "again", "killed"}, "--rm has removed its own"
        assert states["plain"].startswith("Exited (3)")
        assert states["killed"].startswith("Exited (137)")
        assert states["again"].startswith("Up ") or states["again"].startswith("Restarting"), "it starts again"

    holds(noticed)
    assert lab.cli("wait", "plain").line == "3"
    lab.cli("start", "killed")
    assert killed.shell("echo alive").line == "alive"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_output_while_nobody_looks_is_kept(lab: Lab) -> None:
    box = lab.container("talker", command="n=0; while [ ! -e /go ]; do n=$((n+1)); echo $n; sleep 0.02; done; echo end")
    pid = box.pid
    until(lambda: "3\n" in lab.cli("logs", "talker").out, "it talks")
    lab.engine.kill()
    before = time.monotonic()
    until(lambda: time.monotonic() - before > 0.5, "it has talked to nobody")
    Path(f"/proc/{pid}/root/go").touch()
    until(lambda: not _alive(pid), "it has ended")
    lab.engine.start()
    *numbers, last = lab.cli("logs", "talker").out.split()
    assert last == "end"
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1)), "without a gap"


@pytest.mark.parametrize("victims", [("dns",), ("relay",), ("dns", "relay")])
def test_a_killed_helper_is_replaced(lab: Lab, victims: tuple[str, ...]) -> None:
    pair = Pair(lab)
    before = lab.engine.helpers()
    assert set(before) == {"dns", "relay"}
    for name in victims:
        os.kill(before[name], signal.SIGKILL)
    pair.by_address()
    pair.whole_soon()
    after = lab.engine.helpers()
    assert all(after[name] != before[name] for name in victims)
    pair.adopted()
    late = lab.container("late", "red", options=("-p", f"127.0.0.1:{free_port()}:80"))
    assert late.resolves("web") == {str(pair.address)}


def test_everybody_is_killed(lab: Lab) -> None:
    pair = Pair(lab)
    helpers = lab.engine.helpers()
    lab.engine.kill()
    for pid in helpers.values():
        os.kill(pid, signal.SIGKILL)
    pair.by_address()
    lab.engine.start()
    pair.whole_soon()
    pair.adopted()


def test_somebody_empties_the_firewall(lab: Lab) -> None:
    pair = Pair(lab)
    other = lab.container("other", lab.network("blue"))
    lab.engine.kill()
    running.run(["nft", "delete", "table", "inet", lab.engine.name])
    lab.engine.start()
    pair.adopted()
    assert other.cut_off([(pair.address, 80)])


def test_a_client_sees_the_engine_go_and_its_container_goes_on(lab: Lab) -> None:
    beating = WAITING.replace("do ", "do echo beat; ", 1)
    with lab.cli.background("run", "--name", "front", "busybox", "sh", "-c", beating) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"beat\n"
        lab.engine.kill()
        assert client.wait(20) != 0
    lab.engine.start()
    front = Box(lab.cli, "front")
    with lab.cli.background("attach", "front") as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"beat\n"
        Path(f"/proc/{front.pid}/root/go").touch()
        client.stdout.read()
        assert client.wait(20) == 3


def test_killed_in_the_middle_of_a_start(lab: Lab) -> None:
    """At random moments: what is found afterwards is a container that runs wholly, or one that does not at all."""
    seed = random.SystemRandom().randrange(10**6)
    dice = random.Random(seed)
    lab.network("red")
    eyes = lab.container("eyes", "red")
    usual = statistics.median(_time_of_a_first_start(lab, f"first{number}") for number in range(3))
    outcomes = []
    for number in range(ROUNDS):
        name, delay = f"srv{number}", dice.uniform(0, 1.4) * usual
        port = _create(lab, name)
        starting = threading.Thread(target=_try_to_start, args=(lab, name))
        starting.start()
        starting.join(delay)
        lab.engine.kill()
        starting.join()
        lab.engine.start()
        outcomes.append(_outcome(lab, eyes, name, port, f"seed {seed}, round {number}, after {delay * 1000:.1f} ms"))
    assert len(set(outcomes)) > 1, f"every kill came too early or too late: {outcomes}"


def _create(lab: Lab, name: str) -> int:
    """A container that serves "whole" when it runs; returns its port on the host."""
    port = free_port()
    command = "mkdir /srv; echo -n whole >/srv/index.html; exec httpd -f -p 80 -h /srv"
    options = ("--network", "red", "-p", f"{port}:80", "--memory", "64m")
    lab.cli("create", "--name", name, *options, "busybox", "sh", "-c", command)
    return port


def _try_to_start(lab: Lab, name: str) -> None:
    with contextlib.suppress(OSError):  # the engine goes away in the middle
        lab.engine.http("POST", f"/containers/{name}/start")


def _time_of_a_first_start(lab: Lab, name: str) -> float:
    """Of a fresh engine, as it is after each kill."""
    lab.engine.kill()
    lab.engine.start()
    _create(lab, name)
    before = time.monotonic()
    _try_to_start(lab, name)
    return time.monotonic() - before


def _outcome(lab: Lab, eyes: Box, name: str, port: int, when: str) -> str:
    """Check what is left of *name*, and remove it; says what it was."""
    reply = lab.engine.http("GET", f"/containers/{name}/json")
    state = reply.json["State"]["Status"] if reply.status == 200 else "absent"
    assert state in ("absent", "created", "running", "exited"), f"{when}: {state}"
    if state == "running":
        box = Box(lab.cli, name)
        until(lambda: _serves(lab, port), f"{when}: it serves")
        assert lab.host.ask("::1", port) == "whole", when
        assert eyes.resolves(name) == {str(box.address())}, when
        assert box.pings(eyes.address()), when
    else:
        assert eyes.resolves(name) == set(), when
    holds(lambda: _check_kernel(lab, when))
    if state != "absent":
        lab.cli("rm", "-f", name)
    lab.cli("run", "--rm", "--name", name, "--network", "red", "-p", f"{port}:80", "busybox", "true")
    return str(state)


def _serves(lab: Lab, port: int) -> bool:
    """Its program may have been released a moment ago."""
    try:
        return lab.host.ask("127.0.0.1", port) == "whole"
    except OSError:
        return False


def _check_kernel(lab: Lab, when: str) -> None:
    """The kernel holds what belongs to the containers that run, and nothing else."""
    engine = lab.engine
    shown: list[dict[str, Any]] = engine.http("GET", "/containers/json").json
    ids = {each["Id"] for each in shown}
    addresses = {each["NetworkSettings"]["Networks"]["red"]["IPAddress"] for each in shown}
    assert {path.name for path in (engine.run_dir / "netns").iterdir()} == ids, when
    bridge = f"sl-{engine.http('GET', '/networks/red').json['Id'][:12]}"
    ports = running.run(["ip", "-json", "link", "show", "master", bridge]).json
    assert len(ports) == len(ids), f"{when}: {[link['ifname'] for link in ports]}"
    listed = running.run(["nft", "-j", "list", "set", "inet", engine.name, "endpoints4"]).out
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", listed)) == addresses, when
    ports4 = json.loads(running.run(["nft", "-j", "list", "map", "inet", engine.name, "published4"]).out)
    elements = [item["map"].get("elem", []) for item in ports4["nftables"] if "map" in item]
    assert sum(map(len, elements)) == sum(1 for each in shown for p in each["Ports"] if p.get("IP") == "0.0.0.0"), when
    groups = {path.name for path in Path("/sys/fs/cgroup").glob(f"*{engine.cgroup}/*/")}
    groups |= {path.name for path in Path(f"/sys/fs/cgroup{engine.cgroup}").glob("*/")}
    assert {name for name in groups if re.fullmatch(r"[0-9a-f]{64}", name)} == ids, when
    mounted = set(re.findall(rf"{engine.root}/containers/([0-9a-f]{{64}})/", Path("/proc/self/mountinfo").read_text()))
    assert mounted == ids, when
