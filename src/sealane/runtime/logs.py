"""Reading a container's log while conmon may be writing it.

conmon appends; when the log has reached its largest size it puts a new file in its place by rename(2), and what the old
one held is gone. A reader that follows finishes the old file first. A file that was cut short in place is read anew.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from sealane.linux.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify
from sealane.runtime.loglines import Assembler, LogLine, Parser, Part
from sealane.runtime.logtail import tail_start
from sealane.runtime.readiness import readable

__all__ = ["LogLine", "read_log"]

_CHUNK: Final = 1 << 16
#: How often to look when the kernel has no inotify left for us, or the directory is not there.
_POLL_S: Final = 0.2
_BILLION: Final = 1_000_000_000
_NO_WATCH: Final = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOENT)


async def read_log(
    path: Path, *, tail: int | None, since_ns: int, until_ns: int, finished: asyncio.Event | None
) -> AsyncIterator[LogLine]:
    """The entries of a log, oldest first; a file that is not there is empty.

    Of the last *tail* entries (None: of all) those from *since_ns* to *until_ns*, ns since the epoch, 0 for no bound:
    in this order, as Docker does it. Without *finished*, up to where the file ends now, with a last line that has not
    ended. Else follows until *finished* is set and all is read, or *until_ns* has passed. Raises OSError.
    """
    log = _Log(path)
    try:
        async for line in _entries(log, tail, finished, until_ns):
            if until_ns and line.time_ns > until_ns:
                return
            if line.time_ns >= since_ns:
                yield line
    finally:
        log.close()


async def _entries(
    log: _Log, tail: int | None, finished: asyncio.Event | None, until_ns: int
) -> AsyncIterator[LogLine]:
    assembler = Assembler()
    if finished is not None:
        log.watch()  # before the first look, so that nothing is missed in between
    if tail is not None:
        last: deque[LogLine] = deque(maxlen=tail)
        await log.seek_tail(tail)
        async for part in log.parts(log.size()):
            last.extend(assembler.add(part))
        if finished is None:
            last.extend(assembler.rest())
        for line in last:
            yield line
    parts = log.parts(log.size()) if finished is None else log.following(finished, until_ns)
    async for part in parts:
        for line in assembler.add(part):
            yield line
    for line in assembler.rest():
        yield line


class _Log:
    """The file at a path, which may be another one tomorrow. Owns descriptors; ``close`` is idempotent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._position = 0
        self._unread = b""  # the beginning of a line whose end is not written yet
        self._parser = Parser()
        self._changes: Inotify | None = None
        self._open()

    def _open(self) -> None:
        self._position, self._unread = 0, b""
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._fd = -1

    def close(self) -> None:
        # a cancelled read may still be at work in its thread: pread(2) can harm nobody who gets the number next
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        if self._changes is not None:
            self._changes.close()

    def watch(self) -> None:
        """Be told of changes from now on. Where that cannot be, ``following`` looks regularly instead."""
        try:
            self._changes = Inotify()
            self._changes.watch(self._path.parent, IN_MODIFY | IN_MOVED_TO | IN_CREATE)
        except OSError as error:
            if error.errno not in _NO_WATCH:
                raise
            if self._changes is not None:
                self._changes.close()
                self._changes = None

    async def seek_tail(self, tail: int) -> None:
        if self._fd >= 0:
            self._position = await asyncio.to_thread(tail_start, self._fd, tail)

    def size(self) -> int:
        return os.fstat(self._fd).st_size if self._fd >= 0 else 0

    async def parts(self, end: int | None = None) -> AsyncIterator[Part]:
        """What the file holds beyond what has been read, up to the offset *end*: a container may write without end."""
        while self._fd >= 0 and (end is None or self._position < end):
            room = _CHUNK if end is None else min(_CHUNK, end - self._position)
            chunk = await asyncio.to_thread(os.pread, self._fd, room, self._position)
            if not chunk:
                return
            self._position += len(chunk)
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for line in lines:
                part = self._parser.part(line)
                if part is not None:
                    yield part

    async def following(self, finished: asyncio.Event, until_ns: int) -> AsyncIterator[Part]:
        """What the file holds and what is added to it."""
        while True:
            last_look = finished.is_set() or (until_ns and time.time_ns() > until_ns)
            if self._changes is not None:
                self._changes.drain()
            async for part in self.parts():
                yield part
            if self._replaced():
                async for part in self.parts():  # written between the last look and the rename
                    yield part
                self._reopen()
            elif last_look:
                return
            else:
                await self._change(finished, until_ns)

    def _replaced(self) -> bool:
        """Whether the path names another file now, or the file has been cut short."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        if self._fd < 0:
            return True
        here = os.fstat(self._fd)
        return not os.path.samestat(here, there) or here.st_size < self._position

    def _reopen(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._open()

    async def _change(self, finished: asyncio.Event, until_ns: int) -> None:
        """Wait until there may be something new, *finished* is set or *until_ns* has come."""
        patience = None if not until_ns else max(0.0, (until_ns - time.time_ns() + 1) / _BILLION)
        if self._changes is None:
            patience = _POLL_S if patience is None else min(patience, _POLL_S)
        async with asyncio.TaskGroup() as group:
            waiting: list[asyncio.Task[object]] = [group.create_task(finished.wait())]
            if self._changes is not None:
                waiting.append(group.create_task(readable(self._changes.fileno())))
            await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
