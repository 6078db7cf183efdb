"""The ``filters`` parameter: a JSON map from names to lists of values, and the ways in which values match. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from sealane.api.convert.times import parse_moment
from sealane.errors import InvalidArgument

_TRUE: Final = ("1", "true", "True", "TRUE", "t", "T")
_FALSE: Final = ("0", "false", "False", "FALSE", "f", "F")
#: A pattern is compared with names and ids; nobody needs longer ones, and some take very long to fail.
_MAX_PATTERN: Final = 256

_Sent = dict[str, list[str] | dict[str, bool]]


class Filters:
    """What a client wants to see. An absent name matches everything."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = values

    @classmethod
    def decode(cls, text: str, accepted: Iterable[str] | None = None) -> Filters:
        """Read the parameter, also in the form of old clients (``{"name": {"value": true}}``).

        Raises InvalidArgument for another form, and for a name that is not among *accepted*.
        """
        if not text:
            return cls({})
        try:
            sent = msgspec.json.decode(text.encode(), type=_Sent | None) or {}
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            raise InvalidArgument("invalid filter") from None
        values = {
            name: tuple(item) if isinstance(item, list) else tuple(key for key, wanted in item.items() if wanted)
            for name, item in sent.items()
        }
        if accepted is not None:
            known = set(accepted)
            for name in values:
                if name not in known:
                    raise InvalidArgument(f"invalid filter '{name}'")
        return cls({name: item for name, item in values.items() if item})

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> tuple[str, ...]:
        return self._values.get(name, ())

    def any(self, name: str, matches: Callable[[str], bool]) -> bool:
        """True without the filter, or when one of its values *matches*."""
        return name not in self._values or any(matches(value) for value in self._values[name])

    def exact(self, name: str, *subjects: str) -> bool:
        """One of the values is one of the *subjects*."""
        return self.any(name, lambda value: value in subjects)

    def prefix(self, name: str, *subjects: str) -> bool:
        """One of the values is the beginning of one of the *subjects*."""
        return self.any(name, lambda value: any(subject.startswith(value) for subject in subjects))

    def pattern(self, name: str, *subjects: str) -> bool:
        """One of the values is, or as a regular expression is found in, one of the *subjects*."""
        return self.any(name, lambda value: value in subjects or _found(value, subjects))

    def labels(self, present: Mapping[str, str], name: str = "label") -> bool:
        """Every ``key`` or ``key=value`` is there."""
        return all(has_label(present, wanted) for wanted in self.get(name))

    def without_labels(self, present: Mapping[str, str]) -> bool:
        """None of the labels of ``label!`` is there."""
        return not any(has_label(present, unwanted) for unwanted in self.get("label!"))

    def flag(self, name: str) -> bool | None:
        """A filter that is true or false; None without it. Raises InvalidArgument."""
        values = self.get(name)
        if not values:
            return None
        if all(value in _TRUE for value in values):
            return True
        if all(value in _FALSE for value in values):
            return False
        raise InvalidArgument(f"invalid filter '{name}=[{' '.join(values)}]'")

    def until(self, now_ns: int) -> int | None:
        """The time that ``until`` names, in nanoseconds; None without it. Raises InvalidArgument."""
        values = self.get("until")
        if len(values) > 1:
            raise InvalidArgument("more than one until filter specified")
        return parse_moment(values[0], now_ns) if values else None


def has_label(present: Mapping[str, str], wanted: str) -> bool:
    """*wanted* is ``key`` or ``key=value``."""
    key, equals, value = wanted.partition("=")
    return key in present and (not equals or present[key] == value)


def _found(pattern: str, subjects: Iterable[str]) -> bool:
    """An expression that cannot be read matches nothing, as in Docker."""
    if len(pattern) > _MAX_PATTERN:
        return False
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return any(compiled.search(subject) for subject in subjects)
