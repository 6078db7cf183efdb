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
