"""The event log: order, history, subscribers that lag, a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealane.engine.events import BACKLOG, HISTORY, Events
from sealane.engine.model import Event
from sealane.errors import Internal
from sealane.store.database import Database
from unit.engine.making import StoppedClock

START = 1_000


class Disk(Database):
    """A database whose disk can be full."""

    full = False

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        if self.full:
            raise Internal("cannot write state.db: database or disk is full")
        with super().transaction():
            yield


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(START)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with contextlib.closing(Disk(tmp_path / "state.db")) as made:
        yield made


@pytest.fixture
def events(disk: Disk, clock: StoppedClock) -> Events:
    return Events(disk, clock)


def say(events: Events, *actions: str) -> None:
    for action in actions:
        events.emit("container", action, "c1", {"name": "box"})


def actions(found: list[Event]) -> list[str]:
    return [event.action for event in found]


def test_what_an_event_says(events: Events) -> None:
    events.emit("network", "connect", "n1", {"container": "c1"})

    assert events.history(0, START) == [Event(START, "network", "connect", "n1", {"container": "c1"})]


def test_times_grow_even_while_the_clock_stands_or_goes_back(events: Events, clock: StoppedClock) -> None:
    say(events, "a", "b")
    clock.time_ns -= 500
    say(events, "c")
    clock.time_ns += 10_000
    say(events, "d")

    assert [event.time_ns for event in events.history(0, 1 << 60)] == [START, START + 1, START + 2, START + 9500]


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (0, 1 << 60, "abc"),
        (START + 1, 1 << 60, "bc"),
        (0, START + 1, "ab"),
        (START + 1, START + 1, "b"),
        (9999, 99999, ""),
    ],
)
def test_both_ends_of_the_history_count(events: Events, since: int, until: int, found: str) -> None:
    say(events, *"abc")

    assert "".join(actions(events.history(since, until))) == found


def test_the_history_outlives_the_engine(events: Events, tmp_path: Path, clock: StoppedClock) -> None:
    say(events, "a")
    events.close()

    with contextlib.closing(Database(tmp_path / "state.db")) as again:
        assert actions(Events(again, clock).history(0, 1 << 60)) == ["a"]


def test_the_history_is_bounded(events: Events, disk: Disk) -> None:
    say(events, *(str(number) for number in range(HISTORY + 1500)))
    events.flush()

    kept = events.history(0, 1 << 60)
    assert HISTORY <= len(kept) < HISTORY + 1000
    assert kept[-1].action == str(HISTORY + 1499)


def test_the_attributes_are_a_copy(events: Events) -> None:
    attributes = {"name": "box"}
    events.emit("container", "start", "c1", attributes)
    attributes["name"] = "changed"

    assert events.history(0, 1 << 60)[0].attributes == {"name": "box"}


async def drain(events: Events, said: asyncio.Event, got: list[str]) -> None:
    async with events.subscribe() as feed:
        said.set()
        async for event in feed:
            got.append(event.action)


def test_a_subscriber_hears_what_is_said_from_now_on_until_the_end(events: Events) -> None:
    async def run() -> list[str]:
        got: list[str] = []
        say(events, "before")
        listening = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(drain(events, listening, got))
            await listening.wait()
            say(events, "a", "b")
            events.close()
        return got

    assert asyncio.run(run()) == ["a", "b"]


def test_two_subscribers_hear_the_same_and_one_may_leave(events: Events) -> None:
    async def run() -> None:
        async with events.subscribe() as first:
            async with events.subscribe() as second:
                say(events, "a")
                assert (await anext(second)).action == "a"
            say(events, "b")
            assert [(await anext(first)).action, (await anext(first)).action] == ["a", "b"]

    asyncio.run(run())


def test_one_who_reads_nothing_is_cut_off_and_the_others_are_not(events: Events) -> None:
    async def run() -> tuple[int, int]:
        async with events.subscribe() as slow, events.subscribe() as quick:
            heard = 0
            for number in range(BACKLOG + 10):
                say(events, str(number))
                heard += (await anext(quick)).action == str(number)
            return len([event async for event in slow]), heard

    assert asyncio.run(run()) == (BACKLOG, BACKLOG + 10)


def test_a_full_disk_loses_no_event(events: Events, disk: Disk) -> None:
    say(events, "a")
    disk.full = True
    say(events, "b")
    events.flush()

    assert actions(events.history(0, 1 << 60)) == ["a", "b"]
    disk.full = False
    say(events, "c")
    events.flush()
    assert len(disk.events(0, 1 << 60)) == 3
    assert actions(events.history(0, 1 << 60)) == ["a", "b", "c"]


def test_what_cannot_be_written_is_bounded_too(events: Events, disk: Disk) -> None:
    disk.full = True
    say(events, *(str(number) for number in range(HISTORY + 5)))

    assert actions(events.history(0, 1 << 60))[0] == "5"
