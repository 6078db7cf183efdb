"""Times and durations as Go prints them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.engine.times import go_duration, rfc3339_nano


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),  # "never"
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
    ],
)
def test_a_moment(time_ns: int, text: str) -> None:
    assert rfc3339_nano(time_ns) == text


@given(st.integers(1, 4_000_000_000 * 10**9))
def test_no_nanosecond_is_lost(time_ns: int) -> None:
    whole, _, fraction = rfc3339_nano(time_ns).removesuffix("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(f"{whole}+00:00").timestamp()

    assert int(seconds) * 10**9 + int(fraction) == time_ns


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (999, "999ns"),
        (1_000, "1µs"),
        (1_500, "1.5µs"),
        (1_000_000, "1ms"),
        (700_000_000, "700ms"),
        (999_999_999, "999.999999ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (59_999_999_999, "59.999999999s"),
        (60_000_000_000, "1m0s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_661_500_000_000, "1h1m1.5s"),
    ],
)
def test_a_duration(length: int, text: str) -> None:
    """Each line is what ``fmt.Print(time.Duration(length))`` prints."""
    assert go_duration(length) == text
