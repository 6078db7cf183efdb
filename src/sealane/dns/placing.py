"""Puts the resolver's sockets into a container's network namespace, and leads port 53 to them.

The sockets are bound to 127.0.0.11 on ports that the kernel picks, because programs in the container may bind port 53
themselves. A small table in the namespace rewrites port 53 to those ports and back, packet by packet in the output
hook and untracked: no conntrack entry per question, which is a third of the cost of a lookup under NAT.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealane.dns.guest import netns_cookie
from sealane.linux.namespaces import run_in
from sealane.linux.nft import Nft

ADDRESS: Final = "127.0.0.11"
TABLE: Final = "sealane-dns"
_BACKLOG: Final = 128
_SO_RCVBUFFORCE: Final = 33  # asm-generic/socket.h
_RECEIVE_BUFFER: Final = 1 << 20  # bytes: some thousand questions that arrive while another container is served


@dataclass(frozen=True, slots=True)
class Placed:
    """Descriptors for one container, owned by whoever holds this; ``close`` after they were sent."""

    udp: socket.socket
    tcp: socket.socket
    namespace: int

    @property
    def cookie(self) -> int:
        """Of the namespace; see ``guest.netns_cookie``."""
        return netns_cookie(self.udp)

    @property
    def fds(self) -> list[int]:
        """In the order that ``open_container`` wants."""
        return [self.udp.fileno(), self.tcp.fileno(), self.namespace]

    def close(self) -> None:
        """Close our copies."""
        self.udp.close()
        self.tcp.close()
        os.close(self.namespace)


def ruleset(udp_port: int, tcp_port: int) -> str:
    """The nft text that leads port 53 of our address to the given ports. It fails (EEXIST) over an older one.

    Only ``lo`` is looked at: traffic of the container itself pays one comparison.
    """
    return f"""
create table ip {TABLE}
table ip {TABLE} {{
  chain output {{
    type filter hook output priority -300; policy accept;
    oif != "lo" accept
    ip daddr {ADDRESS} udp dport 53 udp dport set {udp_port} notrack accept
    ip saddr {ADDRESS} udp sport {udp_port} udp sport set 53 notrack accept
    ip daddr {ADDRESS} tcp dport 53 tcp dport set {tcp_port} notrack accept
    ip saddr {ADDRESS} tcp sport {tcp_port} tcp sport set 53 notrack accept
  }}
}}
"""


def place(namespace: Path, served: int | None = None) -> Placed | None:
    """Open the sockets inside *namespace*, whose loopback device is up, and install the table.

    None when *served* is the namespace's cookie: then sockets of ours are in it already. Raises OSError.
    """
    return run_in(namespace, lambda: _place_here(namespace, served))


def _place_here(namespace: Path, served: int | None) -> Placed | None:
    """Runs in a short-lived thread inside the namespace."""
    with contextlib.ExitStack() as undo:
        udp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        if netns_cookie(udp) == served:
            return None
        tcp = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        udp.bind((ADDRESS, 0))
        tcp.bind((ADDRESS, 0))
        tcp.listen(_BACKLOG)
        _install(ruleset(udp.getsockname()[1], tcp.getsockname()[1]))
        placed = Placed(udp, tcp, os.open(namespace, os.O_RDONLY | os.O_CLOEXEC))
        undo.pop_all()
        return placed


def _install(text: str) -> None:
    """Deleting a table makes the kernel wait for all readers (some 13 ms), so it is done only where one is."""
    with Nft.open() as nft:
        try:
            nft.run(text)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            nft.run(f"delete table ip {TABLE}\n{text}")
