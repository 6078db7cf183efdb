"""HTTP itself: what is answered to good, odd and broken bytes. Compared with Docker 26.1 where it has an opinion."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from pathlib import Path

import pytest

from sealane.api.connection import MAX_HEAD
from sealane.api.http import MAX_JSON_BODY
from unit.api.serving import Served, serving

OLD = "Minimum supported API version is 1.24, please upgrade your client to a newer version"
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


def talk(served: Served, data: bytes, *, end: bool = True) -> bytes:
    """Send *data* (and then the end), read to the end."""
    with served.connect() as client:
        client.sendall(data)
        if end:
            client.shutdown(socket.SHUT_WR)
        return drain(client)


def drain(client: socket.socket) -> bytes:
    received = b""
    while piece := client.recv(65536):
        received += piece
    return received


def refusal(answer: bytes) -> tuple[int, str]:
    """Status and message of one error reply."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), str(json.loads(body)["message"])


def test_ping_and_its_head(served: Served) -> None:
    status, headers, body = served.ask("GET", "/_ping")
    assert (status, body) == (200, b"OK")
    expected = {
        "api-version": "1.48",
        "builder-version": "1",
        "cache-control": "no-cache, no-store, must-revalidate",
        "content-length": "2",
        "content-type": "text/plain; charset=utf-8",
        "docker-experimental": "false",
        "ostype": "linux",
        "pragma": "no-cache",
        "server": "Sealane/0.1.0 (linux)",
        "swarm": "inactive",
    }
    assert {name: headers[name] for name in expected} == expected
    assert headers["date"].endswith(" GMT")

    status, headers, body = served.ask("HEAD", "/v1.30/_ping")
    assert (status, body) == (200, b"")
    assert headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nosuch", 404, "page not found"),
        ("GET", "/v1.24/nosuch", 404, "page not found"),
        ("POST", "/images/json", 404, "page not found"),
        ("FOO", "/info", 404, "page not found"),
        ("OPTIONS", "*", 404, "page not found"),
        ("GET", "/v1.99/_ping", 400, "client version 1.99 is too new. Maximum supported API version is 1.48"),
        (
            "GET",
            "/v1.23/info",
            400,
            f"client version 1.23 is too old. {OLD}",
        ),
        ("GET", "/v1.99/nosuch", 404, "page not found"),
        ("GET", "/containers/json?filters=%00", 400, "invalid value for filters: it contains a NUL character"),
    ],
)
def test_what_is_not_served(served: Served, method: str, path: str, status: int, message: str) -> None:
    assert served.message(method, path, status=status) == message


def test_the_form_of_requests_for_proxies(served: Served) -> None:
    assert talk(served, b"GET http://engine/_ping HTTP/1.1\r\nHost: d\r\n\r\n").endswith(b"OK")
    assert refusal(talk(served, b"GET http://engine HTTP/1.1\r\nHost: d\r\n\r\n"))[0] == 404


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"garbage\r\n\r\n", 400, "malformed HTTP request: illegal request line"),
        (b"\x00\x01\x02\r\n\r\n", 400, "malformed HTTP request: illegal request line"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed HTTP request: "),
        (b"GET /_ping\r\n\r\n", 400, "malformed HTTP request: illegal request line"),
        (b"GET /_ping HTTP/1.1\r\n\r\n", 400, "malformed HTTP request: Missing mandatory Host: header"),
        (b"GET /_ping HTTP/3.0\r\nHost: d\r\n\r\n", 400, "malformed HTTP request: unsupported protocol version"),
        (b"GET /_ping HTTP/1.1\r\nHost: d\r\nBad Name: x\r\n\r\n", 400, "malformed HTTP request: illegal header line"),
        (b"GET / HTTP/1.1\r\nHost: d\r\nContent-Length: x\r\n\r\n", 400, "malformed HTTP request: bad Content-Length"),
        (
            b"GET / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
            "malformed HTTP request: Only Transfer-Encoding: chunked is supported",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: d\r\nX: " + b"a" * MAX_HEAD * 16 + b"\r\n\r\n",
            431,
            f"request line and headers are too large: the limit is {MAX_HEAD} bytes",
        ),
        (
            b"POST /networks/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
            "malformed request body: illegal chunk header",
        ),
        (
            b"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\n{}",
            400,
            "malformed request body: peer closed connection without sending complete message body",
        ),
    ],
)
def test_broken_requests_are_refused_and_the_connection_closed(
    served: Served, data: bytes, status: int, message: str
) -> None:
    got, words = refusal(talk(served, data))
    assert got == status
    assert words.startswith(message)
    assert "bytearray" not in words


