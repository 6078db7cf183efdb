"""Attached to a process through conmon: its output as frames, its input, its terminal's size.

conmon listens on the SEQPACKET socket ``attach`` in the bundle. Each packet from it is one byte that names the stream
(2 is standard output, 3 standard error) and then the data; each packet to it is input. Ending our direction ends the
process's input, if conmon was told that the first client's end is the end. Lines ``1 HEIGHT WIDTH`` in the fifo ``ctl``
set the terminal's size.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Final

from sealane.linux.fds import directory, short_socket_path

_PACKET: Final = 1 << 16
#: conmon reads input by 32 KiB; the rest of a longer packet would be lost.
_INPUT_CHUNK: Final = 8192
_STREAM_OFFSET: Final = 1
_RESIZE: Final = 1
#: conmon drops anything larger.
_LARGEST_SIDE: Final = 1000


class Attached:
    """One client's connection to a process. Reads and writes may be waited for at the same time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ended = False
        self._closed = False
        self._input_open = True
        self._in_use = 0  # coroutines that wait on the socket: it is closed when the last one has left

    @classmethod
    def connect(cls, folder: Path) -> Attached:
        """Connect to the conmon whose bundle *folder* is. Raises OSError when none listens."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            with directory(folder) as fd:
                sock.connect(short_socket_path(fd, "attach"))
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"attach to {folder / 'attach'}: {os.strerror(error.errno or 0)}") from error
        return cls(sock)

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output: 1 or 2 for standard output or error, and the bytes. None at the end."""
        if self._ended or self._closed:
            return None
        self._in_use += 1
        try:
            packet = await asyncio.get_running_loop().sock_recv(self._sock, _PACKET)
        except OSError as error:
            if error.errno not in (errno.ECONNRESET, errno.ENOTCONN):
                raise
            packet = b""
        finally:
            self._release()
        if not packet:
            self._ended = True
            return None
        return packet[0] - _STREAM_OFFSET, packet[1:]

    async def write(self, data: bytes) -> None:
        """Send input; waits while the process does not take it. Thrown away when the process has ended."""
        if not self._input_open:
            return
        loop = asyncio.get_running_loop()
        view = memoryview(data)
        self._in_use += 1
        try:
            for start in range(0, len(view), _INPUT_CHUNK):
                await loop.sock_sendall(self._sock, view[start : start + _INPUT_CHUNK])
        except (BrokenPipeError, ConnectionResetError):
            self._input_open = False
        finally:
            self._release()

    async def close_stdin(self) -> None:
        """No more input will come; output goes on. Idempotent."""
        if self._input_open:
            self._input_open = False
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                if error.errno != errno.ENOTCONN:
                    raise

    async def close(self) -> None:
        """Leave; the process goes on. Idempotent. Wakes a waiting ``read``, which then gives None."""
        if self._closed:
            return
        self._closed = True
        self._input_open = False
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end has gone already
        self._in_use += 1
        self._release()

    def _release(self) -> None:
        self._in_use -= 1
        if self._closed and not self._in_use:
            self._sock.close()


def resize(folder: Path, height: int, width: int) -> None:
    """Set the size of the terminal of the conmon whose bundle *folder* is. Raises OSError when there is none."""
    height, width = (min(max(side, 0), _LARGEST_SIDE) for side in (height, width))
    fd = os.open(folder / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(fd, f"{_RESIZE} {height} {width}\n".encode())
    finally:
        os.close(fd)
