"""Restart policies: Docker's table, and the pauses between attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.engine.model import RestartPolicy
from sealane.engine.restart import next_delay_ns, wants_restart, wants_start_at_boot

MS = 1_000_000
SECOND = 1000 * MS


@pytest.mark.parametrize(
    ("policy", "exit_code", "count", "stopped", "restarts"),
    [
        ("no", 1, 0, False, False),
        ("", 1, 0, False, False),
        ("always", 0, 0, False, True),
        ("always", 1, 99, False, True),
        ("always", 1, 0, True, False),
        ("unless-stopped", 0, 0, False, True),
        ("unless-stopped", 0, 0, True, False),
        ("on-failure", 0, 0, False, False),
        ("on-failure", 1, 0, False, True),
        ("on-failure", 1, 1000, False, True),
        ("on-failure", 1, 0, True, False),
        ("on-failure:2", 1, 0, False, True),
        ("on-failure:2", 1, 1, False, True),
        ("on-failure:2", 1, 2, False, False),
        ("on-failure:2", 0, 0, False, False),
    ],
)
def test_who_is_started_again(policy: str, exit_code: int, count: int, stopped: bool, restarts: bool) -> None:
    name, _, most = policy.partition(":")

    assert wants_restart(RestartPolicy(name, int(most or 0)), exit_code, count, stopped) is restarts


@pytest.mark.parametrize(
    ("policy", "would_restart", "starts"),
    [
        ("always", False, True),  # even one that somebody has stopped
        ("always", True, True),
        ("unless-stopped", False, False),
        ("unless-stopped", True, True),
        ("on-failure", False, False),
        ("on-failure", True, True),
        ("no", False, False),
    ],
)
def test_who_is_started_with_the_engine(policy: str, would_restart: bool, starts: bool) -> None:
    assert wants_start_at_boot(RestartPolicy(policy), would_restart) is starts


def test_pauses_double_up_to_a_minute() -> None:
    pauses = [0]
    while len(pauses) < 14:
        pauses.append(next_delay_ns(pauses[-1], ran_ns=5 * MS))

    assert [pause // MS for pause in pauses[1:]] == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200] + [
        60000
    ] * 3


def test_a_run_of_ten_seconds_begins_anew() -> None:
    assert next_delay_ns(60 * SECOND, ran_ns=10 * SECOND) == 100 * MS
    assert next_delay_ns(200 * MS, ran_ns=10 * SECOND - 1) == 400 * MS


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_pause_is_never_shorter_or_longer_than_said(previous: int, ran: int) -> None:
    assert 100 * MS <= next_delay_ns(max(previous, 100 * MS), ran) <= 60 * SECOND
