"""Connections that leave HTTP: attach and exec, byte by byte."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest

from unit.api.fake_engine import Echo
from unit.api.serving import Served, serving

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"


class Talk:
    """One connection that was handed over: its head, and what comes behind it."""

    def __init__(self, served: Served, path: str, body: bytes = b"", extra: str = UPGRADE, early: bytes = b"") -> None:
        self.client = served.connect()
        head = f"POST {path} HTTP/1.1\r\nHost: d\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        self.client.sendall(head.encode() + body + early)
        self.received = b""
        while b"\r\n\r\n" not in self.received:
            self._more()
        head_bytes, _, self.received = self.received.partition(b"\r\n\r\n")
        self.status, *lines = head_bytes.decode().split("\r\n")
        self.headers = dict(line.split(": ", 1) for line in lines)

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def _more(self) -> None:
        piece = self.client.recv(65536)
        assert piece, f"ended after {self.received!r}"
        self.received += piece

    def say(self, data: bytes) -> None:
        self.client.sendall(data)

    def finish(self) -> None:
        self.client.shutdown(socket.SHUT_WR)

    def hear(self, size: int) -> bytes:
        while len(self.received) < size:
            self._more()
        said, self.received = self.received[:size], self.received[size:]
        return said

    def frame(self) -> tuple[int, bytes]:
        stream, size = struct.unpack(">BxxxL", self.hear(8))
        return stream, self.hear(size)

    def rest(self) -> bytes:
        while piece := self.client.recv(65536):
            self.received += piece
        return self.received


def exec_of(served: Served, **body: object) -> str:
    served.container("box")
    wanted = {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True, **body}
    return str(served.json("POST", "/containers/box/exec", wanted, 201)["Id"])


@pytest.mark.parametrize(
    ("version", "upgrade", "tty", "status", "media"),
    [
        ("", True, False, "HTTP/1.1 101 UPGRADED", MULTIPLEXED),
        ("", True, True, "HTTP/1.1 101 UPGRADED", RAW),
        ("", False, False, "HTTP/1.1 200 OK", RAW),
        ("/v1.41", True, False, "HTTP/1.1 101 UPGRADED", RAW),
        ("/v1.42", True, False, "HTTP/1.1 101 UPGRADED", MULTIPLEXED),
    ],
)
def test_heads(served: Served, version: str, upgrade: bool, tty: bool, status: str, media: str) -> None:
    served.container("box", Tty=tty)
    with Talk(served, f"{version}/containers/box/attach?stdout=1&stream=1", extra=UPGRADE if upgrade else "") as talk:
        assert (talk.status, talk.headers["Content-Type"]) == (status, media)
        assert ("Upgrade" in talk.headers) is upgrade
        assert "Content-Length" not in talk.headers


def test_attach_in_both_directions_to_the_end_of_input(served: Served) -> None:
    served.container("box", OpenStdin=True, StdinOnce=True, AttachStdin=True)
    with Talk(served, "/containers/box/attach?stdin=1&stdout=1&stderr=1&stream=1", early=b"early ") as talk:
        frames = [talk.frame(), talk.frame(), talk.frame()]
        assert frames == [(1, b"out\n"), (2, b"err\n"), (1, b"early ")]
        talk.say(b"more")
        assert talk.frame() == (1, b"more")
        talk.finish()  # half-closed: the process sees the end of its input, and its last words still come
        assert talk.frame() == (2, b"bye")
        assert talk.rest() == b""
    session = _session(served)
    assert (session.received, session.stdin_closed, session.closed) == (b"early more", True, True)


def test_input_that_stays_open_is_left_open(served: Served) -> None:
    served.container("box", OpenStdin=True)
    with Talk(served, "/containers/box/attach?stdin=1&stdout=1&stream=1") as talk:
        talk.finish()
        served.eventually(lambda: _session(served).closed)
    assert not _session(served).stdin_closed


def test_what_is_not_input_is_thrown_away(served: Served) -> None:
    served.container("box")
    with Talk(served, "/containers/box/attach?stdout=1&stream=1") as talk:
        talk.say(b"nobody reads this")
        assert talk.frame() == (1, b"out\n")
    served.eventually(lambda: _session(served).closed)
    assert _session(served).received == b""


@pytest.mark.parametrize(
    ("keys", "typed", "passed"),
    [("", b"ab\x10\x11cd", b"ab"), ("ctrl-a,x", b"\x10\x11\x01xcd", b"\x10\x11"), ("q", b"abq", b"ab")],
)
def test_detach_keys_leave_a_terminal_alone(served: Served, keys: str, typed: bytes, passed: bytes) -> None:
    served.container("box", Tty=True, OpenStdin=True)
    with Talk(served, f"/containers/box/attach?stdin=1&stdout=1&stream=1&detachKeys={keys}") as talk:
        talk.say(typed)
        assert talk.rest() == b"out\nerr\n" + passed
    served.eventually(lambda: _session(served).closed)
    assert not _session(served).stdin_closed
    assert served.json("GET", "/containers/box/json")["State"]["Running"] is True


def test_a_client_that_vanishes_has_detached(served: Served) -> None:
    served.container("box", Tty=True, OpenStdin=True)
    with Talk(served, "/containers/box/attach?stdin=1&stdout=1&stream=1") as talk:
        talk.hear(4)
    served.eventually(lambda: _session(served).closed)
    assert served.json("GET", "/containers/box/json")["State"]["Running"] is True


def test_attach_without_a_stream_ends(served: Served) -> None:
    served.container("box")
    with Talk(served, "/containers/box/attach?logs=1&stdout=1") as talk:
        assert talk.rest().endswith(b"out\n" + b"\2\0\0\0\0\0\0\4err\n")


def test_exec_with_input_and_exit_code(served: Served) -> None:
    identifier = exec_of(served)
    with Talk(served, f"/exec/{identifier}/start", b"{}") as talk:
        talk.say(b"hello")
        assert talk.frame() == (1, b"hello")
        talk.finish()
        assert talk.frame() == (2, b"bye")
        assert talk.rest() == b""
    shown = served.json("GET", f"/exec/{identifier}/json")
    assert (shown["Running"], shown["ExitCode"], shown["ProcessConfig"]["entrypoint"]) == (False, 0, "cat")


def test_exec_on_a_terminal(served: Served) -> None:
    identifier = exec_of(served, Tty=True)
    with Talk(served, f"/exec/{identifier}/start", b'{"Tty":true,"ConsoleSize":[24,80]}') as talk:
        talk.say(b"ls\n")
        assert talk.hear(3) == b"ls\n"
        assert served.ask("POST", f"/exec/{identifier}/resize?h=30&w=100")[0] == 200
        talk.say(b"\x10\x11")
        assert talk.rest() == b""
    assert served.engine.sizes == [(30, 100)]


def test_a_command_that_is_missing_says_so_on_the_stream(served: Served) -> None:
    identifier = exec_of(served, Cmd=["missing"])
    with Talk(served, f"/exec/{identifier}/start", b"{}") as talk:
        assert talk.frame() == (2, b'exec: "missing": executable file not found in $PATH\r\n')
        assert talk.rest() == b""
    assert served.json("GET", f"/exec/{identifier}/json")["ExitCode"] == 127


def test_detached_exec_and_errors_of_the_request(served: Served) -> None:
    identifier = exec_of(served)
    assert served.ask("POST", f"/exec/{identifier}/start", {"Detach": True})[0] == 200
    again = served.message("POST", f"/exec/{identifier}/start", {}, 409)
    assert again == f"Error: Exec command {identifier} has already run"
    assert served.message("POST", "/exec/nosuch/start", {}, 404) == "No such exec instance: nosuch"
    second = str(served.json("POST", "/containers/box/exec", {"Cmd": ["cat"]}, 201)["Id"])
    served.ask("POST", "/containers/box/kill")
    assert "is not running" in served.message("POST", f"/exec/{second}/start", {}, 409)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/containers/nosuch/attach?stream=1", 404, "No such container: nosuch"),
        ("/containers/box/attach?detachKeys=foo", 400, "Invalid detach keys (foo) provided"),
    ],
)
def test_errors_come_before_the_connection_leaves_http(served: Served, path: str, status: int, message: str) -> None:
    served.container("box")
    with Talk(served, path) as talk:
        assert talk.status.split()[1] == str(status)
        assert json.loads(talk.hear(int(talk.headers["Content-Length"]))) == {"message": message}


def test_a_slow_reader_holds_the_process_back_and_nobody_else(served: Served) -> None:
    identifier = exec_of(served)
    with Talk(served, f"/exec/{identifier}/start", b"{}") as talk:
        talk.client.setblocking(False)
        try:
            while talk.client.send(b"x" * 65536):
                assert served.ask("GET", "/_ping")[0] == 200
        except BlockingIOError:
            pass
        assert served.ask("GET", "/_ping")[0] == 200


def test_closing_the_server_detaches(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.container("box", Tty=True, OpenStdin=True)
        talk = Talk(served, "/containers/box/attach?stdin=1&stdout=1&stream=1")
        assert talk.hear(8) == b"out\nerr\n"
        session = _session(served)
    with talk:
        assert talk.rest() == b""
    assert session.closed


def _session(served: Served) -> Echo:
    (box,) = served.engine.containers.boxes.values()
    assert box.session is not None
    return box.session
