"""Go's view of values, for templates: how they print, which are true, and the functions that templates may call. Pure.

Values are decoded JSON (None, bool, int, float, str, list, dict) and rows of a listing (:class:`Row`). Docker's own
structures are JSON objects here; those few that people print whole (a port binding) print as Go prints a structure.
Source: the documentation of Go's text/template and fmt packages, and of Docker's --format.
"""

from __future__ import annotations

import json

from sealane.cli.quoting import go_quote
from sealane.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

    from sealane.client.types import Json

#: JSON objects with exactly these keys are structures in Docker: they print as ``{value value}`` in this order.
_STRUCTURES: Final = (("HostIp", "HostPort"),)
_HTML: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))
_PYTHON_VERBS: Final = "dxXofeEgGc"


#: Fields that are lists or maps in Docker; null there prints as an empty one.
_LISTS: Final = frozenset(
    [
        "Aliases",
        "Args",
        "Binds",
        "CapAdd",
        "CapDrop",
        "Cmd",
        "DNSNames",
        "DeviceCgroupRules",
        "DeviceRequests",
        "Devices",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "Entrypoint",
        "Env",
        "ExecIDs",
        "ExtraHosts",
        "GroupAdd",
        "Links",
        "MaskedPaths",
        "Mounts",
        "OnBuild",
        "ReadonlyPaths",
        "RepoDigests",
        "RepoTags",
        "SecurityOpt",
        "Ulimits",
        "VolumesFrom",
    ]
)
_MAPS: Final = frozenset(
    ["Annotations", "Containers", "DriverOpts", "ExposedPorts", "Labels", "Options", "PortBindings", "Ports", "Volumes"]
)


class Struct(dict[str, object]):
    """A JSON object that stands for one of Docker's structures: a field that it lacks is an error, not ``<no value>``.

    ``kind`` is what messages call its type.
    """

    def __init__(self, kind: str, fields: Mapping[str, object]) -> None:
        super().__init__(fields)
        self.kind = kind


class NilList(list[object]):
    """A list that is null in the JSON."""


class NilMap(dict[str, object]):
    """A map that is null in the JSON."""


class TemplateError(InvalidArgument):
    """The template is wrong, or does not fit what it was given."""


class Row:
    """One line of a listing: named fields that are worked out when they are asked for.

    ``fields`` maps a name to a function of the source object (and of further arguments, for methods: ``.Label``).
    """

    __slots__ = ("_fields", "_source", "kind")

    def __init__(self, kind: str, fields: Mapping[str, Callable[..., object]], source: Json) -> None:
        self.kind = kind
        self._fields = fields
        self._source = source

    def has(self, name: str) -> bool:
        return name in self._fields

    def value(self, name: str, *args: object) -> object:
        return self._fields[name](self._source, *args)

    def plain(self) -> dict[str, object]:
        """All fields as a dictionary, by name; methods that need an argument (``Label``) are left out."""
        return {name: self.value(name) for name in sorted(self._fields) if name != "Label"}


def to_json(value: object) -> str:
    """Compact JSON as Go writes it; rows are escaped for HTML, as Docker's listings are."""
    if isinstance(value, Row):
        text = to_json(value.plain())
        for plain, escaped in _HTML:
            text = text.replace(plain, escaped)
        return text
    if isinstance(value, (NilList, NilMap)):
        return "null"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def to_text(value: object, *, top: bool = True) -> str:
    """The value as ``%v`` prints it."""
    if value is None:
        return "<no value>" if top else "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(to_text(item, top=False) for item in value) + "]"
    if isinstance(value, dict):
        for keys in _STRUCTURES:
            if value.keys() == set(keys):
                return "{" + " ".join(to_text(value[key], top=False) for key in keys) + "}"
        items = sorted(value.items(), key=lambda item: str(item[0]))
        return "map[" + " ".join(f"{key}:{to_text(item, top=False)}" for key, item in items) + "]"
    if isinstance(value, Row):
        return to_text(value.plain())
    return str(value)


def _float_text(value: float) -> str:
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def truth(value: object) -> bool:
    """Whether Go's templates take the value as true: everything but the empty values."""
    return bool(value) or isinstance(value, Row)


def _index(collection: object, *keys: object) -> object:
    for key in keys:
        if isinstance(collection, dict):
            if key in collection:
                collection = collection[key]
            else:  # a missing key gives the empty value of the map's type, which we can only guess from its neighbours
                collection = "" if all(isinstance(item, str) for item in collection.values()) else None
        elif isinstance(collection, (list, tuple, str)):
            if not isinstance(key, int) or not 0 <= key < len(collection):
                raise TemplateError(f"error calling index: index out of range: {to_text(key)}")
            collection = collection[key]
        elif collection is None:
            return ""
        else:
            raise TemplateError(f"error calling index: can't index item of type {go_type(collection)}")
    return collection


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, (str, list)) or not all(isinstance(bound, int) for bound in bounds) or len(bounds) > 2:
        raise TemplateError(f"error calling slice: can't slice item of type {go_type(value)}")
    start = bounds[0] if bounds else 0
    stop = bounds[1] if len(bounds) > 1 else len(value)
    if not isinstance(start, int) or not isinstance(stop, int) or not 0 <= start <= stop <= len(value):
        raise TemplateError("error calling slice: index out of range")
    return value[start:stop]


def _length(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, tuple, dict)):
        return len(value)
    raise TemplateError(f"error calling len: len of type {go_type(value)}")


def go_type(value: object) -> str:
    """What Go calls the type of such a value, for messages."""
    if isinstance(value, Row):
        return value.kind
    names = {
        bool: "bool",
        int: "int",
        float: "float64",
        str: "string",
        list: "[]interface {}",
        dict: "map[string]interface {}",
    }
    return names.get(type(value), "nil")


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


def _html(*values: object) -> str:
    import html

    return html.escape(_print(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _urlquery(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_print(*values))


FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "json": to_json,
    "join": _join,
    "split": lambda text, separator: str(text).split(str(separator)),
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
    "js": lambda *values: json.dumps(_print(*values))[1:-1],
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


def _typed_null(name: str) -> object:
    if name in _LISTS:
        return NilList()
    return NilMap() if name in _MAPS else None


def lookup(value: object, name: str, args: Sequence[object], *, strict: bool) -> object:
    """The field *name* of *value*. Raises TemplateError when there is none; *strict* also for a missing map key."""
    if isinstance(value, Row):
        if value.has(name):
            return value.value(name, *args)
        raise TemplateError(f"can't evaluate field {name} in type {value.kind}")
    if isinstance(value, dict):
        if name in value:
            return _typed_null(name) if value[name] is None else value[name]
        for key in value:  # Docker's structures spell some names unlike their JSON (ID and Id, HostIP and HostIp)
            if key.lower() == name.lower():
                return value[key]
        if isinstance(value, Struct):
            raise TemplateError(f"can't evaluate field {name} in type {value.kind}")
        if strict:
            raise TemplateError(f'map has no entry for key "{name}"')
        return None
    if value is None:
        if strict:
            raise TemplateError(f"nil pointer evaluating interface {{}}.{name}")
        return None
    raise TemplateError(f"can't evaluate field {name} in type {go_type(value)}")
