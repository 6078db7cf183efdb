import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.api.convert import times
from sealane.errors import InvalidArgument

MOMENT = 1_795_509_431_659_802_480


def test_stamps() -> None:
    assert times.stamp(MOMENT) == "2026-11-24T08:37:11.65980248Z"
    assert times.stamp(1_795_509_430_000_000_000) == "2026-11-24T08:37:10Z"
    assert times.stamp(0) == "0001-01-01T00:00:00Z"
    assert times.fixed_stamp(MOMENT) == "2026-11-24T08:37:11.659802480Z"
    assert times.whole_stamp(MOMENT) == "2026-11-24T08:37:11Z"


@given(st.integers(1, 4_000_000_000 * 10**9))
def test_a_stamp_is_read_back_exactly(moment: int) -> None:
    assert times.parse_stamp(times.stamp(moment)) == moment
    assert times.parse_stamp(times.fixed_stamp(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", 0),
        ("0", 0),
        ("1700000000", 1_700_000_000 * 10**9),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("1700000000.000000001", 1_700_000_000_000_000_001),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * 10**9),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000 * 10**9),
    ],
)
def test_since_and_until(text: str, moment: int) -> None:
    assert times.parse_unix(text, "since") == moment


@pytest.mark.parametrize("text", ["x", "1.2.3", "10m", "99999999999999999", "2023-13-01T00:00:00Z", "1٣"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match="since"):
        times.parse_unix(text, "since")


def test_until_of_a_prune_may_be_an_age() -> None:
    assert times.parse_moment("10m", MOMENT) == MOMENT - 600 * 10**9
    assert times.parse_moment("1h30m", MOMENT) == MOMENT - 5400 * 10**9
    assert times.parse_moment("1700000000", MOMENT) == 1_700_000_000 * 10**9
    with pytest.raises(InvalidArgument, match='failed to parse value as time or duration: "x"'):
        times.parse_moment("x", MOMENT)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60, "59 minutes"),
        (3600, "About an hour"),
        (3600 + 1800, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_ages(seconds: int, words: str) -> None:
    assert times.age(seconds * 10**9) == words
