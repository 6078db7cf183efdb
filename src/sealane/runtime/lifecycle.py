"""The life of a container as a table: in which state which event leads to which state. Pure.

    created ──start──► running ──pause──► paused
       │                 │ ▲                │
       │               exit └───resume──────┘
       │                 ▼
       └──remove──►   exited ──start──► running          restarting: ended, and the restart policy will start it again
                         │
                       remove ──► removing ──removed──► (gone), or ──fail──► dead

An event that has no entry is not allowed in that state; `advance` says so in words.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from sealane.errors import Conflict


class State(enum.Enum):
    """Docker's words for ``State.Status``."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Event(enum.Enum):
    """What happens to a container."""

    START = "start"
    EXIT = "exit"  # ended, and will stay so
    EXIT_FOR_RESTART = "exit and restart"  # ended, and the restart policy brings it back
    PAUSE = "pause"
    RESUME = "unpause"
    GIVE_UP = "stop restarting"
    REMOVE = "remove"
    FAIL = "fail to be removed"


_ENDING: Final = {Event.EXIT: State.EXITED, Event.EXIT_FOR_RESTART: State.RESTARTING}

TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.CREATED: {Event.START: State.RUNNING, Event.REMOVE: State.REMOVING},
    State.RUNNING: {**_ENDING, Event.PAUSE: State.PAUSED, Event.REMOVE: State.REMOVING},
    State.PAUSED: {**_ENDING, Event.RESUME: State.RUNNING, Event.REMOVE: State.REMOVING},
    State.RESTARTING: {Event.START: State.RUNNING, Event.GIVE_UP: State.EXITED, Event.REMOVE: State.REMOVING},
    State.EXITED: {Event.START: State.RUNNING, Event.REMOVE: State.REMOVING},
    State.REMOVING: {Event.FAIL: State.DEAD},
    State.DEAD: {Event.REMOVE: State.REMOVING},
}

#: States in which the container's process exists.
ALIVE: Final = frozenset({State.RUNNING, State.PAUSED})


def advance(state: State, event: Event) -> State:
    """The state after *event*. Raises Conflict when the event cannot happen in *state*."""
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise Conflict(f"cannot {event.value} a container that is {state.value}")
    return following
