"""Signals as people write them: ``SIGTERM``, ``term``, ``15``. Pure."""

from __future__ import annotations

import signal

from sealane.errors import InvalidArgument


def parse_signal(text: str) -> int:
    """The signal's number. Raises InvalidArgument in Docker's words."""
    if text.isdecimal():
        number = int(text)
        if 1 <= number <= signal.SIGRTMAX:
            return number
        raise InvalidArgument(f"Invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    for base, start in (("RTMIN", signal.SIGRTMIN), ("RTMAX", signal.SIGRTMAX)):
        offset = name.removeprefix(base)
        if name.startswith(base) and (not offset or offset.lstrip("+-").isdecimal()):
            return start + int(offset or 0)
    try:
        return signal.Signals[f"SIG{name}"]
    except KeyError:
        raise InvalidArgument(f"Invalid signal: {text}") from None
