"""DNS over TCP for one container: RFC 7766, with limits so that no client can hold more than its share.

A message is two bytes of length and the message itself; questions may follow one another without waiting for replies,
which may come in another order. A connection ends when it is idle, when one message takes too long to arrive, when
its replies are not read, or, the longest idle first, when a new one comes and the container has too many.
"""

from __future__ import annotations

import select
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sealane.dns.loop import IN, OUT, Loop, Timer

IDLE_S: Final = 10.0  # for the next whole message, however slowly its bytes trickle in
MAX_CONNECTIONS: Final = 64  # of one container
MAX_UNREAD: Final = 262144  # bytes of replies that a client may leave lying
MAX_UNANSWERED: Final = 64  # questions of one connection that wait for an upstream server
_READ: Final = 16384
_PAUSE_S: Final = 0.5  # without accepting, when the process has no descriptors or memory left

Send = Callable[[bytes], None]
Serve = Callable[[bytes, Send], bool]  # False: there will be no reply


class StreamServer:
    """The listening socket of one container, borrowed, and the connections accepted from it, owned."""

    def __init__(self, loop: Loop, listener: socket.socket, serve: Serve) -> None:
        self._loop = loop
        self._listener = listener
        self._serve = serve
        self._connections: OrderedDict[_Connection, None] = OrderedDict()  # longest idle first
        self._pause = Timer(self._resume)
        loop.watch(listener.fileno(), self._accept)

    def close(self) -> None:
        """Close all connections and leave the listening socket alone. Idempotent."""
        self._pause.cancel()
        self._loop.unwatch(self._listener.fileno())
        for connection in list(self._connections):
            connection.close()

    def _resume(self) -> None:
        self._loop.watch(self._listener.fileno(), self._accept)

    def _accept(self, _events: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError:
            self._loop.unwatch(self._listener.fileno())
            self._pause = self._loop.call_in(_PAUSE_S, self._resume)
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            next(iter(self._connections)).close()
        sock.setblocking(False)
        connection = _Connection(self._loop, sock, self._serve, self._connections)
        self._connections[connection] = None


class _Connection:
    """One client. Reading stops while it has too many questions open; it ends by ``close``, from wherever."""

    def __init__(self, loop: Loop, sock: socket.socket, serve: Serve, siblings: OrderedDict[_Connection, None]) -> None:
        self._loop = loop
        self._sock = sock
        self._serve = serve
        self._siblings = siblings
        self._received = bytearray()
        self._unsent = bytearray()
        self._unanswered = 0
        self._finished = False  # the client will send nothing more
        self._closed = False
        self._taking = False
        self._events = IN
        self._alive_until = loop.clock() + IDLE_S
        self._deadline = loop.call_in(IDLE_S, self._expire)
        loop.watch(sock.fileno(), self._ready)

    def close(self) -> None:
        """End the connection. Idempotent."""
        if not self._closed:
            self._closed = True
            self._deadline.cancel()
            self._siblings.pop(self, None)
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()

    def _ready(self, events: int) -> None:
        if events & (select.EPOLLHUP | select.EPOLLERR):
            self.close()
            return
        try:
            if events & OUT:
                self._flush()
            if events & IN:
                self._read()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
        self._settle()

    def _read(self) -> None:
        data = self._sock.recv(_READ)
        self._finished = not data
        self._received += data
        self._take_messages()

    def _take_messages(self) -> None:
        """Serve what has arrived whole. Answers that come at once end up here again, hence the flag."""
        received = self._received
        self._taking = True
        while not self._closed and self._unanswered < MAX_UNANSWERED and len(received) >= 2:
            end = 2 + int.from_bytes(received[:2])
            if len(received) < end:
                break
            message = bytes(received[2:end])
            del received[:end]
            self._renew()
            self._serve_one(message)
        self._taking = False

    def _serve_one(self, message: bytes) -> None:
        self._unanswered += 1
        answered = False

        def send(reply: bytes) -> None:
            nonlocal answered
            if not answered and not self._closed:
                answered = True
                self._unanswered -= 1
                self._unsent += len(reply).to_bytes(2) + reply
                self._push()

        if not self._serve(message, send):
            self.close()  # no DNS: nothing that follows can be trusted to be any

    def _push(self) -> None:
        """Send what can be sent now; also called when an answer comes in from upstream."""
        try:
            self._flush()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
        if len(self._unsent) > MAX_UNREAD:
            self.close()
        if not self._taking:
            self._take_messages()
            self._settle()

    def _flush(self) -> None:
        if self._unsent:
            sent = self._sock.send(self._unsent)
            del self._unsent[:sent]
            self._renew()

    def _renew(self) -> None:
        """The client has done something whole: it is the least idle now, and its time starts anew."""
        if not self._closed:
            self._siblings.move_to_end(self)
            self._alive_until = self._loop.clock() + IDLE_S

    def _expire(self) -> None:
        remaining = self._alive_until - self._loop.clock()
        if remaining > 0:
            self._deadline = self._loop.call_in(remaining, self._expire)
        else:
            self.close()

    def _settle(self) -> None:
        """Watch for what is wanted next, or end when nothing is."""
        if self._closed:
            return
        if self._finished and not self._unsent and not self._unanswered:
            self.close()
            return
        reading = not self._finished and self._unanswered < MAX_UNANSWERED
        events = (IN if reading else 0) | (OUT if self._unsent else 0)
        if events != self._events:
            self._events = events
            self._loop.modify(self._sock.fileno(), events)
