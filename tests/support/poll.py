"""Waiting in tests: look again and again until something holds, and say what did not come true when time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE_S = 0.02


def until(probe: Callable[[], T], what: str, *, timeout_s: float = 15.0) -> T:
    """Call *probe* until it returns something true, and return that.

    Raises AssertionError naming *what* and the last thing seen. Exceptions of *probe* are the caller's business.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        seen = probe()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:g} s; last seen: {seen!r}")
        time.sleep(_PAUSE_S)


def holds(claim: Callable[[], None], *, timeout_s: float = 15.0) -> None:
    """Call *claim*, which asserts things, until it raises nothing; then its last AssertionError comes out."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return claim()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
