"""Names are there before a container's process runs, and go when it does: neighbours never stop asking."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.marks import ours
from support.drawing import Box, Cli, Lab
from support.poll import until


class Watcher:
    """Asks a container's resolver for names, from inside its namespace."""

    def __init__(self, box: Box) -> None:
        self._sock = box.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._sock.settimeout(10)
        self._sock.connect(("127.0.0.11", 53))
        self._number = 0

    def resolves(self, name: str) -> bool:
        """One question for the IPv4 address; the answer to exactly this question."""
        self._number = (self._number + 1) & 0xFFFF
        encoded = b"".join(bytes((len(part),)) + part.encode() for part in name.split(".")) + b"\0"
        self._sock.send(struct.pack("!6H", self._number, 0x0100, 1, 0, 0, 0) + encoded + b"\0\1\0\1")
        while True:
            answer = self._sock.recv(4096)
            number, _, _, answers, _, _ = struct.unpack_from("!6H", answer)
            if number == self._number:
                return bool(answers)

    def close(self) -> None:
        self._sock.close()


@contextmanager
def _watching(box: Box, name: str) -> Iterator[list[tuple[float, float, bool]]]:
    """Ask for *name* all the time; yields (asked, answered, found) of every question, as it grows."""
    seen: list[tuple[float, float, bool]] = []
    over = threading.Event()
    watcher = Watcher(box)

    def look() -> None:
        while not over.is_set():
            asked = time.monotonic()
            found = watcher.resolves(name)
            seen.append((asked, time.monotonic(), found))
            over.wait(0.001)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        watcher.close()


def test_a_neighbour_that_asks_all_the_time_is_never_disappointed(lab: Lab, cli: Cli) -> None:
    red = lab.network("red", "--internal")  # nobody outside is asked for what is not here
    eyes = lab.container("eyes", red)
    for _ in range(5):
        with _watching(eyes, "srv1") as seen:
            until(lambda: len(seen) > 3, "it asks")
            lab.container("srv1", red)
            started = time.monotonic()
            until(lambda: len([1 for asked, _, _ in seen if asked > started]) > 20, "it has asked")  # noqa: B023
            stopping = time.monotonic()
            cli("rm", "-f", "srv1")
            gone = time.monotonic()
            until(lambda: len([1 for asked, _, _ in seen if asked > gone]) > 20, "it has asked")  # noqa: B023
        up = [found for asked, answered, found in seen if asked > started and answered < stopping]
        assert all(up), f"{up.count(False)} of {len(up)} questions found nothing while it ran"
        assert not any(found for asked, _, found in seen if asked > gone), "found when it was gone"
        assert seen[0][2] is False


def test_the_first_thing_a_container_does_is_known_to_its_neighbours(lab: Lab, cli: Cli) -> None:
    """Its process knocks at a neighbour at once, and that one asks who knocks."""
    red = lab.network("red")
    eyes = lab.container("eyes", red)
    watcher = Watcher(eyes)
    known: list[bool] = []
    with eyes.inside(lambda: socket.create_server(("0.0.0.0", 7))) as server:
        server.settimeout(20)
        for number in range(5):
            name = f"srv{number}"
            cli(
                "run", "-d", "--name", name, "--network", red, "busybox", "sh", "-c", "nc eyes 7 </dev/null; sleep 1000"
            )
            knock, _ = server.accept()
            known.append(watcher.resolves(name))
            knock.close()
    watcher.close()
    assert known == [True] * 5


def test_a_container_resolves_at_once(lab: Lab, cli: Cli) -> None:
    red = lab.network("red")
    a = lab.container("aa", red)
    for _ in range(5):
        command = "for name in aa bb; do nslookup -type=a $name. 127.0.0.11 | grep ^Address | tail -1; done"
        out = cli("run", "--rm", "--name", "bb", "--network", red, "busybox", "sh", "-c", command).out.split()
        assert out[1] == str(a.address())
        assert len(out) == 4
        assert out[3] not in (out[1], "127.0.0.11:53"), "its own name too"


@pytest.mark.parametrize("end", ["stop", "exit"])
def test_a_name_goes_with_the_process(lab: Lab, cli: Cli, end: str) -> None:
    red = lab.network("red")
    eyes, b = lab.container("eyes", red), lab.container("bb", red)
    address = b.address()
    assert eyes.resolves("bb")
    if end == "stop":
        cli("stop", "-t", "0", "bb")
        assert eyes.resolves("bb") == set()
    else:
        os.kill(b.pid, signal.SIGKILL)
        until(lambda: eyes.resolves("bb") == set(), "the name is gone")
    assert eyes.reverse(address) == ""
    cli("start", "bb")
    assert eyes.resolves("bb") == {str(b.address())}


def test_what_else_a_container_is_called(lab: Lab, cli: Cli) -> None:
    red = lab.network("red")
    eyes, b = lab.container("eyes", red), lab.container("bb", red, options=("--hostname", "kiosk"))
    wanted = {str(b.address())}
    for name in ("bb", "BB", "bb.red", b.id[:12], "kiosk"):
        assert eyes.resolves(name) == wanted, name
    assert eyes.resolves6("bb") == set()
    assert eyes.resolves(b.id) == eyes.resolves("bb.blue") == set()
    assert b.run("hostname").line == "kiosk"
    cli("pause", "bb")
    assert eyes.resolves("bb") == wanted, "a paused one is still there"
    cli("unpause", "bb")


def test_many_at_once(lab: Lab, cli: Cli) -> None:
    red = lab.network("red")
    names = [f"srv{number}" for number in range(8)]
    threads = [threading.Thread(target=lab.container, args=(name, red)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    boxes = [Box(cli, name) for name in names]
    addresses = {box.name: box.address() for box in boxes}
    assert len(set(addresses.values())) == len(names)
    for box in (boxes[0], boxes[-1]):
        watcher = Watcher(box)
        assert all(watcher.resolves(name) for name in names)
        watcher.close()
        assert box.pings(addresses["srv3"])


def test_a_failed_run_leaves_the_name_free(cli: Cli) -> None:
    cli("network", "create", "red")
    for _ in range(3):
        cli.refuses("run", "--rm", "--name", "srv1", "--network", "red", "busybox", "nonsense", code=127)
        cli("run", "--rm", "--name", "srv1", "--network", "red", "busybox", "true")
    assert cli("ps", "-aq").out == ""


@ours
def test_other_questions_about_known_names_are_answered_empty(lab: Lab) -> None:
    red = lab.network("red")
    eyes = lab.container("eyes", red)
    lab.container("bb", red)
    for kind in ("mx", "txt", "aaaa", "srv"):
        answer = eyes.shell(f"nslookup -type={kind} bb. 127.0.0.11", check=False)
        assert "NXDOMAIN" not in answer.out + answer.err, kind
        assert "SERVFAIL" not in answer.out + answer.err, kind
