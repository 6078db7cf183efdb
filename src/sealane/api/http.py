"""What passes between the HTTP connection and the routes: one request, and the three kinds of reply.

Handlers get a ``Request`` and return a ``Reply``; they never see the socket. Status numbers come from ``errors``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import msgspec

from sealane.api.errors import BodyTooLarge
from sealane.api.query import Query
from sealane.api.schema.decode import decode
from sealane.api.takeover import Conversation
from sealane.api.versions import ApiVersion
from sealane.errors import InvalidArgument

#: The longest JSON body that is read into memory, in bytes. Archives and images are streamed and have no limit.
MAX_JSON_BODY: Final = 16 * 1024 * 1024

T = TypeVar("T")
Header = tuple[str, str]

_encoder: Final = msgspec.json.Encoder(order="deterministic")


class Body(Protocol):
    """The body of one request, read once."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(slots=True)
class Request:
    """One request. ``path`` is as it was sent, ``params`` are decoded, header names are in lower case."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: Body
    version: ApiVersion = field(default_factory=ApiVersion.newest)
    params: Mapping[str, str] = field(default_factory=dict)
    now_ns: int = 0  # when it came

    @property
    def upgrade(self) -> bool:
        """The client asked for the connection with ``Upgrade`` (any protocol name, as Docker reads it)."""
        return "upgrade" in self.headers

    async def read(self, limit: int = MAX_JSON_BODY) -> bytes:
        """The whole body. Raises BodyTooLarge beyond *limit* bytes."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.body:
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge(f"request body is too large: the limit is {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def json(self, kind: type[T]) -> T:
        """The body as a *kind*; an empty one stands for ``{}``, as in Docker.

        Raises InvalidArgument for another media type and for anything that does not fit.
        """
        raw = await self.read()
        if not raw:
            return decode(b"{}", kind)
        self._require_json()
        return decode(raw, kind)

    def _require_json(self) -> None:
        media = self.headers.get("content-type")
        if media is None:  # Docker refuses this; nobody is served by that
            return
        kind = media.partition(";")[0].strip().lower()
        if not kind:
            raise InvalidArgument("malformed Content-Type header (): mime: no media type")
        if kind != "application/json":
            raise InvalidArgument(f"unsupported Content-Type header ({kind}): must be 'application/json'")


@dataclass(frozen=True, slots=True)
class Response:
    """A reply whose body is known. ``status`` 0 stands for the usual one of its kind (200, or 204 without a body)."""

    status: int
    body: bytes = b""
    media: str = ""
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """A reply whose body comes over time. Headers go out before the first chunk is asked for.

    *chunks* is closed (``aclose``) when the client goes away. ``raw`` errors inside it only end the connection.
    """

    chunks: AsyncIterator[bytes]
    media: str = "application/json"
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The connection leaves HTTP: after the head, *conversation* owns both directions until it returns."""

    conversation: Conversation
    media: str
    upgrade: bool


Reply = Response | Stream | TakeOver
App = Callable[[Request], Awaitable[Reply]]


def json_bytes(value: object) -> bytes:
    """*value* in Docker's JSON: maps sorted by key as Go does, and a newline at the end."""
    return _encoder.encode(value) + b"\n"


def json_reply(value: object, status: int = 200, headers: tuple[Header, ...] = ()) -> Response:
    """A reply with *value* as JSON."""
    return Response(status, json_bytes(value), "application/json", headers)


def empty(status: int = 204) -> Response:
    """A reply without a body."""
    return Response(status)
