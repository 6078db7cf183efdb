"""The directory: full id, then name, then a unique beginning of an id."""

from __future__ import annotations

import pytest

from sealane.engine.directory import Directory
from sealane.errors import InvalidArgument


@pytest.fixture
def directory() -> Directory[str]:
    made: Directory[str] = Directory()
    made.file("aaa1", "web", "first")
    made.file("aab2", "aaa1x", "second")
    return made


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("aaa1", "first"),
        ("web", "first"),
        ("aaa", "first"),
        ("aab", "second"),
        ("aaa1x", "second"),  # a name before a prefix
        ("", None),
        ("b", None),
        ("aaa12", None),
        ("we", None),  # names are not cut short
    ],
)
def test_what_a_reference_means(directory: Directory[str], reference: str, found: str | None) -> None:
    assert directory.find(reference) == found


def test_an_ambiguous_beginning_is_refused(directory: Directory[str]) -> None:
    with pytest.raises(InvalidArgument, match="multiple IDs found with provided prefix: aa"):
        directory.find("aa")


def test_a_name_that_looks_like_a_beginning_wins() -> None:
    directory: Directory[str] = Directory()
    directory.file("abc1", "x", "by id")
    directory.file("def2", "abc", "by name")

    assert directory.find("abc") == "by name"


def test_rename(directory: Directory[str]) -> None:
    directory.rename("aaa1", "db")

    assert directory.find("db") == "first"
    assert directory.named("web") is None


def test_names_may_be_exchanged(directory: Directory[str]) -> None:
    directory.rename("aaa1", "other")
    directory.rename("aab2", "web")
    directory.rename("aaa1", "aaa1x")

    assert (directory.named("web"), directory.named("aaa1x")) == ("second", "first")


def test_what_is_forgotten_is_found_by_nothing(directory: Directory[str]) -> None:
    directory.forget("aaa1")
    directory.forget("aaa1")

    assert [directory.find(reference) for reference in ("aaa1", "web", "aaa1x")] == [None, None, "second"]
    assert len(directory) == 1


def test_filing_again_replaces(directory: Directory[str]) -> None:
    directory.file("aaa1", "web2", "third")

    assert (directory.find("web"), directory.find("web2"), len(directory)) == (None, "third", 2)


def test_it_may_change_while_it_is_walked_through(directory: Directory[str]) -> None:
    for item in directory:
        directory.forget("aaa1")
        directory.file(f"c{item}", item, item)

    assert list(directory) == ["second", "first", "second"]
