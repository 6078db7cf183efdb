"""File descriptors: owned by one object, passed over Unix sockets (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Self


class Fd:
    """Owns a file descriptor. ``close`` is idempotent; ``steal`` hands the number to another owner."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number: int | None = number

    def fileno(self) -> int:
        if self._number is None:
            raise ValueError("the file descriptor is closed")
        return self._number

    def steal(self) -> int:
        number = self.fileno()
        self._number = None
        return number

    def close(self) -> None:
        if self._number is not None:
            number, self._number = self._number, None
            os.close(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def send_fds(sock: socket.socket, data: bytes, fds: Sequence[int]) -> None:
    """Send *data* with *fds* attached to its first byte. The sender keeps its own copies."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
    sent = sock.sendmsg([data], ancillary)
    if sent < len(data):
        sock.sendall(data[sent:])


def recv_fds(sock: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Up to *size* bytes and the descriptors that came with them (at most *most*), close-on-exec."""
    data, ancillary, flags, _ = sock.recvmsg(size, socket.CMSG_SPACE(most * 4), socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        raise OSError(7, "more file descriptors came than expected")
    return data, list(fds)


@contextlib.contextmanager
def directory(path: str | os.PathLike[str]) -> Iterator[int]:
    """An fd of a directory for the length of a block."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def short_socket_path(folder_fd: int, name: str) -> str:
    """A path to a socket that fits into sun_path however long its directory is (108 bytes, unix(7))."""
    return f"/proc/self/fd/{folder_fd}/{name}"
