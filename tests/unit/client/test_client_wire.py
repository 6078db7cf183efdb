"""HTTP as bytes, held against h11: the same replies, cut anywhere, give the same bodies."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.client.wire import ReplyReader, quote, render_chunk, render_head, render_target
from sealane.errors import Internal

BODIES = st.lists(st.binary(min_size=1, max_size=300), max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """*data* cut at the given places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def served(parts: list[bytes], *, chunked: bool, status: int = 200) -> bytes:
    """What h11 sends as a server."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    server.next_event()
    server.next_event()
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(sum(map(len, parts))))
    out = [server.send(h11.Response(status_code=status, headers=[framing, ("Api-Version", "1.48")]))]
    out += [server.send(h11.Data(data=part)) for part in parts]
    out.append(server.send(h11.EndOfMessage()))
    return b"".join(filter(None, out))


@given(parts=BODIES, chunked=st.booleans(), cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_a_reply_cut_anywhere_is_read_whole(parts: list[bytes], chunked: bool, cuts: list[int]) -> None:
    reader = ReplyReader("GET")

    body = b"".join(reader.feed(piece) for piece in pieces(served(parts, chunked=chunked), cuts) if piece)

    assert (reader.status, reader.done, body) == (200, True, b"".join(parts))
    assert reader.headers["api-version"] == "1.48"
    assert (reader.reusable, reader.rest) == (True, b"")


def test_what_comes_after_a_reply_is_left_alone() -> None:
    reader = ReplyReader("GET")
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200")

    assert (reader.done, reader.rest) == (True, b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"),
        ("POST", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        ("GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_replies_without_a_body(method: str, head: bytes) -> None:
    reader = ReplyReader(method)

    assert reader.feed(head) == b""
    assert reader.done


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = ReplyReader("GET")
    body = reader.feed(b"HTTP/1.1 200 OK\r\n\r\nab") + reader.feed(b"cd")
    assert not reader.done

    reader.feed(b"")

    assert (body, reader.done, reader.reusable) == (b"abcd", True, False)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n",
    ],
)
def test_a_taken_over_stream_keeps_what_came_with_the_head(head: bytes) -> None:
    reader = ReplyReader("POST")

    assert reader.feed(head + b"early") == b""
    assert (reader.takeover, reader.rest) == (True, b"early")


def test_a_refused_take_over_is_an_ordinary_reply() -> None:
    reader = ReplyReader("POST")
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"

    assert reader.feed(head + b"Invalid detach keys") == b"Invalid detach keys"
    assert not reader.takeover


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 300_000,
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(Internal):
        ReplyReader("GET").feed(data)


def test_a_reply_cut_off_is_an_error() -> None:
    reader = ReplyReader("GET")
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")

    with pytest.raises(Internal, match="in the middle"):
        reader.feed(b"")


@given(parts=BODIES)
def test_h11_reads_what_we_send(parts: list[bytes]) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(render_head("POST", "/v1.48/x?a=b", {"Host": "sealane", "Transfer-Encoding": "chunked"}))
    server.receive_data(b"".join(map(render_chunk, parts)) + render_chunk(b""))
    request, body = server.next_event(), b""
    while isinstance(event := server.next_event(), h11.Data):
        body += bytes(event.data)

    assert isinstance(request, h11.Request)
    assert (request.method, request.target, body) == (b"POST", b"/v1.48/x?a=b", b"".join(parts))
    assert isinstance(event, h11.EndOfMessage)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_quoted_text_is_what_urllib_unquotes(text: str) -> None:
    from urllib.parse import unquote

    quoted = quote(text)

    assert unquote(quoted) == text
    assert quoted.isascii()
    assert not set(quoted) & set(' ?#&="<>\r\n')


def test_the_target_leaves_out_what_is_not_asked_for() -> None:
    query = {"all": True, "size": False, "limit": None, "t": 0, "names": ["a b", "c"]}

    assert render_target("/x", query) == "/x?all=1&t=0&names=a%20b&names=c"
    assert render_target("/x", {}) == "/x"
