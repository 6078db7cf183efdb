"""Sizes, durations and times as Docker's commands read and print them."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.cli import units
from sealane.cli.quoting import go_quote


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1_234_567, "1.23MB"), (84_040_000, "84MB"), (999_999, "1000kB")],
)
def test_sizes_that_people_read(size: int, text: str) -> None:
    assert units.human_size(size) == text


def test_memory_has_units_of_1024() -> None:
    assert units.binary_size(0) == "0B"
    assert units.binary_size(25_276_000_000) == "23.54GiB"
    assert units.binary_size(476 * 1024) == "476KiB"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64", 64), ("64b", 64), ("64k", 65536), ("64K", 65536), ("64kb", 65536), ("64KiB", 65536),
        ("1.5g", 1610612736),
        ("512m", 536870912), ("1 m", 1048576), ("2t", 2199023255552),
    ],
)  # fmt: skip
def test_sizes_that_people_write(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "foo", "m", "-5m", "5x", "1.2.3"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        units.parse_size(text)


def test_only_swap_may_be_unlimited() -> None:
    assert units.parse_signed_size("-1") == -1
    with pytest.raises(ValueError, match="invalid"):
        units.parse_signed_size("-2")


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0), ("300ms", 300_000_000), ("1h30m", 5400 * 10**9), ("1.5s", 1_500_000_000), ("-5s", -5 * 10**9),
        ("10us", 10_000),
    ],
)  # fmt: skip
def test_durations(text: str, nanoseconds: int) -> None:
    assert units.parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
    ],
)
def test_what_is_no_duration(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (119, "About a minute"), (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"),
        (2 * 3600, "2 hours"), (47 * 3600, "47 hours"), (48 * 3600, "2 days"), (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"), (2 * 365 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_lengths_of_time_in_words(seconds: float, text: str) -> None:
    assert units.human_duration(seconds) == text


def test_moments_for_since_and_until() -> None:
    now = 1_795_532_243.25

    assert units.engine_timestamp("", now) == ""
    assert units.engine_timestamp("10s", now) == "1795532233.250000000"
    assert units.engine_timestamp("0", now) == "0"
    assert units.engine_timestamp("1136073600.5", now) == "1136073600.5"
    assert units.engine_timestamp("2006-01-02T15:04:05Z", now) == "1136214245.000000000"
    assert units.engine_timestamp("2006-01-02T15:04:05.123456789Z", now).startswith("1136214245.123456")
    assert units.engine_timestamp("2006-01-02", now) == f"{time.mktime((2006, 1, 2, 0, 0, 0, 0, 0, -1)):.9f}"
    with pytest.raises(ValueError, match='failed to parse value as time or duration: "foo"'):
        units.engine_timestamp("foo", now)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [('a"b\\', r'"a\"b\\"'), ("tab\tnl\n", r'"tab\tnl\n"'), ("ümläut…", '"ümläut…"'), ("\x1b\x7f", r'"\x1b\x7f"'),
     ("\u2028", r'"\u2028"'), ("\U000e0001", r'"\U000e0001"')],
)  # fmt: skip
def test_text_in_quotes_as_go_writes_it(text: str, quoted: str) -> None:
    assert go_quote(text) == quoted


@given(st.integers(0, 10**18))
def test_a_size_says_its_magnitude(size: int) -> None:
    text = units.human_size(size)
    power = ("B", "kB", "MB", "GB", "TB", "PB", "EB").index(text.lstrip("0123456789.e+"))

    assert float(text.rstrip("kMGTPEB")) * 1000**power == pytest.approx(size, rel=0.006)
