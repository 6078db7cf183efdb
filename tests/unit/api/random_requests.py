"""Random requests for every route of the table: plausible ones, and ones with anything at all in any place.

Used against the fake engine here, and against a real one in the compat tier.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from sealane.api.routes import build_router
from sealane.api.schema.base import Wire
from sealane.api.schema.container import CreateBody, UpdateBody
from sealane.api.schema.exec import ExecCreate, ExecStart
from sealane.api.schema.image import RegistryAuth
from sealane.api.schema.network import NetworkConnect, NetworkCreate, NetworkDisconnect
from sealane.api.schema.volume import VolumeCreate

#: What each route reads from its body.
BODIES: Final[Mapping[str, type[Wire]]] = {
    "/containers/create": CreateBody,
    "/containers/{id}/update": UpdateBody,
    "/containers/{id}/exec": ExecCreate,
    "/exec/{id}/start": ExecStart,
    "/networks/create": NetworkCreate,
    "/networks/{id}/connect": NetworkConnect,
    "/networks/{id}/disconnect": NetworkDisconnect,
    "/sealane/networks/dry-run": NetworkCreate,
    "/volumes/create": VolumeCreate,
    "/auth": RegistryAuth,
}
IMAGE: Final = "centos:7.6.1810"
#: Names of objects that exist, or did before some request removed them.
KNOWN: Final = ("box", IMAGE, "bridge", "net", "vol")
#: These answer 503 by design: there is no swarm.
SWARM: Final = ("swarm", "services", "nodes", "secrets", "configs", "tasks")
_QUERY: Final = (
    *("all", "limit", "size", "filters", "name", "platform", "detachKeys", "t", "signal", "h", "w", "ps_args"),
    *("force", "v", "link", "stream", "one-shot", "stdin", "stdout", "stderr", "logs", "since", "until", "tail"),
    *("timestamps", "condition", "path", "noOverwriteDirNonDir", "copyUIDGID", "fromImage", "fromSrc", "tag", "repo"),
    *("changes", "message", "noprune", "names", "verbose", "scope", "type", "dry-run", "digests", "filter"),
)
_FILTERS: Final = (
    *("name", "id", "label", "label!", "status", "exited", "network", "volume", "publish", "expose", "health"),
    *("ancestor", "before", "since", "until", "dangling", "driver", "scope", "type", "event", "reference", "is-task"),
)
#: No address that belongs to somebody, and no name that a registry could be asked for.
_WORDS: Final = (
    *("", "0", "1", "true", "false", "-1", "x", "80/tcp", "8080", "70000", "host", "none", "bridge", "container:x"),
    *("SIGTERM", "CAP_NET_RAW", "ALL", "/tmp", "/", "..", "a:b", "10.9.0.0/24", "10.9.0.1", "fd00:9::/64", "::1"),
    *("02:42:ac:11:00:02", "local", "json-file", "no", "always", "CMD", "1h", "ctrl-p", "not-running", "removed"),
)
#: What a request must hold to get beyond the first check.
_NEEDED: Final[Mapping[type[Wire], dict[str, Any]]] = {
    CreateBody: {"Image": IMAGE, "Cmd": ["true"]},
    NetworkCreate: {"Name": "net"},
    NetworkConnect: {"Container": "box"},
    NetworkDisconnect: {"Container": "box"},
    ExecCreate: {"Cmd": ["true"]},
}
words = st.sampled_from(_WORDS) | st.text(max_size=8)
numbers = st.integers(-3, 100) | st.sampled_from((2**31, -(2**63), 2**63 - 1, 2**63, 2**64, 10**30))
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    pattern: str
    path: str
    body: bytes | None
    headers: tuple[tuple[str, str], ...] = ()

    def raw(self) -> bytes:
        """The request as bytes; the connection is asked to close."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: engine", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join((*lines, "", "")).encode() + (self.body or b"")


def answer(path: Path, ask: Ask, timeout_s: float = 10) -> tuple[int, bytes]:
    """Status and body of an answer; of one without an end (events, attach) only the status."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_s)
        client.connect(str(path))
        client.sendall(ask.raw())
        received = b""
        while b"\r\n\r\n" not in received:
            received += (piece := client.recv(65536))
            assert piece, f"the connection was cut: {ask}"
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        while len(body) < length and ask.method != "HEAD":
            body += (piece := client.recv(65536))
            assert piece, f"the reply was cut: {ask}"
        return int(lines[0].split()[1]), body if length else b""


def check(ask: Ask, status: int, body: bytes) -> None:
    """No failure of the engine, and every refusal says why."""
    assert status < 500 or status in (501, 503), (ask, status, body)
    assert status != 503 or ask.pattern.split("/")[1] in SWARM, (ask, status, body)
    if status >= 400 and ask.method != "HEAD":
        message = json.loads(body)
        assert list(message) == ["message"], (ask, body)
        assert message["message"], ask


def bodies(kind: type[Wire], known: Sequence[str]) -> st.SearchStrategy[Any]:
    """Bodies for *kind*: fields of the right type mostly, one of them replaced by anything sometimes."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    fitting = _struct(info, words | st.sampled_from(known))
    names = st.sampled_from([field.encode_name for field in info.fields])
    whole = fitting.map(lambda body: {**_NEEDED.get(kind, {}), **body})
    broken = st.builds(lambda body, name, value: {**body, name: value}, whole, names, anything)
    return st.just(_NEEDED.get(kind, {})) | whole | whole | fitting | broken | broken | anything


