"""The Engine API as verbs: versioned paths, JSON in and out, error replies as exceptions, streams, take-over.

Contract: :class:`EngineClient` keeps one idle connection and opens another when that one is busy (a wait, a stream).
The first call asks ``/_ping`` for the newest version that the engine speaks; the older of that and ours is used.
"""

from __future__ import annotations

from sealane.client.connection import Connection
from sealane.client.errors import ApiError
from sealane.client.jsons import dumps, loads
from sealane.client.wire import quote, render_target
from sealane.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Final

    from sealane.client.address import Address
    from sealane.client.connection import RawStream, Reply
    from sealane.client.types import Json, JsonObject

#: The newest version of the Engine API whose replies the commands know how to read.
API_VERSION: Final = "1.51"
_NO_QUERY: Final[Mapping[str, object]] = {}
_JSON: Final = {"Content-Type": "application/json"}


class EngineClient:
    """Talks to one engine. Not safe for use from several threads."""

    __slots__ = ("_agent", "_idle", "_version", "address")

    def __init__(self, address: Address, *, agent: str, version: str | None = None) -> None:
        self.address = address
        self._agent = agent
        self._version = version
        self._idle = Connection(address)

    @property
    def version(self) -> str:
        """The version that is spoken with this engine; asks the engine at the first call."""
        if self._version is None:
            reply = self._send("GET", "/_ping", {}, None)
            reply.read()
            self._version = _older(API_VERSION, reply.headers.get("api-version", API_VERSION))
        return self._version

    def at_least(self, version: str) -> bool:
        """Whether the spoken version is *version* or newer."""
        return _number(self.version) >= _number(version)

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] = _NO_QUERY,
        *,
        json_body: Json | None = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] = {},
        versioned: bool = True,
    ) -> Reply:
        """Send one request; raises ApiError for a status from 400 on, with the engine's message."""
        target = render_target(f"/v{self.version}{path}" if versioned else path, query)
        if json_body is not None:
            body, headers = dumps(json_body).encode(), {**_JSON, **headers}
        reply = self._send(method, target, headers, body)
        if reply.status >= 400:
            raise ApiError(reply.status, _message(reply))
        return reply

    def get(self, path: str, query: Mapping[str, object] = _NO_QUERY) -> Json:
        """The decoded JSON of a GET."""
        return loads(self.call("GET", path, query).read())

    def post(self, path: str, query: Mapping[str, object] = _NO_QUERY, json_body: Json | None = None) -> Json:
        """The decoded JSON of a POST; None when the reply is empty."""
        data = self.call("POST", path, query, json_body=json_body).read()
        return loads(data) if data.strip() else None

    def delete(self, path: str, query: Mapping[str, object] = _NO_QUERY) -> Json:
        data = self.call("DELETE", path, query).read()
        return loads(data) if data.strip() else None

    def objects(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] = _NO_QUERY,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] = {},
    ) -> Iterator[JsonObject]:
        """The JSON objects of a streamed reply (pull, load, events, stats), one by one as they come."""
        yield from split_objects(self.call(method, path, query, body=body, headers=headers).chunks())

    def take_over(self, path: str, query: Mapping[str, object] = _NO_QUERY, json_body: Json | None = None) -> RawStream:
        """POST and take the connection over as a raw two-way stream."""
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        reply = self.call("POST", path, query, json_body=json_body, headers=headers)
        if reply.status not in (101, 200):
            raise Internal(f"the engine did not hand over the stream: status {reply.status} {reply.reason}")
        return reply.take_over()

    def close(self) -> None:
        self._idle.close()

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None
    ) -> Reply:
        if not self._idle.idle:
            # The old connection lives on in the reply that is still being read from it.
            self._idle = Connection(self.address)
        return self._idle.request(method, target, {"User-Agent": self._agent, **headers}, body)


def split_objects(chunks: Iterable[bytes]) -> Iterator[JsonObject]:
    """Decode JSON objects that follow each other, separated by white space or by nothing, in pieces of any size."""
    import json

    decoder = json.JSONDecoder()
    held = b""
    text = ""
    for chunk in chunks:
        held += chunk
        # A piece may end inside of a UTF-8 character; only whole lines and closed objects are decoded.
        cut = max(held.rfind(b"\n"), held.rfind(b"}")) + 1
        text += held[:cut].decode("utf-8", "replace")
        held = held[cut:]
        while text := text.lstrip():
            try:
                value, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break
            text = text[end:]
            yield value


def path(*parts: str) -> str:
    """Join percent-encoded parts to a path: ``path("containers", name, "start")``. Slashes in a part are kept."""
    return "/" + "/".join(quote(part) for part in parts)


def filters_query(filters: Mapping[str, list[str]]) -> str | None:
    """Filters as the engine wants them, or None without any."""
    return dumps(filters) if filters else None


def _message(reply: Reply) -> str:
    data = reply.read()
    try:
        message = loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        text = data.decode("utf-8", "replace").strip()
        return text or f"request returned {reply.status} {reply.reason}"
    return str(message).rstrip()


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def _older(first: str, second: str) -> str:
    return first if _number(first) <= _number(second) else second
