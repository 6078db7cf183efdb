"""What probes add up to: the rules are those of Docker's health checks, its texts included."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.engine.health import LOG_LENGTH, OUTPUT_LENGTH, clip, judge, probe_argv, stopped_health
from sealane.engine.model import Health, HealthCheck, HealthProbe

STARTING = Health("starting")


def probe(exit_code: int, start_ns: int = 0) -> HealthProbe:
    return HealthProbe(start_ns, start_ns + 1, exit_code, "said")


def after(codes: str, *, before: Health = STARTING, retries: int = 3, in_start_period: bool = False) -> Health:
    """*codes*: one digit per probe, ``x`` for one that ran out of time."""
    exits = (-1 if code == "x" else int(code) for code in codes)
    return reduce(lambda health, code: judge(health, probe(code), retries, in_start_period), exits, before)


@pytest.mark.parametrize(
    ("codes", "status", "streak"),
    [
        ("0", "healthy", 0),
        ("1", "starting", 1),
        ("11", "starting", 2),
        ("111", "unhealthy", 3),
        ("1111", "unhealthy", 4),
        ("1110", "healthy", 0),
        ("0110", "healthy", 0),
        ("011", "healthy", 2),
        ("0111", "unhealthy", 3),
        ("02x", "healthy", 2),
        ("02x9", "unhealthy", 3),
        ("0111011", "healthy", 2),
    ],
)
def test_what_probes_add_up_to(codes: str, status: str, streak: int) -> None:
    health = after(codes)

    assert (health.status, health.failing_streak) == (status, streak)


def test_retries_are_three_unless_said() -> None:
    assert after("11", retries=0).status == "starting"
    assert after("111", retries=0).status == "unhealthy"
    assert after("1", retries=1).status == "unhealthy"


def test_failures_inside_the_start_period_do_not_count() -> None:
    started = after("1111", in_start_period=True)

    assert (started.status, started.failing_streak, len(started.log)) == ("starting", 0, 4)
    assert after("0", before=started, in_start_period=True).status == "healthy"


def test_a_first_success_ends_the_start_period() -> None:
    assert after("0111", in_start_period=True).status == "unhealthy"


def test_the_last_five_probes_are_kept() -> None:
    health = reduce(lambda h, n: judge(h, probe(0, n), 3, False), range(8), STARTING)

    assert [item.start_ns for item in health.log] == [3, 4, 5, 6, 7]


@given(st.lists(st.integers(-1, 3), max_size=30), st.integers(1, 5))
def test_unhealthy_is_just_a_streak_of_failures(codes: list[int], retries: int) -> None:
    health = reduce(lambda h, code: judge(h, probe(code), retries, False), codes, STARTING)
    streak = next((count for count, code in enumerate(reversed(codes)) if code == 0), len(codes))

    assert health.failing_streak == streak
    assert (health.status == "unhealthy") == (streak >= retries)
    assert (health.status == "starting") == (0 not in codes and streak < retries)
    assert len(health.log) == min(len(codes), LOG_LENGTH)


def test_nobody_is_healthy_who_is_not_asked() -> None:
    healthy = after("0")

    assert stopped_health(healthy) == Health("unhealthy", 0, healthy.log)
    assert stopped_health(None) is None


@pytest.mark.parametrize(
    ("test", "argv"),
    [
        (("CMD", "curl", "-f", "x"), ("curl", "-f", "x")),
        (("CMD-SHELL", "curl -f x || exit 1"), ("/bin/sh", "-c", "curl -f x || exit 1")),
    ],
)
def test_the_command_of_a_check(test: tuple[str, ...], argv: tuple[str, ...]) -> None:
    assert probe_argv(HealthCheck(test=test)) == argv


def test_the_beginning_of_long_output_is_kept() -> None:
    assert clip(b"x" * OUTPUT_LENGTH) == "x" * OUTPUT_LENGTH
    assert clip(b"ab" + b"x" * OUTPUT_LENGTH) == "ab" + "x" * (OUTPUT_LENGTH - 2) + "..."
    assert clip(b"\xff\xfe") == "��"
