"""Records to JSON and back: every record of the engine, whatever it holds."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealane.engine.model import Event
from sealane.engine.records import ContainerLive, ContainerRecord, VolumeRecord
from sealane.errors import Internal
from sealane.network.spec import NetworkSpec
from sealane.store.codec import decode, encode
from sealane.values import ContainerPort, IfName, MacAddress

TEXT = st.text(max_size=12)
INTERFACES4 = st.builds(lambda a, n: IPv4Interface((a, n)), st.ip_addresses(v=4), st.integers(0, 32))
INTERFACES6 = st.builds(lambda a, n: IPv6Interface((a, n)), st.ip_addresses(v=6), st.integers(0, 128))
VALUES: Mapping[type, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    bytes: st.binary(max_size=12),
    Path: st.builds(Path, TEXT.map(lambda text: "/" + text)),
    MacAddress: st.binary(min_size=6, max_size=6).map(MacAddress),
    IfName: st.text("abcz019.-_é", min_size=1, max_size=7).filter(lambda name: name not in (".", "..")).map(IfName),
    ContainerPort: st.builds(ContainerPort, st.integers(1, 65535)),
    IPv4Address: st.ip_addresses(v=4),
    IPv6Address: st.ip_addresses(v=6),
    IPv4Interface: INTERFACES4,
    IPv6Interface: INTERFACES6,
    IPv4Network: INTERFACES4.map(lambda interface: interface.network),
    IPv6Network: INTERFACES6.map(lambda interface: interface.network),
}


def resolve(thing: Any) -> st.SearchStrategy[Any]:
    """A strategy for every type that a record is made of."""
    if thing in VALUES:
        return VALUES[thing]
    if dataclasses.is_dataclass(thing):
        hints = typing.get_type_hints(thing)
        names = [item.name for item in dataclasses.fields(thing) if item.init]
        return st.fixed_dictionaries({name: of_hint(hints[name]) for name in names}).map(lambda given: thing(**given))
    return st.from_type(thing)


def of_hint(hint: Any) -> st.SearchStrategy[Any]:
    hint = getattr(hint, "__supertype__", hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(st.deferred(lambda: of_hint(arguments[0])), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of_hint, arguments))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(of_hint(arguments[0]), of_hint(arguments[1]), max_size=2)
    if origin is not None:
        return st.one_of([st.none() if each is type(None) else of_hint(each) for each in arguments])
    return resolve(hint)


RECORDS = (ContainerRecord, ContainerLive, VolumeRecord, NetworkSpec, Event)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_comes_back_as_it_was(kind: type) -> None:
    @settings(max_examples=25, deadline=None)
    @given(resolve(kind))
    def round_trip(value: object) -> None:
        assert decode(encode(value), kind) == value

    round_trip()


NOWHERE = IPv4Address(0)


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    number: int = 5


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    colour: Colour = Colour.RED
    inner: Inner | None = None
    pairs: tuple[tuple[str, int], ...] = ()
    table: Mapping[str, Inner] = field(default_factory=dict)
    address: IPv4Address | IPv6Address = NOWHERE


def test_it_is_plain_json() -> None:
    sample = Sample("x", inner=Inner(), pairs=(("a", 1),), table={"k": Inner(2)}, address=IPv6Address("fd00::1"))

    assert msgspec.json.decode(encode(sample)) == {
        "name": "x",
        "colour": "red",
        "inner": {"number": 5},
        "pairs": [["a", 1]],
        "table": {"k": {"number": 2}},
        "address": "fd00::1",
    }


def test_an_older_record_has_the_defaults_of_what_it_lacks() -> None:
    assert decode(b'{"name":"x"}', Sample) == Sample("x")


def test_a_newer_record_loses_only_what_is_not_known() -> None:
    assert decode(b'{"name":"x","weight":7,"inner":{"number":1,"letter":"a"}}', Sample) == Sample("x", inner=Inner(1))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",  # the name has no default
        b'{"name":5}',
        b'{"name":"x","colour":"green"}',
        b'{"name":"x","inner":[1]}',
        b'{"name":"x","inner":{"number":"5"}}',
        b'{"name":"x","pairs":[["a"]]}',
        b'{"name":"x","pairs":["a1"]}',
        b'{"name":"x","pairs":[["a",1,2]]}',
        b'{"name":"x","table":[]}',
        b'{"name":"x","address":"nowhere"}',
        b'{"name":"x"',
    ],
)
def test_what_does_not_fit_is_refused_by_kind(text: bytes) -> None:
    with pytest.raises(Internal, match=r"^cannot read a stored Sample: "):
        decode(text, Sample)


def test_a_type_that_cannot_be_stored_is_an_error_of_ours() -> None:
    @dataclass(frozen=True)
    class Bad:
        call: Callable[[], None]

    with pytest.raises(Internal, match="cannot store"):
        decode(b'{"call":1}', Bad)
    with pytest.raises((TypeError, NotImplementedError)):
        encode(Bad(print))
