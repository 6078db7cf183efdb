"""Blocking file work in a thread of its own, which ends before its caller does.

The event loop's shared pool is small: a load whose client stalls would hold a place in it. And a cancelled pull must
not leave a thread behind that still writes, so cancelling asks the thread to stop and waits for it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

T = TypeVar("T")


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
    """Lets a thread read what the event loop receives. Made in the loop, used from one thread."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body, self._loop = body, asyncio.get_running_loop()
        self._piece = memoryview(b"")
        self._waiting: concurrent.futures.Future[bytes | None] | None = None
        self._closed = False

    async def _next(self) -> bytes | None:
        return await anext(self._body, None)

    def read(self, size: int) -> bytes:
        """Up to *size* bytes, b"" at the end. Raises what the body raises, Stopped after `close`."""
        while not self._piece:
            self._waiting = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            if self._closed:
                self._waiting.cancel()
            try:
                received = self._waiting.result()
            except concurrent.futures.CancelledError:
                raise Stopped from None
            if received is None:
                return b""
            self._piece = memoryview(received)
        piece, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return piece

    def close(self) -> None:
        """Wake the reading thread; to be called in the loop."""
        self._closed = True
        if self._waiting is not None:
            self._waiting.cancel()
