"""Reading query parameters the way Docker reads them; a value that cannot be read is a 400 that names it. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from sealane.errors import InvalidArgument

_FALSE: Final = frozenset({"", "0", "no", "false", "none"})
_INTEGER: Final = re.compile(r"^[+-]?[0-9]{1,19}$")


class Query:
    """The decoded query string of one request. The first of several equal names counts, as in Go."""

    __slots__ = ("_values",)

    def __init__(self, raw: str = "") -> None:
        self._values: dict[str, list[str]] = {}
        if raw:
            for name, value in parse_qsl(raw, keep_blank_values=True):
                if "\0" in value:
                    raise InvalidArgument(f"invalid value for {name}: it contains a NUL character")
                self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """The value of *name*, or *default* when it is missing."""
        return self._values.get(name, [default])[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of *name*, in order."""
        return tuple(self._values.get(name, ()))

    def flag(self, name: str, default: bool = False) -> bool:
        """Docker's booleans: everything is true except the empty text, 0, no, false and none."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in _FALSE

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number. Without a *default* it must be there. Raises InvalidArgument."""
        value = self.text(name)
        if value == "" and default is not None:
            return default
        if not _INTEGER.fullmatch(value):
            raise InvalidArgument(f'invalid value for {name}: parsing "{value}": it should be a whole number')
        return int(value)
