"""Reading JSON into Structs as leniently as Go's decoder, and no more. Pure.

Go leaves a field alone when its JSON value is ``null``, compares field names without regard to case, and gives map and
list entries of ``null`` the type's zero value. msgspec is strict, which is what we want for everything else: a wrong
type is refused with the name of the field. So the decoded JSON is brought into the form that msgspec expects, guided by
the type, and then converted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

from sealane.errors import InvalidArgument

T = TypeVar("T")
#: None stands for "as it is".
Shaper = Callable[[Any], Any] | None

#: Nesting beyond this is nobody's request; msgspec itself goes far deeper.
MAX_DEPTH: Final = 100


def decode(raw: bytes, kind: type[T]) -> T:
    """Read *raw* as a *kind*. Raises InvalidArgument with Docker's beginning (``invalid JSON: …``)."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidArgument(_syntax_problem(str(error))) from None
    if value is None:
        value = {}
    try:
        shape = _shaper(cast(Hashable, kind))
        shaped = value if shape is None else shape(value)
        converted = msgspec.convert(shaped, kind)
        if b"\\u0000" in raw:  # JSON has no other way to write it
            _refuse_nul(shaped, "")
        return converted
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidArgument(f"invalid JSON: {_type_problem(str(error))}") from None


def _syntax_problem(text: str) -> str:
    if "trailing characters" in text:
        return "unexpected content after JSON"
    if "truncated" in text:
        return "invalid JSON: unexpected EOF"
    return f"invalid JSON: {text.removeprefix('JSON is malformed: ')}"


def _type_problem(text: str) -> str:
    """``Expected `int`, got `str` - at `$.Memory` `` becomes ``Memory: expected int, got str``."""
    problem, _, place = text.partition(" - at ")
    problem = problem.replace("`", "")
    where = place.replace("`", "").removeprefix("$").removeprefix(".")
    lowered = problem[:1].lower() + problem[1:]
    return f"{where}: {lowered}" if where else lowered


@functools.cache
def _shaper(kind: Any) -> Shaper:
    return _build(inspect.type_info(kind))


def _build(info: inspect.Type) -> Shaper:
    """The function that brings decoded JSON into the form of the type *info*."""
    match info:
        case inspect.StructType():
            return _struct(info)
        case inspect.DictType():
            return _map(info)
        case inspect.ListType():
            return _list(info)
        case inspect.UnionType():
            return _union(info)
    return None


def _refuse_nul(value: Any, place: str) -> None:
    """No name, path or word of ours can hold a NUL. Raises InvalidArgument naming the *place*."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, place)
            _refuse_nul(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item, place)
    elif isinstance(value, str) and "\0" in value:
        raise InvalidArgument(f"invalid JSON: {place}: it contains a NUL character")


def _struct(info: inspect.StructType) -> Shaper:
    fields = {field.encode_name: (field.encode_name, _build(field.type)) for field in info.fields}
    fields |= {name.lower(): known for name, known in fields.items()}

    def shape(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        shaped: dict[str, Any] = {}
        for key, item in value.items():
            if item is None:
                continue
            known = fields.get(key) or fields.get(key.lower())
            if known is not None:
                name, inner = known
                shaped[name] = item if inner is None else inner(item)
        return shaped

    return shape


def _map(info: inspect.DictType) -> Shaper:
    inner, zero = _build(info.value_type), _zero(info.value_type)

    def shape(value: Any) -> Any:
        if not isinstance(value, dict) or not value:
            return value
        return {key: zero() if item is None else inner(item) if inner else item for key, item in value.items()}

    return shape


def _list(info: inspect.ListType) -> Shaper:
    inner, zero = _build(info.item_type), _zero(info.item_type)

    def shape(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            return value
        return [zero() if item is None else inner(item) if inner else item for item in value]

    return shape


def _union(info: inspect.UnionType) -> Shaper:
    """Every union of ours is ``X | None``, or text or a list of texts."""
    shapers = {_python_type(member): inner for member in info.types if (inner := _build(member)) is not None}
    if not shapers:
        return None

    def shape(value: Any) -> Any:
        inner = shapers.get(type(value))
        return inner(value) if inner is not None else value

    return shape


def _python_type(info: inspect.Type) -> type | None:
    if isinstance(info, inspect.StructType | inspect.DictType):
        return dict
    if isinstance(info, inspect.ListType):
        return list
    return str if isinstance(info, inspect.StrType) else None


def _zero(info: inspect.Type) -> Callable[[], Any]:
    """What Go makes of ``null`` where an entry of this type is expected."""
    if isinstance(info, inspect.UnionType) and info.includes_none:
        return lambda: None
    if isinstance(info, inspect.StructType | inspect.DictType):
        return dict
    if isinstance(info, inspect.ListType):
        return list
    if isinstance(info, inspect.BoolType):
        return bool
    return int if isinstance(info, inspect.IntType) else str
