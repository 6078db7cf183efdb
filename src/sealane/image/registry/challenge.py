"""``WWW-Authenticate`` (RFC 9110 §11.6.1), as registries use it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_SCHEME: Final = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9-]*)(?:\s+|$)")
_PARAMETER: Final = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_LENGTH_MAX: Final = 8192


@dataclass(frozen=True, slots=True)
class Challenge:
    """``scheme`` and the names of parameters are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge of the header's lines; what cannot be read is left out."""
    return tuple(challenge for header in headers for challenge in _parse(header[:_LENGTH_MAX]))


def _parse(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    at = 0
    while (scheme := _SCHEME.match(text, at)) is not None:
        at = scheme.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(text, at)) is not None:
            at = parameter.end()
            quoted, plain = parameter.group(2), parameter.group(3)
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            parameters.setdefault(parameter.group(1).lower(), value)
        found.append(Challenge(scheme.group(1).lower(), parameters))
    return found
