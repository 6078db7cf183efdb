"""Times as Docker writes them. Pure."""

from __future__ import annotations

import datetime

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def rfc3339_nano(time_ns: int) -> str:
    """UTC with nine digits and ``Z``; 0 is Go's zero time, which Docker shows for "never"."""
    if not time_ns:
        return "0001-01-01T00:00:00Z"
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def go_duration(length_ns: int) -> str:
    """A length of time as Go prints it: ``700ms``, ``1.5s``, ``1m30s``."""
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if length_ns < size * 1000:
            return f"{_decimal(length_ns, size)}{unit}" if length_ns else "0s"
    minutes, rest = divmod(length_ns, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    leading = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{leading}{_decimal(rest, 1_000_000_000)}s"


def _decimal(number: int, size: int) -> str:
    whole, rest = divmod(number, size)
    digits = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits and size > 1 else str(whole)
