"""Makes the kernel forget connections that lead to what is gone, beside whatever else goes on.

The kernel translates a connection's packets as it did the first one, for as long as packets come. So when a container
has gone, its peers are still led to its address, whoever has it next; and a peer that kept sending datagrams to a port
before it was published is not led to the container at all. Both kinds of entry are deleted here.

A look through the kernel's table takes 9 ms however little is in it (``linux.conntrack``), longer than all the rest of
a teardown, and whatever needs a grace period of RCU waits for it. So it is not done for containers that never had a
connection (``talked``); and else one thread does it a moment later, for all that has gathered by then, and nobody waits
except for an address that is given to the next container (``wait_for``). See docs/decisions/0003.

Out of scope: connections of TCP to a port that is published later; a refused one leaves no entry behind.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sealane.linux.conntrack import Conntrack
from sealane.linux.netlink.ctnetlink import Flow, address_needle, destination_port_needle
from sealane.linux.nft import Nft
from sealane.network.firewall import tracked
from sealane.network.spec import EndpointSpec
from sealane.values import IPAddress, PublishedPort, Transport

_UDP: Final = 17
_PACKETS: Final = re.compile(r"counter packets (\d+)")


@dataclass(frozen=True, slots=True)
class Gone:
    """Flows from or to *address*, translated or not."""

    address: IPAddress

    def stale(self, flow: Flow) -> bool:
        return self.address in (flow.original.source, flow.reply.source)

    def needle(self) -> bytes:
        return address_needle(self.address)


@dataclass(frozen=True, slots=True)
class Taken:
    """Datagrams to a host port that is published now, and that still go elsewhere than to *target*."""

    host_ip: IPAddress
    port: int
    target: IPAddress

    def stale(self, flow: Flow) -> bool:
        original, reply = flow.original, flow.reply
        if (original.protocol, original.destination_port) != (_UDP, self.port):
            return False
        if original.destination.version != self.host_ip.version or reply.source == self.target:
            return False
        if not self.host_ip.is_unspecified and original.destination != self.host_ip:
            return False
        # On its way out by the host's address, to the same port of somebody else.
        return not (reply.source == original.destination and reply.destination != original.source)

    def needle(self) -> bytes:
        return destination_port_needle(self.port)


Wish = Gone | Taken


def of_endpoint(endpoint: EndpointSpec) -> list[Gone]:
    """What has to be forgotten when *endpoint* goes."""
    return [Gone(own.ip) for own in (endpoint.ipv4, endpoint.ipv6) if own is not None]


def of_published(endpoint: EndpointSpec) -> list[Taken]:
    """What has to be forgotten once the ports of *endpoint* are published."""
    return [wish for port in endpoint.ports if (wish := _taken(endpoint, port)) is not None]


def _taken(endpoint: EndpointSpec, port: PublishedPort) -> Taken | None:
    own = endpoint.ipv4 if port.host_ip.version == 4 else endpoint.ipv6
    if port.container_port.transport is not Transport.UDP or own is None:
        return None
    return Taken(port.host_ip, port.host_port, own.ip)


def talked(nft: Nft, table: str, endpoint: EndpointSpec) -> bool:
    """Whether any connection from or to *endpoint* was ever tracked; True also where nobody counted."""
    for group, address in tracked(endpoint):
        try:
            text = nft.query(f"get element {group.family.value} {table} {group.name} {{ {address} }}")
        except OSError:
            return True
        counted = _PACKETS.search(text)
        if counted is None or int(counted[1]):
            return True
    return False


def grant(conntrack: Conntrack, wishes: Sequence[Wish]) -> int:
    """Do it now; returns how many flows there were. Raises OSError."""
    needles = list(dict.fromkeys(wish.needle() for wish in wishes))
    return conntrack.del_flows(lambda flow: any(wish.stale(flow) for wish in wishes), needles)


class Forgetter:
    """One thread and one socket, both made when they are first needed. *on_failure* is told when the kernel refuses
    (it may be built without CONFIG_NF_CT_NETLINK). *delay* is the moment in seconds that is left to the teardown."""

    def __init__(
        self, open_conntrack: Callable[[], Conntrack], on_failure: Callable[[OSError], None], delay: float = 0.03
    ) -> None:
        self._open = open_conntrack
        self._on_failure = on_failure
        self._delay = delay
        self._due = 0.0
        self._urgent = 0
        self._changed = threading.Condition()
        self._waiting: list[Wish] = []
        self._going: list[Wish] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def forget(self, wishes: Iterable[Wish]) -> None:
        """Soon, and not waited for."""
        wishes = list(wishes)
        if not wishes:
            return
        with self._changed:
            if not self._waiting:
                self._due = time.monotonic() + self._delay
            self._waiting += wishes
            if self._thread is None:
                self._closing = False
                self._thread = threading.Thread(target=self._work, name="flows", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait_for(self, addresses: Iterable[IPAddress]) -> None:
        """Return when nothing of *addresses* is to be forgotten any more."""
        wishes = {Gone(address) for address in addresses}
        with self._changed:
            if wishes.isdisjoint((*self._waiting, *self._going)):
                return
            self._urgent += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: wishes.isdisjoint((*self._waiting, *self._going)))
            self._urgent -= 1

    def close(self) -> None:
        """Waits for what is under way. Idempotent."""
        with self._changed:
            self._closing = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        conntrack: Conntrack | None = None
        try:
            while wishes := self._next():
                try:
                    conntrack = conntrack or self._open()
                    grant(conntrack, wishes)
                except OSError as error:
                    self._on_failure(error)
        finally:
            if conntrack is not None:
                conntrack.close()

    def _next(self) -> Sequence[Wish]:
        """All that is waiting, at once; empty when there is nothing left and the forgetter closes."""
        with self._changed:
            self._going = []
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(lambda: self._urgent or self._closing, self._due - time.monotonic())
            self._going, self._waiting = self._waiting, []
            return self._going
