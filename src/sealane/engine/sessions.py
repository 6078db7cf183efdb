"""Attaching to a container's or an exec's terminal and standard streams.

A session may be opened before its process exists (``docker run`` attaches, then starts): it then waits, and the start
connects
every waiting session before the process is released, so that not one byte of its output is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from sealane.engine.model import LogLine


class Streams(Protocol):
    """What a monitor gives for an attached process."""

    async def read(self) -> tuple[int, bytes] | None: ...
    async def write(self, data: bytes) -> None: ...
    async def close_stdin(self) -> None: ...
    async def close(self) -> None: ...


class AttachSession:
    """One client's view of a process: ``read`` gives (1 or 2, bytes), or None at the end."""

    def __init__(
        self,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        replay: AsyncIterator[LogLine] | None = None,
        ended: asyncio.Event | None = None,
    ) -> None:
        """With *ended*, the end of the output is held back until it is set: an exec's client asks for the exit code
        as soon as the output ends.
        """
        self.tty = tty
        self._stdin = stdin
        self._wanted = {1: stdout, 2: stderr}
        self._replay = replay
        self._ended = ended
        self._streams: Streams | None = None
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def closed(self) -> bool:
        """True once its client has left."""
        return self._closed

    def connect(self, streams: Streams) -> None:
        """Hand the process's streams over; whoever waits in ``read`` or ``write`` goes on."""
        self._streams = streams
        self._ready.set()

    def abandon(self) -> None:
        """The process will never come: ``read`` ends."""
        self._ready.set()

    async def read(self) -> tuple[int, bytes] | None:
        if self._replay is not None:
            async for line in self._replay:
                if self._wanted[line.stream]:
                    return line.stream, line.data
            self._replay = None
        await self._ready.wait()
        while self._streams is not None:
            item = await self._streams.read()
            if item is None:
                break
            if self._wanted[item[0]]:
                return item
        if self._ended is not None and not self._closed:
            await self._ended.wait()
        return None

    async def write(self, data: bytes) -> None:
        """Send to standard input; thrown away when the session has none."""
        await self._ready.wait()
        if self._stdin and self._streams is not None:
            await self._streams.write(data)

    async def close_stdin(self) -> None:
        await self._ready.wait()
        if self._stdin and self._streams is not None:
            await self._streams.close_stdin()

    async def close(self) -> None:
        """Detach; the process goes on. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._ready.set()
        if self._streams is not None:
            with contextlib.suppress(OSError):
                await self._streams.close()
