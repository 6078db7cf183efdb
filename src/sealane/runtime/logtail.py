"""Where in a large log its last entries begin, found from the end.

An entry counts where its line ends, and the parts of a line may lie apart, with the other stream's lines between them.
So the search goes on past the last entry that is wanted until no line of either stream lies across that place, but not
further than 64 KiB: a line whose parts are further apart than that is shown without its beginning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

_BLOCK: Final = 1 << 16
_LOOK_BACK: Final = 1 << 16


def tail_start(fd: int, tail: int) -> int:
    """An offset in the file *fd*, at the beginning of a line, behind which at least its last *tail* entries lie whole.

    Reads no more than that part of the file (see above). Raises OSError.
    """
    wanted = tail
    crossing = {b"stdout", b"stderr"}
    found_at = -1
    for offset, line in _backwards(fd, os.fstat(fd).st_size):
        words = line.split(b" ", 3)
        if len(words) != 4:
            continue
        ends = words[2] == b"F"
        if wanted:
            wanted -= ends
            found_at = offset
            continue
        if ends:
            crossing.discard(words[1])
        if not crossing or found_at - offset > _LOOK_BACK:
            return offset + len(line) + 1
    return 0


def _backwards(fd: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines before *end*, last one first, each with its offset and without its newline."""
    pending: list[bytes] = []  # the pieces of a line whose beginning has not been read, last one first
    while end > 0:
        start = max(0, end - _BLOCK)
        block = os.pread(fd, end - start, start)
        lines = block.split(b"\n")
        offset = start + len(block)
        for line in reversed(lines[1:]):
            offset -= len(line)
            pending.append(line)
            yield offset, b"".join(reversed(pending))
            pending.clear()
            offset -= 1
        pending.append(lines[0])
        end = start
    if pending:
        yield 0, b"".join(reversed(pending))
