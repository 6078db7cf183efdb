"""The functions that templates may call: Go's own and Docker's. Pure.

Source: the documentation of Go's text/template package, and of Docker's --format.
"""

from __future__ import annotations

from sealane.cli.go_values import Nil, TemplateError, child, go_type, missing, to_json, to_text, truth
from sealane.cli.quoting import go_quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from sealane.client.types import Json

_PYTHON_VERBS: Final = "dxXofeEgGc"


def _index(collection: object, *keys: object) -> object:
    for key in keys:
        if isinstance(collection, dict):
            collection = child(collection, collection[key]) if key in collection else missing(collection)
        elif isinstance(collection, (list, tuple, str)):
            items = collection.encode() if isinstance(collection, str) else collection
            if not isinstance(key, int) or not 0 <= key < len(items):
                raise TemplateError(f"error calling index: index out of range: {to_text(key)}")
            collection = child(collection, items[key])
        elif collection is None or isinstance(collection, Nil):
            raise TemplateError("error calling index: index of untyped nil")
        else:
            raise TemplateError(f"error calling index: can't index item of type {go_type(collection)}")
    return collection


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, (str, list)) or not all(isinstance(bound, int) for bound in bounds) or len(bounds) > 2:
        raise TemplateError(f"error calling slice: can't slice item of type {go_type(value)}")
    items = value.encode() if isinstance(value, str) else value
    start = bounds[0] if bounds else 0
    stop = bounds[1] if len(bounds) > 1 else len(items)
    if not isinstance(start, int) or not isinstance(stop, int) or not 0 <= start <= len(items):
        raise TemplateError(f"error calling slice: index out of range: {to_text(start)}")
    if not start <= stop <= len(items):
        raise TemplateError(f"error calling slice: index out of range: {to_text(stop)}")
    cut = items[start:stop]
    return cut.decode("utf-8", "replace") if isinstance(cut, bytes) else cut


def _length(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, tuple, dict)):
        return len(value)
    raise TemplateError(f"error calling len: len of type {go_type(value)}")


def _print(*values: object) -> str:
    out = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            out += " "
        out += to_text(value, top=False)
    return out


def _println(*values: object) -> str:
    return " ".join(to_text(value, top=False) for value in values) + "\n"


def _printf(form: object, *values: object) -> str:
    """Go's Printf for the verbs that make sense here: v s q d x X o f e g t c T and %%, with flags and widths."""
    import re

    left = list(values)

    def one(match: re.Match[str]) -> str:
        flags, verb = match.group(1), match.group(2)
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        return _format_one(flags, verb, left.pop(0))

    text = re.sub(r"%([-+# 0]*\d*(?:\.\d+)?)([a-zA-Z%])", one, str(form))
    if left:
        text += "%!(EXTRA " + ", ".join(f"{go_type(value)}={to_text(value, top=False)}" for value in left) + ")"
    return text


def _format_one(flags: str, verb: str, value: object) -> str:
    if verb in "vst" or (verb in "xX" and isinstance(value, str)):
        if verb in "xX":
            text = str(value).encode().hex()
            return text.upper() if verb == "X" else text
        if verb == "s" and isinstance(value, (int, float)) and not isinstance(value, bool):
            return f"%!s({go_type(value)}={to_text(value)})"
        return f"%{flags}s" % to_text(value, top=False)
    if verb == "q":
        return f"%{flags}s" % go_quote(to_text(value, top=False))
    if verb == "T":
        return go_type(value)
    if verb in _PYTHON_VERBS and isinstance(value, (int, float)):
        try:
            return f"%{flags}{verb}" % value
        except (TypeError, ValueError):
            pass
    return f"%!{verb}({go_type(value)}={to_text(value, top=False)})"


def _equal(first: object, *others: object) -> bool:
    if not others:
        raise TemplateError("error calling eq: missing argument for comparison")
    return any(first == other and isinstance(first, bool) == isinstance(other, bool) for other in others)


def _compare(name: str, decide: Callable[[Json, Json], bool]) -> Callable[..., object]:
    def compare(first: object, second: object) -> bool:
        numbers = isinstance(first, (int, float)) and isinstance(second, (int, float))
        if not numbers and not (isinstance(first, str) and isinstance(second, str)):
            raise TemplateError(f"error calling {name}: incompatible types for comparison")
        return decide(first, second)

    return compare


def _title(text: object) -> str:
    out, start = [], True
    for letter in str(text):
        out.append(letter.upper() if start else letter)
        start = not (letter.isalnum() or letter == "_" or letter == "'")
    return "".join(out)


def _truncate(text: object, width: object) -> str:
    return str(text)[: int(str(width))]


def _pad(text: object, before: object, after: object) -> str:
    return " " * int(str(before)) + str(text) + " " * int(str(after)) if text else ""


def _join(items: object, separator: object = "") -> str:
    if items is None:
        return ""
    if not isinstance(items, (list, tuple)):
        raise TemplateError(f"error calling join: can't join {go_type(items)}")
    return str(separator).join(to_text(item, top=False) for item in items)


def _split(text: object, separator: object) -> list[object]:
    return list(str(text)) if separator == "" else [*str(text).split(str(separator))]


def _js(*values: object) -> str:
    """Text for a JavaScript string: the marks that end it, or that begin something in HTML, are escaped."""
    out = ""
    for letter in _print(*values):
        if letter in "\\'\"":
            out += "\\" + letter
        elif letter in "<>&=" or letter < " ":
            out += f"\\u{ord(letter):04X}"
        else:
            out += letter
    return out


def _html(*values: object) -> str:
    import html

    return html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _urlquery(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_print(*values))


FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "json": to_json,
    "join": _join,
    "split": _split,
    "lower": lambda text: str(text).lower(),
    "upper": lambda text: str(text).upper(),
    "title": _title,
    "pad": _pad,
    "truncate": _truncate,
    "index": _index,
    "slice": _slice,
    "len": _length,
    "print": _print,
    "println": _println,
    "printf": _printf,
    "html": _html,
    "js": _js,
    "urlquery": _urlquery,
    "not": lambda value: not truth(value),
    "eq": _equal,
    "ne": lambda first, second: not _equal(first, second),
    "lt": _compare("lt", lambda first, second: bool(first < second)),
    "le": _compare("le", lambda first, second: bool(first <= second)),
    "gt": _compare("gt", lambda first, second: bool(first > second)),
    "ge": _compare("ge", lambda first, second: bool(first >= second)),
}
#: ``and`` and ``or`` stop at the first value that decides; the evaluator knows them by name.
LAZY_FUNCTIONS: Final = ("and", "or")

#: While a table's headings are made, the functions that change a text leave it as it is.
HEADING_FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    **FUNCTIONS,
    **dict.fromkeys(("json", "join", "split", "lower", "upper", "title", "pad", "truncate"), lambda text, *rest: text),
}
