"""The engine's end of the resolver's control socket: requests out, acknowledgements back, descriptors along."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Final

from sealane.dns.messages import Json
from sealane.errors import Internal
from sealane.linux.fds import directory, short_socket_path

_READ: Final = 65536


def connect_unix(path: Path) -> socket.socket:
    """A non-blocking stream connected to *path*, however long it is. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with directory(path.parent) as folder:
            sock.connect(short_socket_path(folder, path.name))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


async def end_process(pid: int, tell: Awaitable[object]) -> None:
    """Await *tell*, which asks the process to end, and then its end (pidfd_open(2): also when it is not our child)."""
    loop = asyncio.get_running_loop()
    pidfd = os.pidfd_open(pid)
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await tell
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


class ControlClient:
    """One connection. Made inside a running event loop; ``close`` when done."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._sequence = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._sending = asyncio.Lock()
        self._broken = False  # known before the reader has come to its end
        self._reader = self._loop.create_task(self._read(), name="resolver acknowledgements")  # cancelled by close

    @property
    def lost(self) -> bool:
        """True when the other end is gone."""
        return self._broken or self._reader.done()

    async def wait_lost(self) -> None:
        """Return when the other end is gone."""
        await asyncio.wait([self._reader])

    async def request(self, message: Json, fds: Sequence[int] = ()) -> Json:
        """Send *message* and wait for its acknowledgement.

        Raises ConnectionError when the other end goes away before, Internal with its words when it could not.
        """
        if self.lost:
            raise ConnectionResetError("the resolver is gone")
        seq = next(self._sequence)
        line = json.dumps({"seq": seq, "fds": len(fds), **message}, separators=(",", ":")).encode() + b"\n"
        future = self._waiting[seq] = self._loop.create_future()
        try:
            async with self._sending:
                await self._send(line, fds)
            reply: Json = await future
        finally:
            self._waiting.pop(seq, None)
        if "error" in reply:
            raise Internal(f"resolver: {message['do']}: {reply['error']}")
        return reply

    async def close(self) -> None:
        """End the connection; the resolver goes on. Idempotent."""
        self._reader.cancel()
        await asyncio.wait([self._reader])
        self._sock.close()

    async def _send(self, line: bytes, fds: Sequence[int]) -> None:
        """The whole line or, when the other end is gone or we are cancelled midway, the end of the connection."""
        try:
            if fds:
                while True:
                    try:
                        line = line[socket.send_fds(self._sock, [line], fds) :]
                        break
                    except BlockingIOError:
                        await asyncio.sleep(0.001)  # full of earlier requests, whose acknowledgements are near
            await self._loop.sock_sendall(self._sock, line)
        except BaseException:
            self._broken = True
            self._reader.cancel()
            raise

    async def _read(self) -> None:
        buffer = bytearray()
        try:
            while data := await self._loop.sock_recv(self._sock, _READ):
                buffer += data
                while (end := buffer.find(b"\n")) >= 0:
                    reply = json.loads(buffer[:end])
                    del buffer[: end + 1]
                    future = self._waiting.get(reply["seq"])
                    if future is not None and not future.done():
                        future.set_result(reply)
        except (OSError, ValueError):
            pass
        finally:
            self._broken = True
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("the resolver is gone"))
