"""Signals as people write them: ``SIGTERM``, ``term``, ``15``, ``RTMIN+3``. Pure.

Which names there are is Docker's choice (moby/sys ``signal``): the real-time ones reach from RTMIN to RTMIN+15 and from
RTMAX-14 to RTMAX.
"""

from __future__ import annotations

import re
import signal
from typing import Final

from sealane.errors import InvalidArgument

_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")
_REAL_TIME: Final = re.compile(r"RTMIN(?:\+([1-9]|1[0-5]))?|RTMAX(?:-([1-9]|1[0-4]))?")


def parse_signal(text: str) -> int:
    """The signal's number. Raises InvalidArgument in Docker's words."""
    if _NUMBER.fullmatch(text):
        return _checked(int(text), text)
    name = text.upper().removeprefix("SIG")
    found = _REAL_TIME.fullmatch(name)
    if found is not None:
        after, before = (int(offset or 0) for offset in found.groups())
        return signal.SIGRTMIN + after if name.startswith("RTMIN") else signal.SIGRTMAX - before
    try:
        return signal.Signals[f"SIG{name}"]
    except KeyError:
        raise InvalidArgument(f"invalid signal: {text}") from None


def _checked(number: int, text: str) -> int:
    if number == 0:
        raise InvalidArgument(f"invalid signal: {text}")
    if not 1 <= number <= signal.SIGRTMAX:
        raise InvalidArgument(f"the linux daemon does not support signal {number}")
    return number
