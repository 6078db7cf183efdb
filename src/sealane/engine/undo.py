"""Undo in reverse, to the end: what a verb that fails or is cancelled half-way leaves behind is nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")

_log = logging.getLogger(__name__)


class Undo:
    """An async context that runs the registered steps backwards when its body raises; errors of a step are noted on
    the first error and the rest still runs. A cancellation that comes meanwhile waits until all is undone.

    A step may be registered before what it undoes is done, when doing it could be cancelled: it must then bear to find
    nothing.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], Awaitable[object]]]] = []

    def add(self, what: str, step: Callable[[], Awaitable[object]]) -> None:
        """Register *step*, which undoes what was just done; *what* names it in logs."""
        self._steps.append((what, step))

    async def do(self, work: Coroutine[Any, Any, A], what: str, step: Callable[[], Awaitable[object]]) -> A:
        """Do *work* to its end, even if cancelled, and register *step* when it is done."""

        async def both_of_it() -> A:
            result = await work
            self.add(what, step)
            return result

        return await to_the_end(both_of_it())

    async def __aenter__(self) -> Undo:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and self._steps:
            await to_the_end(self._unwind(error))

    async def _unwind(self, error: BaseException) -> None:
        for what, step in reversed(self._steps):
            try:
                await step()
            except Exception as failure:
                _log.exception("cannot undo: %s", what)
                error.add_note(f"and could not undo {what}: {failure}")


async def to_the_end(work: Coroutine[Any, Any, A]) -> A:
    """Await *work* without passing a cancellation on to it; the cancellation is raised when *work* has ended."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            cancelled = True
    result = task.result()
    if cancelled:
        raise asyncio.CancelledError
    return result


async def both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Run two coroutines at once; both have ended when this returns or raises. Raises the first one's error first."""
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(two, BaseException):
        raise two
    return one, two
