"""Closing asynchronous iterators in time.

An ``async for`` that is left early does not close what it iterates over; the garbage collector would, some time later.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close *items* at the end if it can be closed (generators can), so that what it holds is given back now."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
