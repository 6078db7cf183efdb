"""Packets to and from upstream servers.

UDP: a connected socket per server, used for a limited number of questions and a limited time, so that source ports
change; each question on it has a random id. The kernel drops what does not come from the server's address and port.
An answer counts only when id and question are those that were sent. TCP: one connection for one question.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Final, Protocol

from sealane.dns.answer import Upstream
from sealane.dns.guest import Guest
from sealane.dns.loop import IN, OUT, Loop
from sealane.dns.wire import HEADER, MAX_TCP, QR, Query

MAX_USES: Final = 100  # questions on one socket, one source port
MAX_AGE_S: Final = 5.0
LINGER_S: Final = 10.0  # how long a retired socket waits for late answers
_READS: Final = 64  # answers taken from one socket before others get their turn


class Asker(Protocol):
    """A question that waits for an answer."""

    query: Query
    message: bytes
    finished: bool

    def answered(self, server: Upstream, reply: bytes) -> None:
        """An answer to the question has come."""

    def failed(self, server: Upstream) -> None:
        """There will be no answer from *server*."""


def open_connected(server: Upstream, within: Guest | None, kind: int) -> socket.socket:
    """A non-blocking socket towards *server*, inside the namespace of *within* or in our own. Raises OSError."""
    family = socket.AF_INET if server.address.version == 4 else socket.AF_INET6
    sock = within.open_socket(family, kind) if within else socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        target = socket.getaddrinfo(
            str(server.address), server.port, family=family, type=kind, flags=socket.AI_NUMERICHOST
        )[0][4]
        sock.connect(target)
    except BlockingIOError:
        pass  # TCP: EPOLLOUT says when it is done
    except BaseException:
        sock.close()
        raise
    return sock


def is_answer(reply: bytes, ident: int, query: Query) -> bool:
    """True when *reply* answers *query* sent as *ident*. Some servers leave the question out of an error."""
    if len(reply) < HEADER.size or int.from_bytes(reply[:2]) != ident or not reply[2] << 8 & QR:
        return False
    end = HEADER.size + len(query.question)
    return reply[4:6] == b"\0\0" or reply[HEADER.size : end].lower() == query.question.lower()


class Channel:
    """One connected UDP socket and the questions that wait on it."""

    def __init__(self, loop: Loop, server: Upstream, within: Guest | None, random_id: Callable[[], int]) -> None:
        self._loop = loop
        self._server = server
        self._random_id = random_id
        self._sock = open_connected(server, within, socket.SOCK_DGRAM)
        self._waiting: dict[int, Asker] = {}
        self._uses = 0
        self._fresh_until = loop.clock() + MAX_AGE_S
        self.closed = False
        loop.watch(self._sock.fileno(), self._ready)

    @property
    def fresh(self) -> bool:
        """True while more questions may be put to it."""
        return not self.closed and self._uses < MAX_USES and self._loop.clock() < self._fresh_until

    def ask(self, asker: Asker) -> None:
        """Send a question. Raises OSError."""
        ident = self._random_id()
        while ident in self._waiting:
            ident = self._random_id()
        self._uses += 1
        self._waiting[ident] = asker
        try:
            self._sock.send(ident.to_bytes(2) + asker.message[2:])
        except OSError:
            del self._waiting[ident]
            self.retire()
            raise

    def retire(self) -> None:
        """Ask nothing more here; close when late answers have had their time."""
        self._uses = MAX_USES
        if all(asker.finished for asker in self._waiting.values()):
            self.close()
        else:
            self._loop.call_in(LINGER_S, self.close)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if not self.closed:
            self.closed = True
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            self._waiting.clear()

    def _ready(self, _events: int) -> None:
        for _ in range(_READS):
            if self.closed:
                return
            try:
                reply = self._sock.recv(MAX_TCP)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # ICMP said that nobody is there
                waiting = list(self._waiting.values())
                self.close()
                for asker in waiting:
                    asker.failed(self._server)
                return
            ident = int.from_bytes(reply[:2])
            asker_ = self._waiting.get(ident)
            if asker_ is not None and is_answer(reply, ident, asker_.query):
                del self._waiting[ident]
                asker_.answered(self._server, reply)


class StreamExchange:
    """One question over one TCP connection; tells its asker exactly once how it ended."""

    def __init__(self, loop: Loop, server: Upstream, within: Guest | None, message: bytes, asker: Asker) -> None:
        self._loop = loop
        self._server = server
        self._asker = asker
        self._ident = int.from_bytes(message[:2])
        self._unsent = len(message).to_bytes(2) + message
        self._received = bytearray()
        self._sock = open_connected(server, within, socket.SOCK_STREAM)
        self.closed = False
        loop.watch(self._sock.fileno(), self._ready, OUT)
        self._deadline = loop.call_in(LINGER_S, self._fail)

    def _ready(self, events: int) -> None:
        try:
            if events & (OUT | select.EPOLLERR) and self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
                if not self._unsent:
                    self._loop.modify(self._sock.fileno(), IN)
            elif events:
                self._read()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._fail()

    def _read(self) -> None:
        data = self._sock.recv(MAX_TCP)
        self._received += data
        size = int.from_bytes(self._received[:2]) + 2 if len(self._received) >= 2 else MAX_TCP
        reply = bytes(self._received[2:size])
        if len(self._received) < size:
            if not data:
                self._fail()
        elif is_answer(reply, self._ident, self._asker.query):
            self.close()
            self._asker.answered(self._server, reply)
        else:
            self._fail()

    def _fail(self) -> None:
        if not self.closed:
            self.close()
            self._asker.failed(self._server)

    def close(self) -> None:
        """Give up without telling anybody. Idempotent."""
        if not self.closed:
            self.closed = True
            self._deadline.cancel()
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()


class Exchanges:
    """All that is open towards upstream servers. ``random_id`` gives 16 bits that nobody can guess."""

    def __init__(self, loop: Loop, random_id: Callable[[], int]) -> None:
        self._loop = loop
        self._random_id = random_id
        self._current: dict[tuple[Guest | None, Upstream], Channel] = {}
        self._open: dict[Guest, list[Channel | StreamExchange]] = {}  # inside containers only

    def ask(self, server: Upstream, within: Guest | None, asker: Asker) -> None:
        """Ask over UDP, on the socket in use for *server* or on a new one. Raises OSError."""
        channel = self._current.get((within, server))
        if channel is None or not channel.fresh:
            if channel is not None:
                del self._current[within, server]
                channel.retire()
            channel = Channel(self._loop, server, within, self._random_id)
            self._current[within, server] = channel
            self._remember(within, channel)
        channel.ask(asker)

    def ask_stream(self, server: Upstream, within: Guest | None, asker: Asker) -> None:
        """Ask over a TCP connection of its own. Raises OSError."""
        message = self._random_id().to_bytes(2) + asker.message[2:]
        self._remember(within, StreamExchange(self._loop, server, within, message, asker))

    def forget(self, guest: Guest) -> None:
        """Close everything inside the namespace of *guest*, which could otherwise not go away."""
        for key in [key for key in self._current if key[0] is guest]:
            del self._current[key]
        for opened in self._open.pop(guest, ()):
            opened.close()

    def _remember(self, within: Guest | None, opened: Channel | StreamExchange) -> None:
        if within is not None:
            held = self._open.setdefault(within, [])
            held[:] = [each for each in held if not each.closed]
            held.append(opened)
