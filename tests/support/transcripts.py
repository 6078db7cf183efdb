"""What a command line printed, without what differs between two runs of one command: ids, ages, its own name."""

from __future__ import annotations

import re
from typing import Final

from support.running import Result

_AGE: Final = r"Less than a second|\d+ seconds?|About a minute|\d+ minutes?"
#: (what, what stands for it); blanks that fill a column up to the next one follow ages and shrink with them.
_CHANGING: Final = (
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (rf"\b(?:{_AGE})( ago)? *", r"AGE\1 "),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| [+-]\d{4} \w+)?", "TIME"),
    (r"(?m)^(CONTAINER ID|REPOSITORY|IMAGE) .*$", lambda found: " ".join(found.group().split())),
    (r"endpoint \w+ \(", "endpoint NAME ("),
)


def bare(result: Result) -> tuple[int, str, str]:
    """(exit code, output, errors), comparable with those of the other program."""
    return result.code, _bare(result.out), _bare(result.err)


def _bare(text: str) -> str:
    text = text.replace("docker", "sealane")
    text = text.replace("SRun '", "Run '")  # a slip of the pen in docker 28.2
    # Docker's `network rm` prints the error that carries its exit code, too.
    text = text.replace("\nexit status 1\n", "\n")
    for pattern, instead in _CHANGING:
        text = re.sub(pattern, instead, text)
    return text
