"""Questions that are not ours to answer: which servers may be asked, in which order, and what becomes of the answer.

Servers from the host's ``resolv.conf`` are asked from the host's namespace, servers named for a container from the
container's. A container without a way outside never has the former asked for it: it gets SERVFAIL. Servers are tried
in order; one that does not answer, refuses, or fails is followed by the next, and while others are there it comes last
for a while. A slow answer to an earlier attempt is still taken. Nothing is cached: that is upstream's business.

One container may have ``MAX_IN_FLIGHT`` questions open; the next one is refused at once, and only its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Final

from sealane.dns import wire
from sealane.dns.answer import Upstream
from sealane.dns.exchange import Exchanges
from sealane.dns.guest import Guest
from sealane.dns.hosts import HostServers
from sealane.dns.loop import Loop, Timer
from sealane.dns.wire import Query, Rcode, Type

MAX_IN_FLIGHT: Final = 1024
ATTEMPT_S: Final = 2.0  # for one server; a client's own patience is 5 s (resolv.conf(5))
LAST_RESORT_S: Final = 15.0  # how long a silent server comes last

Send = Callable[[bytes], None]


class Forwarder:
    """All questions that are under way to other servers. ``attempt_s`` is the patience with one server, in seconds."""

    def __init__(self, loop: Loop, hosts: HostServers, attempt_s: float = ATTEMPT_S) -> None:
        self.loop = loop
        self.attempt_s = attempt_s
        self.exchanges = Exchanges(loop, lambda: int.from_bytes(os.urandom(2)))
        self._hosts = hosts
        self._silent: dict[Upstream, float] = {}  # until when it comes last

    def submit(self, guest: Guest, query: Query, message: bytes, send: Send, *, stream: bool) -> None:
        """Have *message* answered by an upstream server; *send* is called once, or never when the guest goes."""
        host_side = guest.view.upstreams is None
        servers = self._order(guest)
        if not servers:
            send(wire.build_reply(query, Rcode.SERVFAIL, (), Type.A, 0, wire.MAX_UDP_PLAIN))
        elif guest.in_flight >= MAX_IN_FLIGHT:
            send(wire.build_reply(query, Rcode.REFUSED, (), Type.A, 0, wire.MAX_UDP_PLAIN))
        else:
            kind = StreamAttempts if stream else DatagramAttempts
            kind(self, guest, query, message, send, servers, None if host_side else guest).advance()

    def forget(self, guest: Guest) -> None:
        """Close what was opened inside the namespace of *guest*."""
        self.exchanges.forget(guest)

    def blame(self, server: Upstream) -> None:
        """*server* did not answer: it comes last for a while."""
        self._silent[server] = self.loop.clock() + LAST_RESORT_S
        if len(self._silent) > 1000:
            self._silent.clear()

    def praise(self, server: Upstream) -> None:
        """*server* answered."""
        if self._silent:
            self._silent.pop(server, None)

    def _order(self, guest: Guest) -> tuple[Upstream, ...]:
        """The servers for one question. A lone server is tried twice: one packet may get lost."""
        servers = guest.view.upstreams
        if servers is None:
            servers = self._hosts.current() if guest.view.external else ()
        if len(servers) == 1:
            return servers * 2
        if self._silent:
            now = self.loop.clock()
            return tuple(sorted(servers, key=lambda server: self._silent.get(server, 0.0) > now))
        return servers


class _Attempts:
    """One question on its way through the list of servers."""

    def __init__(
        self,
        forwarder: Forwarder,
        guest: Guest,
        query: Query,
        message: bytes,
        send: Send,
        servers: tuple[Upstream, ...],
        within: Guest | None,
    ) -> None:
        self.query = query
        self.message = message
        self.finished = False
        self._forwarder = forwarder
        self._guest = guest
        self._send = send
        self._servers = servers
        self._within = within
        self._next = 0
        self._timer: Timer | None = None
        guest.in_flight += 1

    def advance(self) -> None:
        """Ask the next server; when there is none left, the question has failed."""
        while not self.finished:
            if self._timer is not None:
                self._timer.cancel()
            if self._next >= len(self._servers):
                self._finish(wire.build_reply(self.query, Rcode.SERVFAIL, (), Type.A, 0, wire.MAX_UDP_PLAIN))
                return
            server = self._servers[self._next]
            self._next += 1
            self._timer = self._forwarder.loop.call_in(self._forwarder.attempt_s, partial(self.failed, server))
            try:
                self._ask(server)
                return
            except OSError:
                self._forwarder.blame(server)

    def failed(self, server: Upstream) -> None:
        """*server* did not answer, or cannot be reached."""
        self._forwarder.blame(server)
        if not self.finished and self._servers[self._next - 1] == server:
            self.advance()

    def answered(self, server: Upstream, reply: bytes) -> None:
        """*server* said *reply*, which carries our question; take it, or go on when it could not help."""
        if self.finished:
            return
        self._forwarder.praise(server)
        if reply[3] & 0xF not in (Rcode.SERVFAIL, Rcode.REFUSED):
            self._finish(self.query.id.to_bytes(2) + reply[2:])
        elif self._servers[self._next - 1] == server:
            if self._next < len(self._servers) and self._servers[self._next] == server:
                self._next += 1  # a lone server has spoken: asking it again would change nothing
            self.advance()

    def _ask(self, server: Upstream) -> None:
        raise NotImplementedError

    def _finish(self, reply: bytes) -> None:
        self.finished = True
        self._guest.in_flight -= 1
        if self._timer is not None:
            self._timer.cancel()
        self._send(reply)


class DatagramAttempts(_Attempts):
    """A question that came over UDP and is asked over UDP; a cut answer is passed on, and the client comes again."""

    def _ask(self, server: Upstream) -> None:
        self._forwarder.exchanges.ask(server, self._within, self)


class StreamAttempts(_Attempts):
    """A question that came over TCP and is asked over TCP."""

    def _ask(self, server: Upstream) -> None:
        self._forwarder.exchanges.ask_stream(server, self._within, self)
