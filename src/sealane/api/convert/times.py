"""Times as Docker writes and reads them. Inside they are nanoseconds since the epoch (UTC), 0 for never. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from sealane.errors import InvalidArgument

NEVER: Final = "0001-01-01T00:00:00Z"
EPOCH: Final = "1970-01-01T00:00:00Z"
SECOND: Final = 1_000_000_000
_UNIX: Final = re.compile(r"^(-?[0-9]{1,12})(?:\.([0-9]{1,9}))?$")
_STAMP: Final = re.compile(
    r"^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?$", re.ASCII
)
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
#: Up to this many seconds, in words: the unit in seconds, and its name. After go-units, which clients show as it is.
_AGES: Final = (
    (48 * 3600, 3600, "hours"),
    (14 * 86400, 86400, "days"),
    (60 * 86400, 7 * 86400, "weeks"),
    (730 * 86400, 30 * 86400, "months"),
)


def stamp(time_ns: int) -> str:
    """RFC 3339 with as many decimals as needed: ``2026-11-24T08:37:11.65980248Z``."""
    if not time_ns:
        return NEVER
    return _text(time_ns).rstrip("0").rstrip(".") + "Z"


def fixed_stamp(time_ns: int) -> str:
    """RFC 3339 with nine decimals, as ``logs`` writes it."""
    return _text(time_ns) + "Z"


def whole_stamp(time_ns: int) -> str:
    """RFC 3339 without decimals."""
    return _text(time_ns).partition(".")[0] + "Z" if time_ns else NEVER


def _text(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, SECOND)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{rest:09d}"  # strftime does not pad years


def parse_unix(text: str, name: str) -> int:
    """``since`` and ``until``: seconds since the epoch, with a fraction if wanted. "" is 0. Raises InvalidArgument."""
    if not text:
        return 0
    found = _UNIX.fullmatch(text)
    if found is not None:
        return int(found[1]) * SECOND + int((found[2] or "").ljust(9, "0"))
    moment = parse_stamp(text)
    if moment is None:
        raise InvalidArgument(f'invalid value for {name}: "{text}" is not a time')
    return moment


def parse_moment(text: str, now_ns: int) -> int:
    """``until`` of a prune: a time, or how long ago (``10m``, ``1h30m``). Raises InvalidArgument."""
    found = _UNIX.fullmatch(text)
    if found is not None:
        return int(found[1]) * SECOND + int((found[2] or "").ljust(9, "0"))
    moment = parse_stamp(text)
    if moment is not None:
        return moment
    length = parse_duration(text)
    if length is None:
        raise InvalidArgument(f'failed to parse value as time or duration: "{text}"')
    return now_ns - length


def parse_duration(text: str) -> int | None:
    """Go's durations (``1h30m``, ``2.5s``) in nanoseconds; None for anything else."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text or len(text) > 64:
        return None
    return sum(int(float(number) * _UNITS[unit]) for number, unit in parts)


def parse_stamp(text: str) -> int | None:
    """RFC 3339, also without time of day or zone (then UTC), in nanoseconds; None for anything else."""
    found = _STAMP.match(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(group or 0) for group in found.groups()[:6])
    zone = found[8] if found[8] and found[8] != "Z" else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND + int((found[7] or "").ljust(9, "0"))


def age(length_ns: int) -> str:
    """A length of time in Docker's words: ``About a minute``, ``3 hours``."""
    seconds = max(length_ns, 0) // SECOND
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if seconds < 120:
        return "About a minute"
    if seconds < 3600:
        return f"{seconds // 60} minutes"
    rounded = (seconds + 1800) // 3600 * 3600  # hours are rounded, not cut
    if rounded == 3600:
        return "About an hour"
    for limit, unit, name in _AGES:
        if rounded < limit:
            return f"{rounded // unit} {name}"
    return f"{seconds // (365 * 86400)} years"
