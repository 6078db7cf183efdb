"""API versions: which are served, how a path names one, and what is said to a client that wants another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sealane.errors import InvalidArgument

_VERSION = re.compile(r"^v([0-9][0-9.]*)$")


@dataclass(frozen=True, slots=True, order=True)
class ApiVersion:
    """``1.44`` as two numbers, so that 1.9 comes before 1.24."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def newest(cls) -> ApiVersion:
        """What a path without a version means."""
        return MAXIMUM

    @classmethod
    def of_segment(cls, segment: str) -> ApiVersion | None:
        """Read the first segment of a path (``v1.44``); None when it is not a version.

        Raises InvalidArgument with Docker's text for a version that is not served.
        """
        found = _VERSION.match(segment)
        if found is None:
            return None
        text = found[1]
        numbers = [int(part[:6]) for part in text.split(".") if part] + [0]
        version = cls(numbers[0], numbers[1])
        if version > MAXIMUM:
            raise InvalidArgument(f"client version {text} is too new. Maximum supported API version is {MAXIMUM}")
        if version < MINIMUM:
            raise InvalidArgument(
                f"client version {text} is too old. Minimum supported API version is {MINIMUM},"
                " please upgrade your client to a newer version"
            )
        return version


MINIMUM: Final = ApiVersion(1, 24)
#: 1.48 is the first with EnableIPv4 and GwPriority, which the network core has.
MAXIMUM: Final = ApiVersion(1, 48)
