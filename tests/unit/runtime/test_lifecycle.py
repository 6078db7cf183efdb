"""The life of a container as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import Conflict
from sealane.runtime.lifecycle import ALIVE, TRANSITIONS, Event, State, advance

STARTING = {Event.START}
ENDING = {Event.EXIT, Event.EXIT_FOR_RESTART}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Event.START, Event.EXIT, Event.START, Event.EXIT, Event.REMOVE], State.REMOVING),
        ([Event.START, Event.PAUSE, Event.RESUME], State.RUNNING),
        ([Event.START, Event.PAUSE, Event.EXIT], State.EXITED),
        ([Event.START, Event.EXIT_FOR_RESTART, Event.START], State.RUNNING),
        ([Event.START, Event.EXIT_FOR_RESTART, Event.GIVE_UP], State.EXITED),
        ([Event.REMOVE, Event.FAIL, Event.REMOVE], State.REMOVING),
    ],
)
def test_lives(events: list[Event], expected: State) -> None:
    state = State.CREATED
    for event in events:
        state = advance(state, event)
    assert state is expected


@given(st.sampled_from(State), st.sampled_from(Event))
def test_what_is_not_in_the_table_is_refused_in_words(state: State, event: Event) -> None:
    if event in TRANSITIONS[state]:
        assert advance(state, event) is TRANSITIONS[state][event]
        return
    with pytest.raises(Conflict, match=f"^cannot {event.value} a container that is {state.value}$"):
        advance(state, event)


@given(st.lists(st.sampled_from(Event)))
def test_any_history_is_sound(events: list[Event]) -> None:
    """A process appears only by a start and disappears only by an end or a removal, whatever is asked for."""
    state = State.CREATED
    for event in events:
        before = state
        try:
            state = advance(state, event)
        except Conflict:
            continue
        if state in ALIVE and before not in ALIVE:
            assert event in STARTING
        if before in ALIVE and state not in ALIVE:
            assert event in ENDING | {Event.REMOVE}
        assert (state is State.PAUSED) <= (event is Event.PAUSE)


def test_every_state_can_be_left_and_reached() -> None:
    assert TRANSITIONS.keys() == set(State)
    reached = {following for table in TRANSITIONS.values() for following in table.values()}
    assert reached == set(State) - {State.CREATED}
    assert all(TRANSITIONS[state] for state in State)
    assert all(Event.REMOVE in TRANSITIONS[state] for state in State if state is not State.REMOVING)
