"""Blocking file work in a thread of its own, which ends before its caller does.

The event loop's shared pool is small: a load whose client stalls would hold a place in it. And a cancelled pull must
not leave a thread behind that still writes, so cancelling asks the thread to stop and waits for it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Final, Self, TypeVar

T = TypeVar("T")

#: Bytes that are handed over at once, and how many such pieces may wait.
_BATCH: Final = 1 << 19
_BATCHES: Final = 2


class Stopped(Exception):
    """The work was given up on request."""


async def in_thread(
    work: Callable[[Callable[[], bool]], T],
    name: str,
    *,
    on_stop: Callable[[], None] = lambda: None,
    unwanted: Callable[[T], object] = lambda _: None,
) -> T:
    """Run *work* in a new thread and return what it returns.

    *work* gets a function that says whether it should stop. When the caller is cancelled, that becomes true, *on_stop*
    is called, and the cancellation goes on only after the thread has ended. What *work* returned all the same is given
    to *unwanted*.
    """
    stop = threading.Event()
    result: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            result.set_result(work(stop.is_set))
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    waiter = asyncio.wrap_future(result)
    try:
        return await asyncio.shield(waiter)
    except asyncio.CancelledError:
        stop.set()
        on_stop()
        while not waiter.done():
            try:
                await asyncio.wait([waiter])
            except asyncio.CancelledError:
                continue
        if waiter.exception() is None:  # which counts as seen: the cancellation is what the caller hears of
            unwanted(waiter.result())
        raise


class BodyReader:
    """Lets one thread read what the event loop receives; an async context manager around that thread's life.

    The loop gathers small pieces into large ones, a few ahead of the thread: handing something over costs more than
    receiving it.
    """

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body, self._loop = body, asyncio.get_running_loop()
        self._received: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(_BATCHES)
        self._group = asyncio.TaskGroup()
        self._gathering: asyncio.Task[None] | None = None
        self._piece = memoryview(b"")
        self._end: bytes | BaseException | None = None

    async def _gather(self) -> None:
        batch = bytearray()
        try:
            async for piece in self._body:
                batch += piece
                if len(batch) >= _BATCH:
                    await self._room.acquire()
                    self._received.put(bytes(batch))
                    batch.clear()
            end: bytes | BaseException = b""
        except Exception as error:  # the thread's business
            end = error
        if batch:
            self._received.put(bytes(batch))
        self._received.put(end)

    def read(self, size: int) -> bytes:
        """Up to *size* bytes, b"" at the end. Raises what the body raises, Stopped after `close`."""
        if not self._piece:
            found = self._end if self._end is not None else self._received.get()
            if isinstance(found, BaseException):
                self._end = found
                raise found
            if not found:
                self._end = found
                return b""
            self._piece = memoryview(found)
            self._loop.call_soon_threadsafe(self._room.release)
        piece, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return piece

    def close(self) -> None:
        """Wake the reading thread and receive no more; to be called in the loop."""
        if self._gathering is not None:
            self._gathering.cancel()
        self._received.put(Stopped())

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._gathering = self._group.create_task(self._gather())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self._group.__aexit__(None, None, None)  # what went wrong inside goes on as it is, not in a group
