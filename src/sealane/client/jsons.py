"""JSON for a process that lives 15 milliseconds: the C halves of the standard library's ``json``, without the rest.

Importing :mod:`json` costs 7 ms here, because it compiles regular expressions that only its Python halves use; a whole
``sealane ps`` takes 15. Where a later CPython gives ``_json`` another shape, ``json`` itself does the work.
Contract: :func:`loads` and :func:`dumps` do what those of :mod:`json` do with their defaults; unit tests hold them
against it. Source: CPython's Modules/_json.c.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.client.types import Json

_WHITE: Final = " \t\n\r"
_CONSTANTS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}


class _Rules:
    """What the C scanner asks its decoder for; the values of ``json.JSONDecoder()``."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = _CONSTANTS.__getitem__


def loads(text: str | bytes) -> Json:
    """Decode one value. Raises ValueError."""
    if isinstance(text, bytes):
        text = text.decode()
    bare = text.strip(_WHITE)
    try:
        value, end = _json.make_scanner(_Rules)(bare, 0)  # type: ignore[arg-type]  # asks for attributes only
    except (StopIteration, TypeError, AttributeError, ValueError):
        return _slow_loads(text)
    return value if end == len(bare) else _slow_loads(text)


def dumps(value: Json, *, ascii: bool = True) -> str:
    """Encode one value as compact JSON, other letters than ASCII escaped or as they are.

    Raises TypeError for what JSON cannot hold.
    """
    quote = _json.encode_basestring_ascii if ascii else _json.encode_basestring
    try:
        encode = _json.make_encoder(None, _refuse, quote, None, ":", ",", False, False, True)
    except TypeError:  # a Python whose encoder takes other arguments
        return _slow_dumps(value, ascii)
    return "".join(encode(value, 0))


def pretty(value: Json, margin: str = "") -> str:
    """Encode over several lines, indented by four blanks as ``inspect`` shows it; letters stay as they are."""
    inner = margin + "    "
    if isinstance(value, dict) and value:
        items = [f"{inner}{_json.encode_basestring(key)}: {pretty(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{margin}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + pretty(item, inner) for item in value) + f"\n{margin}]"
    return dumps(value, ascii=False)


def _refuse(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _slow_loads(text: str) -> Json:
    """Also the one that says what is wrong with a bad text, and where."""
    import json

    return json.loads(text)


def _slow_dumps(value: Json, ascii: bool) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=ascii)
