"""Sizes, durations and times in the forms that Docker's commands read and print. Pure; the time now is an argument.

Sizes that people read have units of 1000 (``1.98MB``), memory has units of 1024 (``476KiB``), as in Docker. Sizes that
people write have units of 1024 (``512m``). Durations are Go's (``1h30m``).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_DECIMAL: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_POWERS: Final = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_NANOS: Final = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def human_size(size: float, digits: int = 3) -> str:
    """Bytes with units of 1000 and *digits* significant digits: ``1.98MB``."""
    return _scaled(size, 1000.0, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Bytes with units of 1024 and four significant digits: ``476KiB``."""
    return _scaled(size, 1024.0, _BINARY, 4)


def _scaled(size: float, base: float, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{_general(size, digits)}{units[step]}"


def _general(value: float, digits: int) -> str:
    """C's ``%.*g`` without an exponent for the values that sizes have."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text else text


def parse_size(text: str) -> int:
    """``512m``, ``1.5g``, ``64KiB`` or plain bytes → bytes. Raises ValueError saying what is wrong."""
    cut = len(text)
    while cut and not (text[cut - 1].isdigit() or text[cut - 1] == "."):
        cut -= 1
    digits, suffix = text[:cut].strip(), text[cut:].strip()
    try:
        value = float(digits)
    except ValueError:
        raise ValueError(f"invalid size: '{text}'") from None
    if value < 0:
        raise ValueError(f"invalid size: '{text}'")
    unit = suffix.lower()
    if unit not in ("", "b"):
        unit = unit.removesuffix("b").removesuffix("i") if len(unit) > 1 else unit
    if unit not in _POWERS:
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(value * 1024 ** _POWERS[unit])


def parse_signed_size(text: str) -> int:
    """Like :func:`parse_size`; ``-1`` means without limit."""
    return -1 if text == "-1" else parse_size(text)


def parse_duration(text: str) -> int:
    """A Go duration (``300ms``, ``1h30m``) → nanoseconds. Raises ValueError."""
    body = text.lstrip("+-")
    if body == "0":
        return 0
    if not body:
        raise ValueError(f'time: invalid duration "{text}"')
    total, at = 0.0, 0
    while at < len(body):
        start = at
        while at < len(body) and (body[at].isdigit() or body[at] == "."):
            at += 1
        digits, start = body[start:at], at
        while at < len(body) and not (body[at].isdigit() or body[at] == "."):
            at += 1
        unit = body[start:at]
        if not digits.strip("."):
            raise ValueError(f'time: invalid duration "{text}"')
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _NANOS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(digits) * _NANOS[unit]
    return -round(total) if text.startswith("-") else round(total)


def human_duration(seconds: float) -> str:
    """A length of time in words: ``About a minute``, ``3 weeks``."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < _MINUTE:
        return f"{whole} seconds"
    minutes = whole // _MINUTE
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / _HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / _HOUR) // 24 // 365} years"


def parse_time(text: str) -> float:
    """RFC 3339 with up to nanoseconds → seconds since the epoch; 0.0 for Docker's zero time."""
    if not text or text.startswith("0001-01-01"):
        return 0.0
    import datetime

    body, fraction = text, 0.0
    head, dot, tail = text.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        fraction = float(f"0.{tail[:digits] or '0'}")
        body = head + tail[digits:]
    moment = datetime.datetime.fromisoformat(body.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp() + fraction


def engine_timestamp(text: str, now: float) -> str:
    """What ``--since`` and ``--until`` take (a duration back from *now*, a date, epoch seconds) as epoch seconds."""
    if not text:
        return ""
    try:
        if text != "0":  # the beginning of time, not a duration
            return f"{now - parse_duration(text) / 1e9:.9f}"
    except ValueError:
        pass
    if text.replace(".", "", 1).isdigit():
        return text
    try:
        return f"{_parse_local(text):.9f}"
    except ValueError:
        raise ValueError(f'failed to parse value as time or duration: "{text}"') from None


def _parse_local(text: str) -> float:
    """A date with an optional time and zone; without a zone it is local time."""
    import datetime

    body = text.replace("Z", "+00:00")
    head, dot, tail = body.partition(".")
    if dot:  # fromisoformat takes six digits at most
        digits = len(tail) - len(tail.lstrip("0123456789"))
        body = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
    return datetime.datetime.fromisoformat(body).timestamp()


def local_stamp(seconds: float) -> str:
    """Epoch seconds as Go prints a local time: ``2026-11-24 08:47:28 +0000 UTC``."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))
