"""Undo: backwards, to the end, whatever happens meanwhile; both: two things at once, neither left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sealane.engine.undo import Undo, both, to_the_end


class Steps:
    """Notes which steps have run; a step gives the loop a turn before it notes itself."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __call__(self, name: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            await asyncio.sleep(0)
            self.done.append(name)
            if error is not None:
                raise error

        return run


def test_nothing_is_undone_when_all_went_well() -> None:
    steps = Steps()

    async def verb() -> None:
        async with Undo() as undo:
            undo.add("a", steps("a"))

    asyncio.run(verb())
    assert steps.done == []


def test_backwards_and_the_error_comes_out() -> None:
    steps = Steps()

    async def verb() -> None:
        async with Undo() as undo:
            undo.add("a", steps("a"))
            undo.add("b", steps("b"))
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        asyncio.run(verb())
    assert steps.done == ["b", "a"]


def test_a_step_that_fails_is_noted_and_the_rest_still_runs() -> None:
    steps = Steps()

    async def verb() -> None:
        async with Undo() as undo:
            undo.add("a", steps("a"))
            undo.add("the link", steps("b", OSError("busy")))
            raise ValueError("first")

    with pytest.raises(ValueError, match="first") as caught:
        asyncio.run(verb())
    assert steps.done == ["b", "a"]
    assert caught.value.__notes__ == ["and could not undo the link: busy"]


def test_a_cancelled_body_is_undone_too() -> None:
    steps = Steps()

    async def verb(entered: asyncio.Event) -> None:
        async with Undo() as undo:
            undo.add("a", steps("a"))
            entered.set()
            await asyncio.Event().wait()

    async def run() -> None:
        entered = asyncio.Event()
        task = asyncio.ensure_future(verb(entered))
        await entered.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(run())
    assert steps.done == ["a"]


def test_a_cancellation_while_undoing_waits_until_all_is_undone() -> None:
    steps, blocked = Steps(), asyncio.Event()

    async def verb(undoing: asyncio.Event) -> None:
        async def slow() -> None:
            undoing.set()
            await blocked.wait()
            steps.done.append("slow")

        async with Undo() as undo:
            undo.add("a", steps("a"))
            undo.add("slow", slow)
            raise ValueError("first")

    async def run() -> None:
        undoing = asyncio.Event()
        task = asyncio.ensure_future(verb(undoing))
        await undoing.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        assert not task.done()
        blocked.set()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(run())
    assert steps.done == ["slow", "a"]


def test_what_was_being_done_when_the_cancellation_came_is_undone() -> None:
    steps = Steps()

    async def verb(doing: asyncio.Event, go_on: asyncio.Event) -> None:
        async def work() -> None:
            doing.set()
            await go_on.wait()
            steps.done.append("done")

        async with Undo() as undo:
            await undo.do(work(), "it", steps("undone"))
            raise AssertionError("never reached")

    async def run() -> None:
        doing, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.ensure_future(verb(doing, go_on))
        await doing.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(run())
    assert steps.done == ["done", "undone"]


def test_what_failed_is_not_undone() -> None:
    steps = Steps()

    async def fails() -> None:
        raise OSError("no")

    async def verb() -> None:
        async with Undo() as undo:
            await undo.do(fails(), "it", steps("undone"))

    with pytest.raises(OSError, match="no"):
        asyncio.run(verb())
    assert steps.done == []


def test_to_the_end_gives_the_result_or_the_error() -> None:
    async def seven() -> int:
        return 7

    async def broken() -> int:
        raise OSError("no")

    assert asyncio.run(to_the_end(seven())) == 7
    with pytest.raises(OSError, match="no"):
        asyncio.run(to_the_end(broken()))


def test_both_wait_for_each_other_even_when_one_fails() -> None:
    steps = Steps()

    async def fails() -> int:
        raise ValueError("one")

    async def works() -> int:
        await steps("works")()
        return 2

    with pytest.raises(ValueError, match="one"):
        asyncio.run(both(fails(), works()))
    assert steps.done == ["works"]
    assert asyncio.run(both(works(), works())) == (2, 2)


def test_both_prefer_the_first_ones_error() -> None:
    async def fails(error: Exception) -> None:
        raise error

    with pytest.raises(ValueError, match="first"):
        asyncio.run(both(fails(ValueError("first")), fails(KeyError("second"))))


def test_both_end_before_a_cancellation_comes_out() -> None:
    ended = []

    async def worker(name: str, started: asyncio.Event) -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async def run() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        task = asyncio.ensure_future(both(worker("a", first), worker("b", second)))
        await first.wait()
        await second.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert sorted(ended) == ["a", "b"]

    asyncio.run(run())
