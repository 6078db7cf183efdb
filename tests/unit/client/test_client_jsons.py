"""JSON by the C halves alone, held against the json module."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.client.engine import split_objects
from sealane.client.jsons import dumps, loads, pretty

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_encoding_and_decoding_are_those_of_json(value: Any) -> None:
    assert dumps(value) == json.dumps(value, separators=(",", ":"))
    assert dumps(value, ascii=False) == json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert pretty(value) == json.dumps(value, indent=4, ensure_ascii=False)
    assert loads(json.dumps(value, indent=2)) == value
    assert loads(json.dumps(value).encode()) == value


def outcome(decode: Callable[[str], Any], text: str) -> str:
    """What comes of it: the value or the complaint."""
    try:
        return repr(decode(text))
    except ValueError as error:
        return f"{type(error).__name__}: {error}"


@given(st.text(max_size=30) | st.text('[]{}",:0123456789.eE-+ tfnru\\', max_size=20))
def test_bad_texts_are_refused_as_json_refuses_them(text: str) -> None:
    assert outcome(loads, text) == outcome(json.loads, text)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        dumps({"a": b""})


@given(
    objects=st.lists(st.dictionaries(st.text(), SCALARS, max_size=3), max_size=5),
    between=st.sampled_from(["", "\n", "\r\n"]),
    size=st.integers(1, 50),
)
def test_objects_of_a_stream_come_out_one_by_one(objects: list[dict[str, Any]], between: str, size: int) -> None:
    text = "".join(json.dumps(item, ensure_ascii=False) + between for item in objects)
    data = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
    wanted = [json.loads(json.dumps(item, ensure_ascii=False).encode("utf-8", "replace")) for item in objects]

    found = list(split_objects(data[at : at + size] for at in range(0, len(data), size)))

    assert found == wanted
