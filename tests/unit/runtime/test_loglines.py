"""conmon's log → lines as Docker shows them, whatever lies in the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.runtime.loglines import PIECE, Assembler, LogLine, Parser, Part
from sealane.runtime.logtail import tail_start

NAMES = {1: b"stdout", 2: b"stderr"}
CONTENT = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b" "))
PARTS = st.lists(st.builds(Part, st.sampled_from([1, 2]), st.integers(1, 10**18), st.booleans(), CONTENT), max_size=60)


def stamp(time_ns: int, zone: timezone = UTC) -> bytes:
    """As conmon writes it."""
    moment = datetime.fromtimestamp(time_ns // 10**9, zone).isoformat()
    return f"{moment[:19]}.{time_ns % 10**9:09d}{moment[19:]}".encode()


def line(part: Part) -> bytes:
    return b"%s %s %s %s\n" % (stamp(part.time_ns), NAMES[part.stream], b"PF"[part.whole :][:1], part.data)


def assemble(parts: Sequence[Part]) -> list[LogLine]:
    assembler = Assembler()
    return [entry for part in parts for entry in assembler.add(part)] + list(assembler.rest())


def parse(text: bytes) -> list[Part]:
    parser = Parser()
    return [part for row in text.splitlines(keepends=False) if (part := parser.part(row)) is not None]


@given(PARTS)
def test_what_was_written_is_read(parts: list[Part]) -> None:
    parser = Parser()
    assert [parser.part(line(part)[:-1]) for part in parts] == parts


@given(st.integers(0, 4 * 10**18), st.integers(-14 * 60, 14 * 60))
def test_times_in_every_zone(time_ns: int, minutes: int) -> None:
    text = stamp(time_ns, timezone(timedelta(minutes=minutes)))
    assert Parser().part(text + b" stdout F x") == Part(1, time_ns, True, b"x")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"2024-05-01T10:00:00.123456789+00:00",
        b"2024-05-01T10:00:00.123456789+00:00 stdout F",
        b"2024-05-01T10:00:00.123456789+00:00 stdlog F x",
        b"2024-05-01T10:00:00.123456789+00:00 stdout X x",
        b"2024-05-01T10:00:00.123456789 stdout F x",
        b"2024-05-01T10:00:00.12345+00:00 stdout F x",
        b"2024-05-01T10:00:00,123456789+00:00 stdout F x",
        b"2024-13-01T10:00:00.123456789+00:00 stdout F x",
        b"2024-05-01T10:00:00.12345678\xb2+00:00 stdout F x",
        b"\xff\xfe\x00 stdout F x",
    ],
)
def test_what_is_no_line_is_passed_over(text: bytes) -> None:
    assert Parser().part(text) is None


@given(st.binary())
def test_garbage_does_no_harm(text: bytes) -> None:
    assemble(parse(text))


@given(PARTS)
def test_each_streams_bytes_come_out_in_their_order(parts: list[Part]) -> None:
    for stream in (1, 2):
        written = b"".join(part.data + b"\n" * part.whole for part in parts if part.stream == stream)
        assert b"".join(entry.data for entry in assemble(parts) if entry.stream == stream) == written


@given(PARTS)
def test_an_entry_is_a_line(parts: list[Part]) -> None:
    for entry in assemble(parts):
        assert entry.data.count(b"\n") <= 1
        assert b"\n" not in entry.data[:-1]


def test_a_line_has_the_time_of_its_end() -> None:
    parts = [Part(1, 10, False, b"a"), Part(2, 11, True, b"err"), Part(1, 12, True, b"b"), Part(1, 13, False, b"rest")]
    assert assemble(parts) == [LogLine(2, 11, b"err\n"), LogLine(1, 12, b"ab\n"), LogLine(1, 13, b"rest")]


@given(st.integers(0, 3 * PIECE), st.integers(1, 8192))
def test_long_lines_are_cut_where_docker_cuts_them(length: int, chunk: int) -> None:
    """All pieces have the time at which the first one was full."""
    data = b"z" * length
    parts = [Part(1, 100 + start, False, data[start : start + chunk]) for start in range(0, length, chunk)]
    entries = assemble([*parts, Part(1, 10**6, True, b"")])
    pieces = length // PIECE
    assert [len(entry.data) for entry in entries] == [PIECE] * pieces + [length % PIECE + 1]
    assert len({entry.time_ns for entry in entries}) == 1
    assert (entries[0].time_ns == 10**6) == (pieces == 0)


@given(PARTS, st.integers(0, 5) | st.integers(0, 70))
def test_the_tail_of_a_file_holds_its_last_entries(parts: list[Part], tail: int) -> None:
    content = b"".join(map(line, parts))
    start = offset_of_tail(content, tail)
    assert start == 0 or content[start - 1 : start] == b"\n"
    expected, found = assemble(parts), assemble(parse_rows(content[start:]))
    wanted = min(tail, len(expected))
    assert found[len(found) - wanted :] == expected[len(expected) - wanted :]


def parse_rows(content: bytes) -> list[Part]:
    parser = Parser()
    return [part for row in content.split(b"\n") if (part := parser.part(row)) is not None]


def offset_of_tail(content: bytes, tail: int) -> int:
    fd = os.memfd_create("log")
    try:
        os.write(fd, content)
        return tail_start(fd, tail)
    finally:
        os.close(fd)


def test_a_line_that_waits_for_its_end_is_among_the_last() -> None:
    """A prompt on one stream, and then much on the other."""
    parts = [Part(2, 1, False, b"prompt> "), *(Part(1, number, True, b"x") for number in range(2, 20))]
    content = b"".join(map(line, parts))
    assert assemble(parse_rows(content[offset_of_tail(content, 1) :]))[-1] == LogLine(2, 1, b"prompt> ")


@pytest.mark.parametrize("size", [1, 3000, 70_000])
def test_blocks_do_not_matter(size: int) -> None:
    """Lines that end, begin and lie across the borders of the blocks that are read."""
    parts = [Part(1, number, True, b"%d " % number + b"x" * (number % size)) for number in range(1, 300)]
    content = b"".join(map(line, parts))
    for tail in (0, 1, 100, 298, 299, 300):
        found = assemble(parse_rows(content[offset_of_tail(content, tail) :]))
        assert found[len(found) - min(tail, 299) :] == assemble(parts)[299 - min(tail, 299) :]


def test_the_search_does_not_read_the_whole_file(tmp_path: Path) -> None:
    """One line of the other stream, whose beginning is not found: the search gives up after 64 KiB."""
    content = b"".join(line(Part(1, number, True, b"x" * 100)) for number in range(1, 20_000))
    content += line(Part(2, 20_000, True, b"alone"))
    start = offset_of_tail(content, 1)
    assert len(content) - (1 << 18) < start < len(content)
    assert assemble(parse_rows(content[start:]))[-1] == LogLine(2, 20_000, b"alone\n")
