"""Tells when the nftables rules of a namespace were changed, and whether by this process.

Source: linux/netfilter/nfnetlink.h and nf_tables.h; the filter language is that of the kernel's networking/filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from typing import Final, Self

from sealane.linux.netlink.codec import Message, attributes, messages
from sealane.linux.netlink.exchange import NETLINK_NETFILTER

_SO_ATTACH_FILTER: Final = 26
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1
_NFNLGRP_NFTABLES: Final = 7
_NFT_MSG_NEWGEN: Final = (10 << 8) | 15
_NFGENMSG_SIZE: Final = 4
_NFTA_GEN_PROC_PID: Final = 2


class RuleEvents:
    """A non-blocking socket; poll ``fileno()`` and call ``read``. Bound to the opening thread's namespace."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        try:
            _only(self._socket, _NFT_MSG_NEWGEN)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self) -> bool:
        """Take in what has come since; True when another program has changed rules, or may have."""
        others = False
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                return others
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                others = True  # more came than the socket holds
                continue
            others = others or any(_is_foreign(item) for item in messages(data))


def _only(sock: socket.socket, kind: int) -> None:
    """Have the kernel drop messages of other kinds: a transaction of another program may be told in megabytes."""
    wanted = int.from_bytes(struct.pack("=H", kind), "big")  # the filter reads big-endian, at offset 4 of the header
    steps = ((0x28, 0, 0, 4), (0x15, 0, 1, wanted), (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0))
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(steps), ctypes.addressof(program)))


def _is_foreign(item: Message) -> bool:
    """Every transaction ends in a message that names the thread that asked for it."""
    if item.kind != _NFT_MSG_NEWGEN:
        return False
    thread = attributes(item.body, _NFGENMSG_SIZE).get(_NFTA_GEN_PROC_PID, b"")
    return not os.path.exists(f"/proc/self/task/{int.from_bytes(thread, 'big')}")
