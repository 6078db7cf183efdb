"""UDP: each client has a flow, a socket of its own towards the target, until it has been silent for a while.

Replies leave from the address that the client wrote to, also where the listening socket is bound to all addresses
(IP_PKTINFO, IPV6_PKTINFO): a connected client would not take them from another.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import OrderedDict
from ipaddress import IPv6Address
from typing import Any, Final

from sealane.relay.sockets import IP_PKTINFO, family_of
from sealane.values import IPAddress

MAX_FLOWS: Final = 4096  # of one port; then the one that has been silent longest goes
_DATAGRAM: Final = 65535
_READS: Final = 64  # datagrams taken from one socket before others get their turn
_ANCILLARY: Final = socket.CMSG_SPACE(20)
_IN_PKTINFO: Final = struct.Struct("=I4s4s")  # interface, local address, destination address
_IN6_PKTINFO: Final = struct.Struct("=16sI")

_Client = tuple[Any, bytes]  # the client's address as the kernel gives it, and our own address as it wrote to it


class DatagramListener:
    """A bound socket, owned, and the flows that came through it. ``idle_s`` is how long a flow may be silent."""

    def __init__(self, sock: socket.socket, target: tuple[IPAddress, int], idle_s: float) -> None:
        self.target = target
        self._sock = sock
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._flows: OrderedDict[_Client, tuple[socket.socket, list[float]]] = OrderedDict()  # longest silent first
        self._loop.add_reader(sock.fileno(), self._from_clients)
        self._sweeper = self._loop.call_later(idle_s / 4, self._sweep)

    def close(self) -> None:
        """Close everything. Idempotent."""
        self._sweeper.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        for client in list(self._flows):
            self._end(client)

    def retarget(self, target: tuple[IPAddress, int]) -> None:
        """Lead to another address from now on."""
        self.target = target
        for client in list(self._flows):
            self._end(client)

    def _from_clients(self) -> None:
        for _ in range(_READS):
            try:
                data, ancillary, _flags, address = self._sock.recvmsg(_DATAGRAM, _ANCILLARY)
            except OSError:  # nothing left, or an error that belongs to an earlier reply
                return
            client = (address, ancillary[0][2] if ancillary else b"")
            try:
                self._flow(client).send(data)
            except OSError:
                self._end(client)

    def _flow(self, client: _Client) -> socket.socket:
        """The socket of a client, made when it has none. Raises OSError."""
        known = self._flows.get(client)
        if known is not None:
            known[1][0] = self._loop.time()
            self._flows.move_to_end(client)
            return known[0]
        if len(self._flows) >= MAX_FLOWS:
            self._end(next(iter(self._flows)))
        address, port = self.target
        sock = socket.socket(family_of(address), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect((str(address), port))
        except BaseException:
            sock.close()
            raise
        self._flows[client] = (sock, [self._loop.time()])
        self._loop.add_reader(sock.fileno(), self._from_target, client, sock)
        return sock

    def _from_target(self, client: _Client, sock: socket.socket) -> None:
        for _ in range(_READS):
            try:
                data = sock.recv(_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # nobody listens there
                self._end(client)
                return
            self._flows[client][1][0] = self._loop.time()
            self._flows.move_to_end(client)
            self._reply(client, data)

    def _reply(self, client: _Client, data: bytes) -> None:
        address, info = client
        ancillary: list[tuple[int, int, bytes]] = []
        if len(info) == _IN_PKTINFO.size:
            _interface, local, _asked = _IN_PKTINFO.unpack(info)
            ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, _IN_PKTINFO.pack(0, local, bytes(4)))]
        elif len(info) == _IN6_PKTINFO.size:
            asked, interface = _IN6_PKTINFO.unpack(info)
            interface = interface if IPv6Address(asked).is_link_local else 0  # else the route decides
            ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IN6_PKTINFO.pack(asked, interface))]
        try:
            self._sock.sendmsg([data], ancillary, 0, address)
        except OSError:
            pass  # as the network may lose it

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(self._idle_s / 4, self._sweep)
        oldest = self._loop.time() - self._idle_s
        while self._flows:
            client, (_sock, heard) = next(iter(self._flows.items()))
            if heard[0] > oldest:
                return
            self._end(client)

    def _end(self, client: _Client) -> None:
        flow = self._flows.pop(client, None)
        if flow is not None:
            self._loop.remove_reader(flow[0].fileno())
            flow[0].close()
