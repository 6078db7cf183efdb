"""One accepted connection as a two-way stream of bytes, with half-close and back-pressure in both directions.

``Duplex`` is the only owner of its transport. It tells three ends apart, because attach needs the difference:

* the peer finished *sending* (``shutdown(SHUT_WR)``): ``read`` returns ``b""``, writing goes on;
* the peer is *gone* (it closed, or was killed): ``read`` returns ``b""``, ``gone`` is true, ``drain`` raises
  ConnectionResetError, and a task inside ``until_gone()`` is stopped;
* we closed.

Out of scope: HTTP (``connection``), frames and detach keys (``takeover``).
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import termios
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

#: Bytes that may wait unread before the socket is left alone; the kernel then holds the sender back.
READ_HIGH_WATER: Final = 256 * 1024
#: How often a half-closed connection is looked at, in seconds: the event loop no longer watches it for reading.
HALF_CLOSED_POLL_S: Final = 1.0
#: How often, and at what distance in seconds, it is asked whether the peer has read what it was sent.
TAKEN_POLLS: Final = 40
TAKEN_POLL_S: Final = 0.0005


class Duplex(asyncio.Protocol):
    """A byte stream over one socket. Made by the event loop's server; *on_open* is called once it is connected."""

    def __init__(self, on_open: Callable[[Duplex], None]) -> None:
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._waiting = 0  # bytes in _chunks
        self._reading_paused = False
        self._writing_paused = False
        self._ended = False  # nothing more will be read
        self._gone = asyncio.Event()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._watch: _UntilGone | None = None

    # -- what the event loop calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._waiting += len(data)
        if self._waiting > READ_HIGH_WATER and self._transport is not None and not self._reading_paused:
            self._transport.pause_reading()
            self._reading_paused = True
        self._wake_reader()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake_reader()
        self._look_if_gone()
        return True  # keep the transport: our direction is still open

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._set_gone()
        self._wake_reader()
        self._wake_writer()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake_writer()

    # -- what the owner calls --------------------------------------------------------------------------------------

    @property
    def gone(self) -> bool:
        """The peer has closed altogether; nothing that is written reaches anyone."""
        return self._gone.is_set()

    @property
    def pending(self) -> bool:
        """Something can be read without waiting."""
        return bool(self._chunks)

    async def wait_gone(self) -> None:
        """Wait until the peer is gone."""
        await self._gone.wait()

    async def read(self) -> bytes:
        """The next bytes, at least one; ``b""`` at the end. One reader at a time."""
        while not self._chunks and not self._ended:
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        chunks, self._chunks, self._waiting = self._chunks, [], 0
        if self._reading_paused and self._transport is not None and not self._gone.is_set():
            self._reading_paused = False
            self._transport.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def unread(self, data: bytes) -> None:
        """Put *data* back in front of everything that was not read yet."""
        if data:
            self._chunks.insert(0, data)
            self._waiting += len(data)

    def write(self, data: bytes) -> None:
        """Queue *data*; call ``drain`` to be held back when the peer is slow. Silent once the peer is gone."""
        if self._transport is not None and not self._gone.is_set():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken enough. Raises ConnectionResetError when it is gone."""
        while self._writing_paused and not self._gone.is_set():
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        if self._gone.is_set():
            raise ConnectionResetError("the client has gone")

    async def taken(self) -> None:
        """Wait until the peer has read what was written, but not for long (unix(7): SIOCOUTQ counts the rest)."""
        for _ in range(TAKEN_POLLS):
            if self._transport is None or self._gone.is_set():
                return
            waiting = fcntl.ioctl(self._transport.get_extra_info("socket"), termios.TIOCOUTQ, b"\0" * 4)
            if not any(waiting):
                return
            await asyncio.sleep(TAKEN_POLL_S)

    def end(self) -> None:
        """Send what is queued and then say that nothing follows; reading goes on. Idempotent."""
        transport = self._transport
        if (
            transport is not None
            and not self._gone.is_set()
            and not transport.is_closing()
            and transport.can_write_eof()
        ):
            transport.write_eof()

    def close(self) -> None:
        """Send what is queued, then close. Idempotent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once and drop what is queued. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    def until_gone(self) -> AbstractAsyncContextManager[None]:
        """A block that is stopped with ConnectionResetError as soon as the peer is gone."""
        return _UntilGone(self)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _set_gone(self) -> None:
        self._gone.set()
        if self._watch is not None:
            self._watch.fire()

    def _look_if_gone(self) -> None:
        """After an end of file: did the peer only stop sending, or is it no longer there? POLLHUP tells."""
        if self._gone.is_set() or self._transport is None or self._transport.is_closing():
            return
        peer = self._transport.get_extra_info("socket")
        poller = select.poll()
        poller.register(peer.fileno(), 0)  # POLLHUP is always reported
        if any(flags & (select.POLLHUP | select.POLLERR) for _, flags in poller.poll(0)):
            self._set_gone()
            self._wake_writer()
            self._transport.abort()
        elif peer.family == socket.AF_UNIX:
            self._loop.call_later(HALF_CLOSED_POLL_S, self._look_if_gone)

    def watch(self, watch: _UntilGone | None) -> None:
        """Called by ``until_gone`` alone."""
        self._watch = watch


class _UntilGone:
    """Cancels the task inside it when the peer vanishes, the way ``asyncio.timeout`` does for time."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._fired = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        if self._duplex.gone:
            raise ConnectionResetError("the client has gone")
        self._duplex.watch(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._duplex.watch(None)
        task, self._task = self._task, None
        assert task is not None
        if self._fired and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise ConnectionResetError("the client has gone") from error

    def fire(self) -> None:
        if self._task is not None and not self._fired:
            self._fired = True
            self._task.cancel()
