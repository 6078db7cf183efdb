"""HTTP/1.1 on one connection: h11 decides what the bytes mean, this module moves them.

Contract: requests of one connection are answered in order, one at a time; bytes that come early wait. A reply is
complete or the connection is cut, so that no half reply looks whole. A verb that has begun runs to its end even if the
client goes away; only streams are stopped by that.

Out of scope: what a request means (``app``), the listening socket (``server``).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import h11

from sealane.api.app import error_reply
from sealane.api.duplex import Duplex
from sealane.api.errors import HeadTooLarge, TooSlow
from sealane.api.http import App, Reply, Request, Response, Stream, TakeOver
from sealane.api.iterating import closing
from sealane.api.query import Query
from sealane.errors import InvalidArgument, SealaneError, Unsupported

log: Final = logging.getLogger(__name__)

#: Request line and headers together, in bytes.
MAX_HEAD: Final = 64 * 1024
#: A body that no handler read is taken in up to this size so that the connection can be used again.
MAX_LEFTOVER: Final = 256 * 1024
#: Seconds for reading such a leftover, and for a client to notice that we closed our side.
LINGER_S: Final = 2.0


class Connection:
    """One client's connection. ``run`` is its whole life; cancelling it cuts the connection.

    *headers* are the lines that every reply carries, each with its line end.
    """

    def __init__(self, duplex: Duplex, app: App, *, headers: bytes, head_timeout_s: float) -> None:
        self._duplex = duplex
        self._app = app
        self._headers = headers
        self._head_timeout_s = head_timeout_s
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._closing = False
        self._method = ""
        self._body_held_back = False  # the client waited for a word before sending the body, and got the reply instead
        #: No verb is running: the connection may be cut at any time.
        self.idle = True

    def finish(self) -> None:
        """Answer the request that is being served, then close."""
        self._closing = True

    async def run(self) -> None:
        """Serve until either side ends. Raises nothing but CancelledError."""
        try:
            while await self._exchange():
                pass
        except ConnectionResetError:
            pass
        except Exception:
            log.exception("a connection failed")
            self._duplex.abort()
        finally:
            self._duplex.close()

    # -- one request and its reply ---------------------------------------------------------------------------------

    async def _exchange(self) -> bool:
        """Serve one request; False when the connection has ended."""
        try:
            head = await self._head()
        except SealaneError as error:
            await self._refuse(error)
            return False
        if head is None:
            return False
        self.idle = False
        try:
            reply = await self._answer(head)
            if isinstance(reply, TakeOver):
                self.idle = True
                await self._hand_over(reply)
                return False
            self._body_held_back = self._http.they_are_waiting_for_100_continue
            await self._send(reply)
        finally:
            self.idle = True
        return await self._next_cycle()

    async def _answer(self, head: h11.Request) -> Reply:
        try:
            request = self._request(head)
        except SealaneError as error:  # the version or the query string cannot be served
            return error_reply(error)
        return await self._app(request)

    async def _head(self) -> h11.Request | None:
        """The next request's head. None at the end. Raises SealaneError for a head that cannot be served."""
        try:
            event = self._http.next_event()
            if event is h11.NEED_DATA and not self._http.trailing_data[0]:
                self._http.receive_data(await self._duplex.read())  # between requests a client may take its time
                event = self._http.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(self._head_timeout_s):
                    while (event := self._http.next_event()) is h11.NEED_DATA:
                        self._http.receive_data(await self._duplex.read())
        except TimeoutError:
            raise TooSlow("the head of the request did not come in time") from None
        except h11.RemoteProtocolError as error:
            raise _malformed(error) from error
        return event if isinstance(event, h11.Request) else None

    def _request(self, head: h11.Request) -> Request:
        if head.http_version not in (b"1.0", b"1.1"):
            raise InvalidArgument("malformed HTTP request: unsupported protocol version")
        path, _, query = head.target.decode("latin-1").partition("?")
        if not path.startswith("/") and "://" in path:  # the form that is meant for proxies, RFC 9112 section 3.2.2
            path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        self._method = head.method.decode("latin-1")
        return Request(self._method, path, Query(query), headers, _RequestBody(self))

    async def body_chunk(self) -> bytes:
        """The next piece of the request's body, ``b""`` at its end. Raises InvalidArgument for a broken one."""
        if self._http.their_state is not h11.SEND_BODY:
            return b""
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._duplex.read())
        except h11.RemoteProtocolError as error:
            raise InvalidArgument(f"malformed request body: {_problem(error)}") from error
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _next_cycle(self) -> bool:
        """Make ready for another request on this connection, if there can be one."""
        if self._closing or self._duplex.gone:
            return False
        if self._http.their_state is h11.SEND_BODY and not await self._take_leftover():
            await self._linger()
            return False
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _take_leftover(self) -> bool:
        """Read what is left of a body that nobody wanted; False if that is too much, or would never come."""
        if self._body_held_back:
            return False
        size = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while chunk := await self.body_chunk():
                    size += len(chunk)
                    if size > MAX_LEFTOVER:
                        return False
        except (TimeoutError, InvalidArgument):
            return False
        return True

    # -- replies ---------------------------------------------------------------------------------------------------

    async def _send(self, reply: Response | Stream) -> None:
        if isinstance(reply, Stream):
            await self._send_stream(reply)
            return
        framing = []
        if reply.status >= 200 and reply.status not in (204, 304):
            framing.append((b"Content-Length", b"%d" % len(reply.body)))
        parts = [self._response(reply, reply.status, framing)]
        if reply.body and self._method != "HEAD":
            parts.append(self._http.send(h11.Data(reply.body)) or b"")
        parts.append(self._http.send(h11.EndOfMessage()) or b"")
        self._duplex.write(b"".join(parts))
        await self._duplex.drain()

    async def _send_stream(self, reply: Stream) -> None:
        self._duplex.write(self._response(reply, 200, []))
        self.idle = True  # nothing is lost when a stream is cut
        try:
            async with self._duplex.until_gone(), closing(reply.chunks):
                async for chunk in reply.chunks:
                    if chunk:
                        self._write(h11.Data(chunk))
                        await self._duplex.drain()
        except SealaneError as error:
            # The head is out, so the status can no longer tell: cut the connection, which every client notices.
            log.warning("a stream ended early: %s", error)
            raise ConnectionResetError("the reply could not be completed") from error
        self._write(h11.EndOfMessage())

    async def _hand_over(self, reply: TakeOver) -> None:
        """Leave HTTP. Bytes that came behind the request already belong to the conversation."""
        while await self.body_chunk():
            pass
        early, _ = self._http.trailing_data
        self._duplex.unread(early)
        status = "101 UPGRADED" if reply.upgrade else "200 OK"
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {reply.media}"]
        if reply.upgrade:
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        head = "\r\n".join(lines).encode() + b"\r\n"
        self._duplex.write(head + self._headers + b"\r\n")
        await self._duplex.taken()  # docker-py forgets what it read together with the head
        await reply.conversation(self._duplex)
        await self._linger()

    async def _refuse(self, error: SealaneError) -> None:
        """Answer something that was not even a request, and close."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        with contextlib.suppress(h11.LocalProtocolError):
            await self._send(error_reply(error))
        await self._linger()

    async def _linger(self) -> None:
        """Close our direction and wait a little for the other: closing at once would destroy what was sent last."""
        self._duplex.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while await self._duplex.read():
                    pass

    # -- bytes -----------------------------------------------------------------------------------------------------

    def _response(self, reply: Response | Stream, status: int, framing: list[tuple[bytes, bytes]]) -> bytes:
        """The head of a reply. h11 gets what frames it; checking our own constant lines each time would cost more."""
        if self._closing:
            framing.append((b"Connection", b"close"))
        head = self._http.send(h11.Response(status_code=status, headers=framing, reason=_reason(status))) or b""
        lines = [head[:-2], self._headers, _date(int(time.time()))]
        if reply.media:
            lines.append(b"Content-Type: " + reply.media.encode() + b"\r\n")
        lines += [f"{name}: {value}\r\n".encode() for name, value in reply.headers]
        lines.append(b"\r\n")
        return b"".join(lines)

    def _write(self, event: h11.Event) -> None:
        self._duplex.write(self._http.send(event) or b"")


class _RequestBody:
    """The body of the request that is being served."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._connection.body_chunk():
            yield chunk


def _malformed(error: h11.RemoteProtocolError) -> SealaneError:
    """What is wrong with a request's head."""
    match error.error_status_hint:
        case HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            return HeadTooLarge(f"request line and headers are too large: the limit is {MAX_HEAD} bytes")
        case HTTPStatus.NOT_IMPLEMENTED:
            return Unsupported(f"malformed HTTP request: {_problem(error)}")
    return InvalidArgument(f"malformed HTTP request: {_problem(error)}")


def _problem(error: h11.RemoteProtocolError) -> str:
    """h11's words without the bytes that it quotes."""
    return str(error).partition(": bytearray(")[0]


@functools.lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode()


@functools.lru_cache(maxsize=64)
def _reason(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode()
