"""The sockets that the relay listens on, and those that only hold a port."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import Final

from sealane.relay.messages import Listener
from sealane.values import IPAddress, Transport

_BACKLOG: Final = 1024
_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
_DROP_ALL: Final = struct.pack("@HBBI", 0x06, 0, 0, 0)  # struct sock_filter: BPF_RET, keep 0 bytes
IP_PKTINFO: Final = 8  # ip(7)


def family_of(address: IPAddress) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def open_listener(listener: Listener) -> socket.socket:
    """A bound, non-blocking socket for *listener*; IPv6 ones take IPv6 only. Raises OSError (EADDRINUSE, …)."""
    if listener.transport is Transport.SCTP:
        raise OSError(errno.EPROTONOSUPPORT, f"{listener}: SCTP ports are not relayed")
    if listener.target is None:
        return _open_holder(listener)
    sock = _new_socket(listener)
    try:
        if listener.transport is Transport.TCP:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger are no obstacle
            _bind(sock, listener)
            sock.listen(_BACKLOG)
        else:
            if listener.host_ip.version == 4:
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            _bind(sock, listener)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_holder(listener: Listener) -> socket.socket:
    """A socket that keeps others from the port, and receives nothing.

    A TCP socket that is bound without SO_REUSEADDR and does not listen holds its port, and who gets through to it all
    the same is refused. It cannot be bound while earlier connections linger (TIME_WAIT); then the holder listens, with
    a filter that drops every packet.
    """
    sock = _new_socket(listener)
    try:
        try:
            _bind(sock, listener)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or listener.transport is not Transport.TCP:
                raise
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _bind(sock, listener)
            _drop_all(sock)
            sock.listen(1)
        if listener.transport is Transport.UDP:
            _drop_all(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def _new_socket(listener: Listener) -> socket.socket:
    kind = socket.SOCK_STREAM if listener.transport is Transport.TCP else socket.SOCK_DGRAM
    sock = socket.socket(family_of(listener.host_ip), kind | socket.SOCK_NONBLOCK)
    if listener.host_ip.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _bind(sock: socket.socket, listener: Listener) -> None:
    address = socket.getaddrinfo(
        str(listener.host_ip), listener.host_port, family=sock.family, type=sock.type, flags=socket.AI_NUMERICHOST
    )[0][4]
    sock.bind(address)


def _drop_all(sock: socket.socket) -> None:
    """Let a socket filter (socket(7)) throw every packet away before it is queued."""
    program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))
