from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.api.detach import DEFAULT, DetachFilter, parse_detach_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", DEFAULT),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("CTRL-A", b"\x01"),
        ("a,b", b"ab"),
        ("ctrl-@", b"\x00"),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x1b\x1c\x1d\x1e\x1f"),
        ("DEL", b"\x7f"),
    ],
)
def test_keys_are_read_as_docker_reads_them(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-", "ctrl-1", "a,,b", "ctrl-p ctrl-q", "ä"])
def test_bad_keys_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^" + text.replace("-", r"\-") + "$"):
        parse_detach_keys(text)


def test_the_sequence_detaches_and_is_not_passed_on() -> None:
    filter_ = DetachFilter(DEFAULT)
    assert filter_.feed(b"ls\n") == (b"ls\n", False)
    assert filter_.feed(b"x\x10") == (b"x", False)
    assert filter_.feed(b"\x11rest") == (b"", True)


def test_a_broken_off_sequence_is_passed_on() -> None:
    filter_ = DetachFilter(DEFAULT)
    assert filter_.feed(b"\x10") == (b"", False)
    assert filter_.feed(b"\x10x") == (b"\x10\x10x", False)
    assert filter_.feed(b"\x10") == (b"", False)
    assert filter_.flush() == b"\x10"


def test_a_sequence_that_begins_like_its_own_middle_is_found() -> None:
    assert DetachFilter(b"aab").feed(b"aaab") == (b"a", True)


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=3), st.lists(st.integers(0, 40), max_size=4))
def test_it_does_what_a_search_in_the_whole_text_does(data: bytes, keys: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    filter_ = DetachFilter(keys)
    passed = b""
    for start, end in pairwise(edges):
        more, detached = filter_.feed(data[start:end])
        passed += more
        if detached:
            assert passed == data[: data.find(keys)]
            return
    assert keys not in data
    assert passed + filter_.flush() == data
