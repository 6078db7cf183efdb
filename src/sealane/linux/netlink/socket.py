"""One rtnetlink socket, bound for ever to the network namespace of the thread that opened it.

Several requests can be sent in one go (``batch``); each is acknowledged, and a refusal is told with the object that
it was about and the kernel's own explanation. Every failure is an OSError with errno. Sockets are synchronous: the
kernel answers a request within the ``send``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Self

from sealane.linux.namespaces import run_in
from sealane.linux.netlink import rtnl
from sealane.linux.netlink.codec import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    message,
    messages,
    reply,
)
from sealane.linux.netlink.rtnl import Address, Link, Neighbour, Request, Route
from sealane.values import IPAddress, IPInterface, MacAddress

_NETLINK_ROUTE: Final = 0
_SOL_NETLINK: Final = 270
_NETLINK_EXT_ACK, _NETLINK_CAP_ACK, _NETLINK_GET_STRICT_CHK = 11, 10, 12
_BUFFER: Final = 1 << 20
_DUMP_TRIES: Final = 8


class Rtnl:
    """A NETLINK_ROUTE socket. Thread-safe; ``close`` is idempotent."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()
        self._sequence = 0

    @classmethod
    def open(cls) -> Self:
        """A socket in the calling thread's network namespace."""
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            for option in (_NETLINK_EXT_ACK, _NETLINK_CAP_ACK):
                with contextlib.suppress(OSError):  # older kernels: no explanations
                    sock.setsockopt(_SOL_NETLINK, option, 1)
            sock.bind((0, 0))
        except OSError:
            sock.close()
            raise
        return cls(sock)

    @classmethod
    def open_in(cls, ns: Path | int) -> Self:
        """A socket in another namespace, by its path or an fd of it."""
        return run_in(ns, cls.open)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # talking

    def batch(self, requests: Sequence[Request]) -> None:
        """Send all in one go, in order. Raises the first refusal; the kernel has then carried out all the others,
        for each message stands for itself."""
        if not requests:
            return
        with self._lock:
            first = self._sequence + 1
            self._sequence += len(requests)
            data = b"".join(
                message(item.kind, item.flags | NLM_F_ACK, first + number, item.body)
                for number, item in enumerate(requests)
            )
            self._socket.send(data)
            waiting = {first + number: item for number, item in enumerate(requests)}
            refusal: OSError | None = None
            while waiting:
                for received in self._receive():
                    item = waiting.get(received.sequence)
                    if received.kind == NLMSG_ERROR and item is not None:
                        del waiting[received.sequence]
                        refusal = refusal or _refusal(received, item)
        if refusal is not None:
            raise refusal

    def do(self, request: Request) -> None:
        """Send one request and wait for its acknowledgement."""
        self.batch((request,))

    def ask(self, request: Request) -> list[Message]:
        """The answers to a query; a dump that the kernel calls inconsistent is taken again."""
        for _ in range(_DUMP_TRIES):
            answers, interrupted = self._ask_once(request)
            if not interrupted:
                break
        return answers

    def _ask_once(self, request: Request) -> tuple[list[Message], bool]:
        answers: list[Message] = []
        interrupted = False
        with self._lock:
            self._sequence += 1
            sequence = self._sequence
            self._socket.send(message(request.kind, request.flags, sequence, request.body))
            dump = request.flags & NLM_F_DUMP == NLM_F_DUMP
            while True:
                for received in self._receive():
                    if received.sequence != sequence:
                        continue
                    interrupted = interrupted or bool(received.flags & NLM_F_DUMP_INTR)
                    if received.kind in (NLMSG_DONE, NLMSG_ERROR):
                        refusal = _refusal(received, request)
                        if refusal is not None:
                            raise refusal
                        return answers, interrupted
                    answers.append(received)
                    if not dump:
                        return answers, False

    def _receive(self) -> Iterable[Message]:
        return messages(self._socket.recv(_BUFFER))

    # links

    def links(self) -> list[Link]:
        return [rtnl.parse_link(item.body) for item in self.ask(rtnl.dump_links()) if item.kind == rtnl.RTM_NEWLINK]

    def link(self, name: str) -> Link:
        """By name or alternative name. Raises OSError ENODEV."""
        return rtnl.parse_link(self.ask(rtnl.get_link(name=name))[0].body)

    def link_by_index(self, index: int) -> Link:
        return rtnl.parse_link(self.ask(rtnl.get_link(index))[0].body)

    def index(self, which: int | str) -> int:
        """A link's index, asked for when *which* is a name."""
        return which if isinstance(which, int) else self.link(which).index

    def add_bridge(self, name: str, *, mac: MacAddress | None = None, mtu: int | None = None, up: bool = False) -> int:
        self.do(rtnl.new_bridge(name, mac=mac, mtu=mtu, up=up))
        return self.index(name)

    def add_veth(
        self,
        name: str,
        peer: str,
        *,
        peer_ns: int | None = None,
        mac: MacAddress | None = None,
        peer_mac: MacAddress | None = None,
        mtu: int | None = None,
        master: int | None = None,
        up: bool = False,
        peer_up: bool = False,
    ) -> int:
        """Both ends; the peer lies in the namespace of the fd *peer_ns*. Returns the index of *name*."""
        request = rtnl.new_veth(
            name, peer, peer_ns=peer_ns, mac=mac, peer_mac=peer_mac, mtu=mtu, master=master, up=up, peer_up=peer_up
        )
        self.do(request)
        return self.index(name)

    def add_macvlan(
        self, name: str, parent: int, *, mode: str = "bridge", ns_fd: int | None = None, mac: MacAddress | None = None
    ) -> None:
        self.do(rtnl.new_macvlan(name, parent, mode, ns_fd, mac))

    def add_vlan(self, name: str, parent: int, vid: int) -> int:
        self.do(rtnl.new_vlan(name, parent, vid))
        return self.index(name)

    def add_dummy(self, name: str, *, mac: MacAddress | None = None, mtu: int | None = None, up: bool = False) -> int:
        """A link that is always up and swallows everything; an ifb link does the same where the kernel has no
        CONFIG_DUMMY. OSError EOPNOTSUPP where it has neither."""
        try:
            self.do(rtnl.new_plain("dummy", name, mac=mac, mtu=mtu, up=up))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self.do(rtnl.new_plain("ifb", name, mac=mac, mtu=mtu, up=up))
        return self.index(name)

    def set_link(
        self,
        which: int | str,
        *,
        up: bool | None = None,
        master: int | None = None,
        mtu: int | None = None,
        mac: MacAddress | None = None,
        name: str = "",
        ns_fd: int | None = None,
        no_link_local: bool = False,
    ) -> None:
        index = self.index(which)
        self.do(
            rtnl.set_link(
                index, up=up, master=master, mtu=mtu, mac=mac, name=name, ns=ns_fd, no_link_local=no_link_local
            )
        )

    def set_bridge_port(self, which: int | str, **flags: bool) -> None:
        self.do(rtnl.set_bridge_port(self.index(which), **flags))

    def add_altname(self, which: int | str, name: str) -> None:
        self.do(rtnl.altname(self.index(which), name))

    def del_altname(self, which: int | str, name: str) -> None:
        self.do(rtnl.altname(self.index(which), name, delete=True))

    def del_link(self, which: int | str) -> None:
        """Takes about 20 ms: the kernel waits until nobody uses the device any more."""
        self.do(rtnl.del_link(self.index(which)))

    # addresses, routes, neighbours

    def addresses(self, index: int | None = None) -> list[Address]:
        found = [rtnl.parse_address(item.body) for item in self.ask(rtnl.dump_addresses())]
        return [address for address in found if index is None or address.index == index]

    def add_address(
        self, which: int | str, interface: IPInterface, *, nodad: bool = True, replace: bool = False
    ) -> None:
        self.do(rtnl.new_address(self.index(which), interface, nodad=nodad, replace=replace))

    def del_address(self, which: int | str, interface: IPInterface) -> None:
        self.do(rtnl.del_address(self.index(which), interface))

    def routes(self, family: int = rtnl.AF_UNSPEC, table: int | None = rtnl.RT_TABLE_MAIN) -> list[Route]:
        """Unicast routes, on-link ones included; *table* None gives those of every table."""
        found = [rtnl.parse_route(item.body) for item in self.ask(rtnl.dump_routes(family))]
        return [route for route in found if route is not None and (table is None or route.table == table)]

    def add_route(self, route: Route, *, replace: bool = False) -> None:
        self.do(rtnl.new_route(route, replace=replace))

    def del_route(self, route: Route) -> None:
        self.do(rtnl.del_route(route))

    def neighbours(self) -> list[Neighbour]:
        found = [rtnl.parse_neighbour(item.body) for item in self.ask(rtnl.dump_neighbours())]
        return [neighbour for neighbour in found if neighbour is not None]

    def add_neighbour(self, which: int | str, address: IPAddress, mac: MacAddress) -> None:
        self.do(rtnl.new_neighbour(self.index(which), address, mac))


def _refusal(received: Message, request: Request) -> OSError | None:
    told = reply(received)
    if told.errno == 0:
        return None
    words = os.strerror(told.errno) + (f" ({told.text})" if told.text else "")
    return OSError(told.errno or errno.EIO, f"{request.about}: {words}")
