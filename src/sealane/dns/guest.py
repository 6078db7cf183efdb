"""The resolver's side of one container: its sockets, its view, and the replies that were prepared for it.

A ``Guest`` owns its three descriptors: a UDP and a listening TCP socket on 127.0.0.11 inside the container's network
namespace, and the namespace itself (for questions to ``--dns`` servers, which leave from there).
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Sequence
from typing import Final

from sealane.dns.answer import ContainerView
from sealane.dns.batch import iovec
from sealane.linux.namespaces import run_in

MAX_PREPARED: Final = 2048  # distinct questions (letter case counts); then the table starts anew
SO_NETNS_COOKIE: Final = 71  # asm-generic/socket.h; never reused while the system is up, unlike an inode number


class Guest:
    """One container. ``prepared`` maps a raw question (all after the id) to a function that gives the next reply."""

    __slots__ = ("in_flight", "namespace", "prepared", "seen", "tails", "tcp", "udp", "view")

    def __init__(self, view: ContainerView, udp: socket.socket, tcp: socket.socket, namespace: int) -> None:
        self.view = view
        self.udp = udp
        self.tcp = tcp
        self.namespace = namespace
        self.in_flight = 0  # questions that wait for an upstream server
        self.seen = -1  # the directory's generation that ``prepared`` was made from
        self.prepared: dict[bytes, Callable[[], bytes]] = {}
        self.tails: list[bytes] = []  # keeps the memory alive that the iovecs in ``prepared`` point to
        udp.setblocking(False)
        tcp.setblocking(False)

    @property
    def cookie(self) -> int:
        """What tells the namespace of this guest from every other one since the system was booted."""
        return netns_cookie(self.udp)

    def prepare(self, question: bytes, replies: Sequence[bytes]) -> None:
        """From now on answer *question* (without its id) with *replies* (whole messages) in turn."""
        tails = [reply[2:] for reply in replies]
        self.tails += tails
        self.prepared[question] = itertools.cycle([iovec(tail) for tail in tails]).__next__

    def refresh(self, generation: int) -> None:
        """Forget what was prepared when names have changed since, or when it has become too much.

        Only between two batches: the replies of a batch under way lie in memory that this gives back.
        """
        if self.seen != generation or len(self.prepared) > MAX_PREPARED:
            self.prepared.clear()
            self.tails.clear()
            self.seen = generation

    def open_socket(self, family: int, kind: int) -> socket.socket:
        """A non-blocking socket inside the container's namespace."""
        return run_in(self.namespace, lambda: socket.socket(family, kind | socket.SOCK_NONBLOCK))

    def close(self) -> None:
        """Close everything. Idempotent."""
        self.udp.close()
        self.tcp.close()
        if self.namespace >= 0:
            os.close(self.namespace)
            self.namespace = -1


def netns_cookie(sock: socket.socket) -> int:
    """The cookie of the network namespace that *sock* lives in (socket(7), Linux 5.14)."""
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
