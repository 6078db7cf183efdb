"""TCP: each accepted connection gets one to the target, and bytes go both ways until both ways have ended.

The end of one direction (FIN) is passed on and the other goes on (half-close); a reset is passed on as a reset. Who
reads slowly slows down who writes to them, and nobody else.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from sealane.relay.sockets import family_of
from sealane.values import IPAddress

CONNECT_S: Final = 30.0
_RESET: Final = struct.pack("@ii", 1, 0)  # struct linger
_HIGH_WATER: Final = 262144  # bytes that may wait for a slow reader


class StreamListener:
    """A listening socket, owned, with the connections that came through it."""

    def __init__(self, sock: socket.socket, target: tuple[IPAddress, int]) -> None:
        self.target = target
        self._sock = sock
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._halves: set[_Half] = set()

    async def start(self) -> None:
        """Accept from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Half(self._halves, self._accepted), sock=self._sock)

    def retarget(self, target: tuple[IPAddress, int]) -> None:
        """Lead new connections to another address."""
        self.target = target

    def close(self) -> None:
        """Stop accepting and end all connections. Idempotent."""
        if self._server is not None:
            self._server.close()
        self._sock.close()
        for task in self._tasks:
            task.cancel()
        for half in list(self._halves):
            half.abort()

    def _accepted(self, client: _Half) -> None:
        task = asyncio.get_running_loop().create_task(self._join(client))  # owned: cancelled by close
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, client: _Half) -> None:
        address, port = self.target
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, server = await loop.create_connection(
                    lambda: _Half(self._halves), str(address), port, family=family_of(address)
                )
        except OSError:  # a timeout is one too
            client.abort()
            return
        client.join(server)


class _Half(asyncio.Protocol):
    """One of the two connections of a relayed one. Reading begins when both exist."""

    def __init__(self, siblings: set[_Half], accepted: Callable[[_Half], None] | None = None) -> None:
        self._siblings = siblings
        self._accepted = accepted
        self._transport: asyncio.Transport | None = None
        self._other: _Half | None = None
        self._lost = False
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._siblings.add(self)
        transport.pause_reading()
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._accepted is not None:
            self._accepted(self)

    def join(self, other: _Half) -> None:
        """Let the bytes flow between the two."""
        if self._lost or other._lost:
            self.abort()
            other.abort()
            return
        self._other, other._other = other, self
        for half in (self, other):
            if half._transport is not None:
                half._transport.resume_reading()

    def abort(self) -> None:
        """End with a reset (SO_LINGER of no time): an ordinary end would look like success. Idempotent."""
        if self._transport is not None and not self._lost:
            sock = self._transport.get_extra_info("socket")
            if sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        if self._other is not None and self._other._transport is not None:
            self._other._transport.write(data)

    def eof_received(self) -> bool:
        """Called by asyncio. True: our direction has ended, the other has not."""
        self._ended = True
        other = self._other
        if other is not None and other._transport is not None and not other._transport.is_closing():
            other._transport.write_eof()
            if other._ended:
                other._transport.close()
        return other is not None and not other._ended

    def pause_writing(self) -> None:
        """Called by asyncio: who reads from us is slow."""
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        if self._other is not None and self._other._transport is not None and not self._other._lost:
            self._other._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio."""
        self._lost = True
        self._siblings.discard(self)
        if self._other is not None and not self._other._lost:
            if error is not None or not self._ended:
                self._other.abort()
            elif self._other._transport is not None:
                self._other._transport.close()
