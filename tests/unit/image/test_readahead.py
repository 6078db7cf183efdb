"""Reading ahead: the same pieces, the same end, and a thread that does not outlive its owner."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sealane.image.readahead import ReadAhead


def pieces(*items: bytes) -> Callable[[], bytes]:
    left = iter(items)
    return lambda: next(left, b"")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ahead"]


def test_pieces_come_in_order_and_the_end_stays_the_end() -> None:
    made = [bytes([number]) * 3 for number in range(1, 100)]

    with ReadAhead(pieces(*made)) as read:
        seen = [read() for _ in made]
        assert [read(), read(), read()] == [b"", b"", b""]

    assert seen == made


def test_a_failure_comes_where_its_piece_would_have_come() -> None:
    inner = pieces(b"a", b"b")

    def produce() -> bytes:
        if piece := inner():
            return piece
        raise OSError(28, "No space left on device")

    with ReadAhead(produce) as read:
        assert [read(), read()] == [b"a", b"b"]
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                read()


def test_it_is_only_a_few_pieces_ahead_and_ends_when_it_is_closed() -> None:
    made = 0
    far = threading.Event()

    def produce() -> bytes:
        nonlocal made
        made += 1
        if made == 8:
            far.set()
        return b"x"

    read = ReadAhead(produce)
    assert far.wait(10)
    assert threads() == ["ahead"]
    read.close()
    read.close()

    assert threads() == []
    assert made == 8