def test_a_head_that_does_not_come_in_time(tmp_path: Path) -> None:
    with serving(tmp_path, head_timeout_s=0.05) as served:
        assert refusal(talk(served, b"GET /_ping HT", end=False)) == (
            408,
            "the head of the request did not come in time",
        )


def test_a_body_that_is_too_large_is_refused(served: Served) -> None:
    head = f"POST /networks/create HTTP/1.1\r\nHost: d\r\nContent-Length: {MAX_JSON_BODY + 1}\r\n\r\n".encode()
    with served.connect() as client:
        client.sendall(head)
        client.sendall(b" " * (MAX_JSON_BODY + 1))
        client.shutdown(socket.SHUT_WR)
        answer = drain(client)
    assert refusal(answer) == (413, f"request body is too large: the limit is {MAX_JSON_BODY} bytes")


def test_one_connection_serves_many_requests_also_when_they_come_at_once(served: Served) -> None:
    answer = talk(served, PING * 50)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 50
    assert answer.count(b"\r\n\r\nOK") == 50


def test_errors_do_not_end_a_connection(served: Served) -> None:
    unread = b"POST /containers/x/kill HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nabcde"
    answer = talk(served, unread + b"GET /nosuch HTTP/1.1\r\nHost: d\r\n\r\n" + PING)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"404", b"404", b"200"]


def test_connection_close_and_http_1_0_end_it(served: Served) -> None:
    for request in (b"GET /_ping HTTP/1.0\r\n\r\n", b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"):
        answer = talk(served, request, end=False)
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"OK")


@pytest.mark.parametrize(
    "data",
    [
        b'Content-Length: 12\r\n\r\n{"Name":"a"}',
        b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"Nam\r\n7;x=y\r\ne":"a"}\r\n0\r\nTrailer: x\r\n\r\n',
    ],
)
def test_bodies_come_whole_or_in_chunks(served: Served, data: bytes) -> None:
    answer = talk(served, b"POST /networks/create HTTP/1.1\r\nHost: d\r\n" + data)
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")


def test_expect_100_continue(served: Served) -> None:
    head = b"POST /networks/create HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n"
    with served.connect() as client:
        client.sendall(head)
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b'{"Name":"a"}')
        assert client.recv(65536).startswith(b"HTTP/1.1 201 Created\r\n")
    # nobody wants the body of this one: it is refused before it is sent
    with served.connect() as client:
        client.sendall(head.replace(b"/networks/create", b"/containers/nosuch/kill"))
        assert client.recv(65536).startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert client.recv(65536) == b""


@pytest.mark.parametrize(
    ("media", "message"),
    [
        ("text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
        ("", "malformed Content-Type header (): mime: no media type"),
    ],
)
def test_bodies_that_are_not_json(served: Served, media: str, message: str) -> None:
    status, _, body = served.ask("POST", "/networks/create", b"{}", {"Content-Type": media})
    assert (status, json.loads(body)["message"]) == (400, message)


def test_an_empty_body_is_an_empty_object(served: Served) -> None:
    assert served.message("POST", "/networks/create") == "invalid name: name is empty"
    assert served.ask("POST", "/volumes/create")[0] == 201


def test_a_slow_reader_holds_up_nobody_else(served: Served) -> None:
    with served.connect() as slow:
        slow.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # the server reads no more requests while nobody takes its replies
            while slow.send(PING * 100):
                assert served.ask("GET", "/_ping")[0] == 200
        assert served.ask("GET", "/_ping")[0] == 200


def test_a_slow_writer_holds_up_nobody_else(served: Served) -> None:
    with served.connect() as slow:
        slow.sendall(b"POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab")
        assert served.ask("GET", "/_ping")[0] == 200
        slow.sendall(b"c\r\n0\r\n\r\n")
        slow.shutdown(socket.SHUT_WR)
        assert b"Loaded image of 3 bytes" in drain(slow)


def test_a_client_that_leaves_ends_its_stream(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        served.eventually(lambda: served.engine.events.listeners)
    served.eventually(lambda: not served.engine.events.listeners)


def test_closing_answers_what_runs_and_cuts_what_streams(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        stream, idle = served.connect(), served.connect()
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        assert stream.recv(65536)
        idle.sendall(PING)
        assert idle.recv(65536).endswith(b"OK")
    for client in (stream, idle):
        with client:
            assert client.recv(65536) == b""
