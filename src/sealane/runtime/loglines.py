"""The lines of conmon's k8s-file log → what Docker's clients see. Pure.

    2024-05-01T10:00:00.123456789+02:00 stdout P the beginning of a line
    2024-05-01T10:00:00.223456789+02:00 stdout F  and its end

conmon writes what one read(2) gave, so a P(artial) part is any piece without a newline. Docker shows whole lines, with
the time at which the line became whole; of a line longer than 16 KiB it makes pieces of 16 KiB, each an entry of its
own for ``tail``, all with the time of the first one, and only the last one ends with a newline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_STREAMS: Final = {b"stdout": 1, b"stderr": 2}
_SECONDS: Final = 19  # YYYY-MM-DDTHH:MM:SS
_BILLION: Final = 1_000_000_000
#: The length at which Docker cuts lines.
PIECE: Final = 16384


@dataclass(frozen=True, slots=True)
class LogLine:
    """``stream`` is 1 for stdout, 2 for stderr; ``time_ns`` since the epoch; ``data`` ends with a newline unless the
    line was cut or never ended.
    """

    stream: int
    time_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the file; ``whole`` when it ends a line."""

    stream: int
    time_ns: int
    whole: bool
    data: bytes


class Parser:
    """Lines of the file → parts. Remembers the last second: most lines share it with their neighbour."""

    __slots__ = ("_seconds", "_text")

    def __init__(self) -> None:
        self._text = b""
        self._seconds = 0

    def part(self, line: bytes) -> Part | None:
        """*line* without its newline; None when it is not one of conmon's (cut off by a full disk)."""
        words = line.split(b" ", 3)
        if len(words) != 4 or words[1] not in _STREAMS or words[2] not in (b"P", b"F"):
            return None
        time_ns = self._time_ns(words[0])
        return None if time_ns is None else Part(_STREAMS[words[1]], time_ns, words[2] == b"F", words[3])

    def _time_ns(self, text: bytes) -> int | None:
        fraction = text[_SECONDS + 1 : _SECONDS + 10]
        without = text[:_SECONDS] + text[_SECONDS + 10 :]
        if text[_SECONDS : _SECONDS + 1] != b"." or len(fraction) != 9 or not fraction.isdigit():
            return None
        if without != self._text:
            try:
                moment = datetime.fromisoformat(without.decode("ascii"))
            except ValueError:
                return None
            if moment.tzinfo is None:
                return None
            self._text, self._seconds = without, int(moment.timestamp())
        return self._seconds * _BILLION + int(fraction)


class _Open:
    """The line of one stream that is not whole yet. ``time_ns`` is that of its first piece, 0 while there is none."""

    __slots__ = ("data", "last_ns", "time_ns")

    def __init__(self) -> None:
        self.data = bytearray()
        self.time_ns = 0
        self.last_ns = 0


class Assembler:
    """Parts → entries, in the order in which they become whole."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open = {1: _Open(), 2: _Open()}

    def add(self, part: Part) -> Iterator[LogLine]:
        """The entries that *part* completes."""
        line = self._open[part.stream]
        line.data += part.data
        line.last_ns = part.time_ns
        while len(line.data) >= PIECE:
            line.time_ns = line.time_ns or part.time_ns
            yield LogLine(part.stream, line.time_ns, bytes(line.data[:PIECE]))
            del line.data[:PIECE]
        if part.whole:
            yield LogLine(part.stream, line.time_ns or part.time_ns, bytes(line.data) + b"\n")
            self._open[part.stream] = _Open()

    def rest(self) -> Iterator[LogLine]:
        """What is left when nothing more comes: lines that never ended."""
        for stream, line in self._open.items():
            if line.data:
                yield LogLine(stream, line.time_ns or line.last_ns, bytes(line.data))
                self._open[stream] = _Open()
