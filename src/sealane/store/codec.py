"""Records to JSON and back, driven by their type hints.

``encode`` takes a frozen dataclass made of plain values, ``ipaddress`` objects, paths, enums, tuples and mappings;
``decode`` gives back an equal value of the named type. A field that the stored text lacks takes its default,
so a record written by an older version of Sealane can be read; an unknown field is ignored, so that going back
one version loses nothing but that field.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
import ipaddress
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, Union

import msgspec

from sealane.errors import Internal
from sealane.values import MacAddress

T = TypeVar("T")
_Reader = Callable[[Any], Any]

_ADDRESSES: tuple[type, ...] = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
_IP_READERS: tuple[tuple[str, _Reader], ...] = (
    ("Address", ipaddress.ip_address),
    ("Network", ipaddress.ip_network),
    ("Interface", ipaddress.ip_interface),
)


def encode(value: object) -> bytes:
    """Write *value* as JSON."""
    return msgspec.json.encode(value, enc_hook=_write_custom)


def _write_custom(value: object) -> object:
    if isinstance(value, (*_ADDRESSES, MacAddress, Path)):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(type(value).__name__)


def decode(text: bytes, kind: type[T]) -> T:
    """Read JSON that ``encode`` wrote for a value of type *kind*. Raises Internal when the text does not fit."""
    try:
        result = _reader(typing.cast(Any, kind))(msgspec.json.decode(text))
    except (ValueError, TypeError, KeyError, AttributeError, msgspec.MsgspecError) as error:
        raise Internal(f"cannot read a stored {kind.__name__}: {error}") from error
    return typing.cast(T, result)


@functools.cache
def _reader(hint: Any) -> _Reader:
    if isinstance(hint, typing.NewType):
        return _reader(hint.__supertype__)
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union_reader(typing.get_args(hint))
    if origin is tuple:
        return _tuple_reader(typing.get_args(hint))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_reader(*typing.get_args(hint))
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(typing.cast(type, hint))
    return _plain_reader(hint)


def _plain_reader(hint: Any) -> _Reader:
    if hint in (object, Any):
        return lambda value: value
    if hint is bytes:
        return base64.b64decode
    if hint in (str, int, float, bool, type(None)):
        return _checked(hint)
    if isinstance(hint, type) and (issubclass(hint, (enum.Enum, str, Path, MacAddress)) or hint in _ADDRESSES):
        return hint
    raise Internal(f"cannot store values of type {hint!r}")


def _checked(hint: type) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, hint):
            raise TypeError(f"{value!r} is not {hint.__name__}")
        return value

    return read


def _union_reader(members: tuple[Any, ...]) -> _Reader:
    """``X | None``, or a union of two address types, which the text itself tells apart."""
    optional = type(None) in members
    rest = tuple(member for member in members if member is not type(None))
    inner = _reader(rest[0]) if len(rest) == 1 else _address_union_reader(rest)
    return lambda value: None if value is None and optional else inner(value)


def _address_union_reader(members: tuple[Any, ...]) -> _Reader:
    for suffix, reader in _IP_READERS:
        if all(getattr(member, "__name__", "").endswith(suffix) for member in members):
            return reader
    raise Internal(f"cannot store a union of {members!r}")


def _tuple_reader(members: tuple[Any, ...]) -> _Reader:
    if len(members) == 2 and members[1] is Ellipsis:
        inner = _reader(members[0])
        return lambda value: tuple(inner(item) for item in _list(value))
    readers = tuple(_reader(member) for member in members)
    return lambda value: tuple(read(item) for read, item in zip(readers, _list(value), strict=True))


_list: Final = _checked(list)
_table: Final = _checked(dict)


def _mapping_reader(key: Any, item: Any) -> _Reader:
    read_key, read_item = _reader(key), _reader(item)
    return lambda value: {read_key(k): read_item(v) for k, v in _table(value).items()}


def _dataclass_reader(kind: type) -> _Reader:
    hints = typing.get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind) if field.init}

    def read(value: Any) -> Any:
        found = _table(value)
        return kind(**{name: reader(found[name]) for name, reader in readers.items() if name in found})

    return read
