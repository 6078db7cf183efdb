"""Many datagrams with one system call: recvmmsg(2) and sendmmsg(2) over buffers that are laid out once.

Layout, for slot i of ``SLOTS``::

    inbox     [i * SLOT_BYTES …]      the datagram as received; its first two bytes are the DNS message id
    names     [i * 16 …]              the sender's sockaddr_in; a reply to slot i goes back to it
    receivers [i * 64 …]              struct mmsghdr → names[i], one iovec → inbox[i]
    senders   [i * 64 …]              struct mmsghdr → names[i], two iovecs:
                                          first: the two bytes of the id, where they lie in inbox[i]
                                          second: the rest of the reply, wherever the caller's bytes lie

So a prepared reply is sent without being copied or even touched: the caller writes sixteen bytes (address and length)
into the second iovec. 64-bit Linux only, which the layout of the structures is written for.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
from typing import Final

SLOTS: Final = 64
SLOT_BYTES: Final = 2048  # a longer datagram is cut, and then refused as malformed: questions are never that long
_NAME: Final = 16  # sizeof(struct sockaddr_in)
_MMSGHDR: Final = 64
_IOVEC: Final = 16
_LENGTH: Final = 56  # offset of msg_len in struct mmsghdr
_MSGHDR: Final = struct.Struct("@PI4xPLPLi4xI4x")  # name, namelen, iov, iovlen, control, controllen, flags; msg_len
_IOV: Final = struct.Struct("@PL")


def iovec(data: bytes) -> bytes:
    """The struct iovec of *data*, valid as long as the caller keeps *data* alive."""
    return _IOV.pack(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0, len(data))


class Batch:
    """The buffers of one thread. Everything in them is valid until the next ``receive``."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._recvmmsg, self._sendmmsg = libc.recvmmsg, libc.sendmmsg
        self._sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
        self._recvmmsg.argtypes = [*self._sendmmsg.argtypes, ctypes.c_void_p]
        self.inbox, inbox = _buffer(SLOTS * SLOT_BYTES)
        self._names, names = _buffer(SLOTS * _NAME)
        self._receivers, self._receivers_at = _buffer(SLOTS * _MMSGHDR)
        self._senders, self._senders_at = _buffer(SLOTS * _MMSGHDR)
        in_iov, in_iov_at = _buffer(SLOTS * _IOVEC)
        self.out_iov, out_iov_at = _buffer(SLOTS * 2 * _IOVEC)
        self._in_iov = in_iov  # referenced by address only
        for i in range(SLOTS):
            slot, name = inbox + i * SLOT_BYTES, names + i * _NAME
            _IOV.pack_into(in_iov, i * _IOVEC, slot, SLOT_BYTES)
            _IOV.pack_into(self.out_iov, i * 2 * _IOVEC, slot, 2)
            at = i * _MMSGHDR
            _MSGHDR.pack_into(self._receivers, at, name, _NAME, in_iov_at + i * _IOVEC, 1, 0, 0, 0, 0)
            _MSGHDR.pack_into(self._senders, at, name, _NAME, out_iov_at + i * 2 * _IOVEC, 2, 0, 0, 0, 0)
        self._lengths = memoryview(self._receivers).cast("I")

    def receive(self, fd: int) -> int:
        """Fill the slots from the front; the number of datagrams, 0 when there is none."""
        count: int = self._recvmmsg(fd, self._receivers_at, SLOTS, socket.MSG_DONTWAIT, None)
        if count >= 0:
            return count
        code = ctypes.get_errno()
        if code in (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED):
            return 0
        raise OSError(code, f"recvmmsg: {os.strerror(code)}")

    def lengths(self, count: int) -> list[int]:
        """The sizes of the first *count* datagrams, in bytes."""
        return self._lengths[_LENGTH // 4 : count * _MMSGHDR // 4 : _MMSGHDR // 4].tolist()

    def sender(self, slot: int) -> tuple[str, int]:
        """Address and port that the datagram in *slot* came from."""
        at = slot * _NAME
        port = int.from_bytes(self._names[at + 2 : at + 4])
        return socket.inet_ntoa(self._names[at + 4 : at + 8]), port

    def send(self, fd: int, start: int, end: int) -> None:
        """Send the replies of slots *start* to *end* (exclusive). One that cannot be sent is dropped, as UDP may."""
        while start < end:
            sent: int = self._sendmmsg(fd, self._senders_at + start * _MMSGHDR, end - start, socket.MSG_DONTWAIT)
            # An error is only reported for the first message of a call: step over that one.
            start += max(sent, 1)


def _buffer(size: int) -> tuple[mmap.mmap, int]:
    """Anonymous memory and its address. A slice of an mmap is bytes at once, a dictionary key without a second copy."""
    memory = mmap.mmap(-1, size)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))
