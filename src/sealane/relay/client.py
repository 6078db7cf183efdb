"""The engine's end of the relay's control socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import Awaitable
from pathlib import Path

from sealane.linux.fds import directory, short_socket_path
from sealane.relay.messages import Json


def connect_unix(path: Path) -> socket.socket:
    """A stream connected to *path*, however long it is. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with directory(path.parent) as folder:
            sock.connect(short_socket_path(folder, path.name))
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


class Connection:
    """One connection to the relay; acknowledgements come in the order of the requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._waiting: deque[asyncio.Future[Json]] = deque()
        self._lost = False
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))  # cancelled by close

    @classmethod
    async def over(cls, sock: socket.socket) -> Connection:
        """Takes *sock* over."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    @property
    def lost(self) -> bool:
        """True when the other end is gone."""
        return self._lost

    async def wait_lost(self) -> None:
        """Return when the other end is gone."""
        await asyncio.wait([self._reading])

    async def request(self, message: Json) -> Json:
        """The acknowledgement of *message*. Raises ConnectionError when the other end goes away before."""
        if self._lost:
            raise ConnectionResetError("the relay is gone")
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        return await future

    async def close(self) -> None:
        """End the connection. Idempotent."""
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                future = self._waiting.popleft()
                if not future.done():
                    future.set_result(json.loads(line))
        except (OSError, ValueError, IndexError):
            pass
        finally:
            self._lost = True
            for future in self._waiting:
                if not future.done():
                    future.set_exception(ConnectionResetError("the relay is gone"))
