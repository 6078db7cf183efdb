"""What happened, for those who listen now and for those who ask later.

An event reaches subscribers at once; its durable copy is written with the next ``flush`` (the engine flushes when its
loop is idle, and before it stops), so that a verb never waits for the disk on account of its events. The history is
bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final

from sealane.engine.context import Clock
from sealane.engine.model import Event
from sealane.errors import SealaneError
from sealane.store.codec import decode, encode
from sealane.store.database import Database

_log = logging.getLogger(__name__)

HISTORY: Final = 10_000
#: A subscriber that reads nothing while this many events pass is cut off; it would only grow in memory.
BACKLOG: Final = 4_096


class Events:
    """The engine's event log."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._pending: list[Event] = []
        self._subscribers: set[asyncio.Queue[Event | None]] = set()
        self._last_ns = 0
        self._refused = False

    def emit(self, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
        """Tell everybody. Times are strictly increasing, so that ``since`` never repeats an event."""
        self._last_ns = max(self._clock.now_ns(), self._last_ns + 1)
        event = Event(self._last_ns, kind, action, actor, dict(attributes))
        self._pending.append(event)
        for queue in list(self._subscribers):
            if queue.qsize() >= BACKLOG:
                self._subscribers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def flush(self) -> None:
        """Write what is pending to the store. What cannot be written (a full disk) stays pending, up to a bound."""
        if not self._pending:
            return
        try:
            self._store()
        except SealaneError as error:
            if not self._refused:
                _log.error("events cannot be kept: %s", error)
            self._refused = True
            del self._pending[:-HISTORY]
        else:
            self._refused = False
            self._pending.clear()

    def _store(self) -> None:
        with self._database.transaction():
            for event in self._pending:
                newest = self._database.add_event(event.time_ns, encode(event))
            if newest % 1000 < len(self._pending):
                self._database.trim_events(HISTORY)

    def history(self, since_ns: int, until_ns: int) -> list[Event]:
        """Past events with ``since_ns <= time <= until_ns``, oldest first."""
        self.flush()
        stored = [decode(body, Event) for body in self._database.events(since_ns, until_ns)]
        return stored + [event for event in self._pending if since_ns <= event.time_ns <= until_ns]

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Events from now on; the iterator ends when the subscriber lags too far behind or the engine stops."""
        with self._queue() as queue:
            yield _drain(queue)

    @contextlib.contextmanager
    def _queue(self) -> Iterator[asyncio.Queue[Event | None]]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)

    def close(self) -> None:
        """End every subscription and write the rest."""
        for queue in self._subscribers:
            queue.put_nowait(None)
        self._subscribers.clear()
        self.flush()


async def _drain(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
