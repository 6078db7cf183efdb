"""Serves all containers: from a datagram or a message to a reply, by table, by decision, or by asking upstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sealane.dns import wire
from sealane.dns.answer import Answer, ContainerView, Directory, decide
from sealane.dns.batch import SLOT_BYTES, Batch
from sealane.dns.forward import Forwarder
from sealane.dns.guest import Guest
from sealane.dns.loop import Loop
from sealane.dns.stream import StreamServer
from sealane.dns.wire import Query, Unanswerable
from sealane.values import ContainerId

MAX_TURNS: Final = 16  # how many different orders of a shared alias are prepared

Send = Callable[[bytes], None]


class Resolver:
    """All guests of the process. ``ttl`` is what our own records carry, in seconds."""

    def __init__(self, loop: Loop, directory: Directory, forwarder: Forwarder, ttl: int) -> None:
        self.directory = directory
        self.guests: dict[ContainerId, Guest] = {}
        self._loop = loop
        self._forwarder = forwarder
        self._ttl = ttl
        self._batch = Batch()
        self._streams: dict[ContainerId, StreamServer] = {}
        self._turn = 0

    def open(self, guest: Guest) -> None:
        """Serve one more container, whose sockets now belong to us; an older one of the same id is closed."""
        container = guest.view.container
        self.close(container)
        self.guests[container] = guest
        self._streams[container] = StreamServer(
            self._loop, guest.tcp, lambda message, send: self.serve_message(guest, message, send)
        )
        self._loop.watch(guest.udp.fileno(), lambda _events: self._serve_datagrams(guest))

    def update(self, view: ContainerView) -> bool:
        """Replace what one container may resolve; False when it is not served."""
        guest = self.guests.get(view.container)
        if guest is None:
            return False
        guest.view = view
        guest.seen = -1
        return True

    def close(self, container: ContainerId) -> None:
        """Stop serving one container. Idempotent."""
        guest = self.guests.pop(container, None)
        if guest is not None:
            self._loop.unwatch(guest.udp.fileno())
            self._streams.pop(container).close()
            self._forwarder.forget(guest)
            guest.close()

    def serve_message(self, guest: Guest, message: bytes, send: Send) -> bool:
        """Answer one message that came over TCP, at once or later; False when there will be no answer."""
        try:
            query = wire.parse_query(message)
        except Unanswerable as refusal:
            if refusal.rcode is not None:
                send(wire.build_refusal(message, refusal.rcode))
            return refusal.rcode is not None
        answer = decide(self.directory, guest.view, query)
        if answer is None:
            self._forwarder.submit(guest, query, message, send, stream=True)
        else:
            self._turn += 1
            send(self._reply(query, answer, self._turn, wire.MAX_TCP))
        return True

    def _serve_datagrams(self, guest: Guest) -> None:
        """One batch. Replies go out in runs: a slot that has no reply now ends the run before it."""
        batch = self._batch
        fd = guest.udp.fileno()
        count = batch.receive(fd)
        guest.refresh(self.directory.generation)
        inbox, out_iov, prepared = batch.inbox, batch.out_iov, guest.prepared
        start = slot = at = 0
        for length in batch.lengths(count):
            question = inbox[at + 2 : at + length]
            reply = prepared.get(question)
            if reply is None:
                reply = self._prepare(guest, slot, inbox[at : at + length])
            if reply is None:
                batch.send(fd, start, slot)
                start = slot + 1
            else:
                to = slot * 32 + 16
                out_iov[to : to + 16] = reply()
            slot += 1
            at += SLOT_BYTES
        batch.send(fd, start, slot)

    def _prepare(self, guest: Guest, slot: int, message: bytes) -> Callable[[], bytes] | None:
        """The prepared reply for a question that had none yet; None when nothing is to be sent with this batch."""
        try:
            query = wire.parse_query(message)
        except Unanswerable as refusal:
            if refusal.rcode is not None:
                self._datagram_sender(guest, slot)(wire.build_refusal(message, refusal.rcode))
            return None
        answer = decide(self.directory, guest.view, query)
        if answer is None:
            self._forwarder.submit(guest, query, message, self._datagram_sender(guest, slot), stream=False)
            return None
        if query.edns is not None and query.edns.options:  # cookies and the like differ with every question
            self._turn += 1
            self._datagram_sender(guest, slot)(self._reply(query, answer, self._turn, query.udp_limit))
            return None
        count = len(answer.rdatas)
        turns = range(0, count, -(-count // MAX_TURNS)) if count else (0,)
        guest.prepare(message[2:], [self._reply(query, answer, turn, query.udp_limit) for turn in turns])
        return guest.prepared[message[2:]]

    def _reply(self, query: Query, answer: Answer, turn: int, limit: int) -> bytes:
        rdatas = answer.rdatas
        if len(rdatas) > 1:
            turn %= len(rdatas)
            rdatas = rdatas[turn:] + rdatas[:turn]
        return wire.build_reply(query, answer.rcode, rdatas, answer.rtype, self._ttl, limit)

    def _datagram_sender(self, guest: Guest, slot: int) -> Send:
        """A function that sends one reply to where the datagram in *slot* came from, also long after the batch."""
        address = self._batch.sender(slot)
        udp = guest.udp

        def send(reply: bytes) -> None:
            try:
                udp.sendto(reply, address)
            except OSError:
                pass  # the container is gone, or its buffers are full: the asker will ask again

        return send
