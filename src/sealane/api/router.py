"""The table of routes: method, path and handler. Pure.

Path patterns are literal segments and ``{name}``, which stands for one segment; ``{name*}`` stands for one or more
(image names have slashes). Segments are compared before they are decoded, so an encoded slash stays inside its segment.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from sealane.api.backend import Engine
from sealane.api.errors import page_not_found
from sealane.api.http import Reply, Request
from sealane.api.versions import ApiVersion

Handler = Callable[[Engine, Request], Awaitable[Reply]]

_PARAMETER: Final = re.compile(r"\{(\w+)(\*?)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. ``refused`` says with what words a known feature is turned down, for the documentation."""

    method: str
    path: str
    handler: Handler
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a request's path leads to."""

    route: Route
    params: Mapping[str, str]
    version: ApiVersion


class Router:
    """Finds the route of a request. Built once from the whole table."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: Final = tuple(routes)
        self._by_start: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in self.routes:
            start = route.path.split("/")[1]
            self._by_start.setdefault((route.method, start), []).append((_compile(route.path), route))

    def find(self, method: str, path: str) -> Found:
        """The route for *path* as it was sent, with or without a version in front.

        A route answers at every version that is served, also below the one that brought it, as in Docker.
        Raises NotFound when there is none, and InvalidArgument for a version that is not served.
        """
        segment, slash, rest = path[1:].partition("/")
        versioned = bool(slash) and re.match(r"^v[0-9.]+$", segment) is not None
        route, params = self._match(method, "/" + rest if versioned else path)
        version = (ApiVersion.of_segment(segment) if versioned else None) or ApiVersion.newest()
        return Found(route, params, version)

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        start = path[1:].partition("/")[0]
        for pattern, route in self._by_start.get((method, start), ()):
            if found := pattern.match(path):
                return route, {name: _decode(text) for name, text in found.groupdict().items()}
        raise page_not_found()


def _compile(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    for found in _PARAMETER.finditer(path):
        parts.append(re.escape(path[at : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})")
        at = found.end()
    parts.append(re.escape(path[at:]))
    return re.compile("".join(parts) + r"\Z")


def _decode(text: str) -> str:
    decoded = unquote(text, errors="replace")
    if "\0" in decoded:
        raise page_not_found()
    return decoded
