"""A small event loop: one epoll, callbacks by descriptor, timers. Single-threaded; nothing in it waits.

Not asyncio, because the path of a question is all that this process is for: a callback is one dictionary probe away
from ``epoll_wait``, and asyncio's datagram transport alone costs more than a whole answer here.

A callback that raises is logged and the loop goes on: a fault in the handling of one client must not touch the others.
"""

from __future__ import annotations

import heapq
import itertools
import select
import sys
import traceback
from collections.abc import Callable

Handler = Callable[[int], None]
IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Timer:
    """A callback that runs once, unless it was cancelled before."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never run it. Idempotent."""
        self.callback = None


class Loop:
    """Descriptors and timers of one thread. ``clock`` gives seconds that never go back (``time.monotonic``)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._running = False

    def watch(self, fd: int, handler: Handler, events: int = IN) -> None:
        """Call *handler* with the event mask whenever *fd* is ready (level-triggered)."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Change what *fd* is watched for."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Stop watching; to be called before *fd* is closed. Idempotent."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def call_in(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run *callback* once, *seconds* from now."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.clock() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """Let ``run`` return after the present round."""
        self._running = False

    def run(self) -> None:
        """Serve until ``stop``."""
        self._running = True
        poll, handlers = self._epoll.poll, self._handlers
        while self._running:
            for fd, events in poll(self._until_next_timer()):
                handler = handlers.get(fd)
                if handler is not None:
                    try:
                        handler(events)
                    except Exception:
                        _report()
            if self._timers:
                self._run_timers()

    def close(self) -> None:
        """Give the epoll descriptor back. Idempotent."""
        self._epoll.close()
        self._handlers.clear()
        self._timers.clear()

    def _until_next_timer(self) -> float:
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        return max(0.0, timers[0][0] - self.clock()) if timers else -1

    def _run_timers(self) -> None:
        now = self.clock()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                try:
                    callback()
                except Exception:
                    _report()


def _report() -> None:
    traceback.print_exc(file=sys.stderr)
    sys.stderr.flush()