def _struct(info: inspect.StructType, texts: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    kinds = {field.encode_name: field.type for field in info.fields}
    few = st.lists(st.sampled_from(sorted(kinds)), max_size=4, unique=True)
    return few.flatmap(lambda names: st.fixed_dictionaries({name: _values(kinds[name], texts) for name in names}))


def _values(info: inspect.Type, texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Values that fit *info*."""
    match info:
        case inspect.StructType():
            return _struct(info, texts)
        case inspect.DictType():
            return st.dictionaries(texts, _values(info.value_type, texts), max_size=2)
        case inspect.ListType():
            return st.lists(_values(info.item_type, texts), max_size=2)
        case inspect.UnionType():
            return st.one_of([_values(member, texts) for member in info.types])
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return numbers
        case inspect.StrType():
            return texts
    return st.none()


def queries(known: Sequence[str]) -> st.SearchStrategy[str]:
    """Query strings, well formed or not."""
    texts = words | st.sampled_from(known) | st.integers().map(str)
    filters = st.dictionaries(st.sampled_from(_FILTERS) | words, st.lists(texts, max_size=2), max_size=2)
    pairs = st.dictionaries(st.sampled_from(_QUERY), texts, max_size=4)
    with_filters = st.builds(lambda pairs, some: {**pairs, "filters": json.dumps(some)}, pairs, filters | anything)
    return (
        st.just("")
        | (pairs | with_filters).map(urlencode)
        | st.text("%&=+;/?ab01\xe9", max_size=12).map(lambda text: quote(text, safe="%&=+;/?"))
    )


def requests(known: Sequence[str] = KNOWN) -> st.SearchStrategy[Ask]:
    """Requests for every route; *known* are names of objects that exist."""
    table = build_router().routes
    served = [(route.method, route.path) for route in table if not route.refused]
    refused = [(route.method, route.path) for route in table if route.refused]
    references = st.sampled_from(known) | st.sampled_from(known) | words.filter(bool)
    versions = st.sampled_from(("", "", "/v1.24", "/v1.41", "/v1.44", "/v1.48", "/v1.99", "/v0.1", "/v1", "/vv"))

    def build(route: tuple[str, str]) -> st.SearchStrategy[Ask]:
        method, pattern = route
        kind = BODIES.get(pattern)
        body = st.binary(max_size=20) if kind is None else bodies(kind, known).map(_dumped) | st.binary(max_size=20)
        wanted = method in ("POST", "PUT")
        return st.builds(
            lambda version, reference, query, sent: Ask(
                method, pattern, version + _filled(pattern, reference) + (f"?{query}" if query else ""), sent
            ),
            versions,
            references,
            queries(known),
            body if wanted else st.none(),
        )

    return st.sampled_from([*served * 9, *refused]).flatmap(build)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _filled(pattern: str, reference: str) -> str:
    for name in ("{id}", "{name}", "{name*}", "{rest*}"):
        pattern = pattern.replace(name, quote(reference, safe=""))
    return pattern


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body, however deep: where it is, what it may hold, and a body that holds *value* there."""

    kind: type[Wire]
    path: tuple[str, ...]
    info: inspect.Type

    def body(self, value: Any) -> Any:
        """A body with *value* in this place and nothing else."""
        for name in reversed(self.path):
            value = [value] if name == "[]" else {"key" if name == "{}" else name: value}
        return value

    def refuses(self, value: Any) -> bool:
        """*value* is of the wrong type for this place."""
        return value is not None and not _fits(self.info, value)


def fields() -> list[Field]:
    """Every field of every body."""
    return [
        Field(kind, path, info)
        for kind in dict.fromkeys(BODIES.values())
        for path, info in _places(inspect.type_info(kind), ())
    ]


def _places(info: inspect.Type, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], inspect.Type]]:
    found = [(path, info)] if path else []
    for inner in info.types if isinstance(info, inspect.UnionType) else (info,):
        if isinstance(inner, inspect.StructType):
            for field in inner.fields:
                found += _places(field.type, (*path, field.encode_name))
        elif isinstance(inner, inspect.ListType):
            found += _places(inner.item_type, (*path, "[]"))
        elif isinstance(inner, inspect.DictType):
            found += _places(inner.value_type, (*path, "{}"))
    return found


def _fits(info: inspect.Type, value: Any) -> bool:
    match info:
        case inspect.UnionType():
            return any(_fits(member, value) for member in info.types)
        case inspect.StructType() | inspect.DictType():
            return isinstance(value, dict)
        case inspect.ListType():
            return isinstance(value, list)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case inspect.StrType():
            return isinstance(value, str)
    return value is None or value is msgspec.UNSET
