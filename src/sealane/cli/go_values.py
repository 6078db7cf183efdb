"""Go's view of values, for templates: which fields they have, how they print, which are true. Pure.

What templates get to see, besides texts and numbers:

    Row        one line of a listing; its fields are worked out when they are asked for
    GoStruct   a JSON object that stands for one of Docker's structures: an unknown field is an error
    GoMap      a JSON object that is a map in Docker, too: a missing key gives None, printed ``<no value>``
    GoList     a JSON list inside of these, whose items become GoStruct or GoMap in their turn
    NIL        a null pointer of Docker's, printed ``<nil>``; NilList and NilMap are null lists and maps
    dict       plain JSON, as ``inspect`` shows it when a template does not fit Docker's structures

Source: the documentation of Go's text/template and fmt packages, and of Docker's --format.
"""

from __future__ import annotations

from sealane.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Final

    from sealane.client.types import Json

#: Fields that are lists or maps in Docker; null there prints as an empty one.
_LISTS: Final = (
    "Aliases", "Args", "Binds", "CapAdd", "CapDrop", "Cmd", "DNSNames", "DeviceCgroupRules", "DeviceRequests",
    "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env", "ExecIDs", "ExtraHosts", "GroupAdd", "Layers",
    "Links", "MaskedPaths", "Mounts", "OnBuild", "ReadonlyPaths", "RepoDigests", "RepoTags", "SecurityOpt",
    "SecurityOptions", "Shell", "Ulimits", "VolumesFrom", "Warnings",
)  # fmt: skip
_MAPS: Final = (
    "Annotations", "Attributes", "Containers", "Data", "DriverOpts", "ExposedPorts", "Labels", "Networks",
    "Options", "PortBindings", "Ports", "Runtimes", "StorageOpt", "Sysctls", "Tmpfs", "Volumes",
)  # fmt: skip
#: Docker's structures spell some names unlike their JSON.
_SPELLED: Final = {
    "APIVersion": "ApiVersion", "CPUCount": "CpuCount", "CPUPercent": "CpuPercent", "CPUPeriod": "CpuPeriod",
    "CPUQuota": "CpuQuota", "CPURealtimePeriod": "CpuRealtimePeriod", "CPURealtimeRuntime": "CpuRealtimeRuntime",
    "CPUShares": "CpuShares", "DNS": "Dns", "DNSOptions": "DnsOptions", "DNSSearch": "DnsSearch", "HostIP": "HostIp",
    "ID": "Id", "NanoCPUs": "NanoCpus", "OSVersion": "OsVersion",
}  # fmt: skip
_ONLY_JSON: Final = frozenset(_SPELLED.values())
_MOUNT: Final = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")
_HTML: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))


class TemplateError(InvalidArgument):
    """The template is wrong, or does not fit what it was given."""


class Nil:
    """The type of NIL."""

    def __bool__(self) -> bool:
        return False


NIL: Final = Nil()


class NilList(list[object]):
    """A list that is null in the JSON."""


class NilMap(dict[str, object]):
    """A map that is null in the JSON."""


#: Fields that the JSON leaves out when they have no value, by what they then are.
_LEFT_OUT: Final[tuple[tuple[object, tuple[str, ...]], ...]] = (
    ("", (
        "Author", "Comment", "Container", "DockerVersion", "Driver", "Gateway", "HostnamePath", "IPRange",
        "MacAddress", "Name", "OsVersion", "Parent", "Propagation", "Source", "StopSignal", "Variant",
    )),
    (NilMap(), (
        "Annotations", "AuxAddress", "ExposedPorts", "Peers", "Services", "StorageOpt", "Sysctls", "Tmpfs",
        "Volumes",
    )),
    (NilList(), ("Mounts", "OnBuild", "Shell")),
    (NIL, (
        "ClusterVolume", "Health", "Healthcheck", "Init", "Node", "SizeRootFs", "SizeRw", "Status", "StopTimeout",
        "UsageData",
    )),
    (False, ("ArgsEscaped", "NetworkDisabled")),
)  # fmt: skip


class GoStruct(dict[str, object]):
    """A JSON object that stands for one of Docker's structures. ``kind`` is what messages call its type.

    ``exact``: only the names of Docker's structures count, not those of the JSON (``.ID`` and not ``.Id``).
    """

    def __init__(self, fields: Mapping[str, object], kind: str = "struct", *, exact: bool = False) -> None:
        super().__init__(fields)
        self.kind = kind
        self.exact = exact


class GoMap(dict[str, object]):
    """A JSON object that is a map in Docker."""

    exact: bool

    def __init__(self, items: Mapping[str, object], *, exact: bool) -> None:
        super().__init__(items)
        self.exact = exact


class GoList(list[object]):
    """A JSON list within Docker's structures."""

    def __init__(self, items: Iterable[object], *, exact: bool) -> None:
        super().__init__(items)
        self.exact = exact


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

    def wants(self, name: str) -> int:
        """How many arguments the method takes."""
        return wants(self._fields[name]) - 1

    def plain(self) -> dict[str, object]:
        """All fields as a dictionary, by name; methods that need an argument (``Label``) are left out."""
        return {name: self.value(name) for name in sorted(self._fields) if name != "Label"}


def wants(function: Callable[..., object]) -> int:
    """How many arguments a function must be given."""
    code, defaults = getattr(function, "__code__", None), getattr(function, "__defaults__", None) or ()
    return code.co_argcount - len(defaults) if code is not None else 1


def typed(name: str, value: object, *, exact: bool) -> object:
    """*value*, which stands under *name* in one of Docker's structures, as templates see it."""
    if value is None:
        return NilList() if name in _LISTS else NilMap() if name in _MAPS else NIL
    if isinstance(value, dict):
        is_map = name in _MAPS or (name == "Config" and "Image" not in value and "Cmd" not in value)
        return GoMap(value, exact=exact) if is_map else GoStruct(value, exact=exact)
    return GoList(value, exact=exact) if isinstance(value, list) else value


def child(container: object, value: object) -> object:
    """An item of a list or map, as templates see it."""
    if isinstance(container, GoMap):
        return NilList() if value is None else typed("", value, exact=container.exact)
    return typed("", value, exact=container.exact) if isinstance(container, GoList) else value


def missing(container: Mapping[str, object]) -> object:
    """What ``index`` gives for a key that a map lacks: the empty value of its type, guessed from its neighbours."""
    sample = next(iter(container.values()), "")
    if isinstance(container, GoMap) and not isinstance(sample, str):
        return NilList() if isinstance(sample, list) else NIL
    return "" if isinstance(sample, str) else None


def lookup(value: object, name: str, args: Sequence[object]) -> object:
    """The field *name* of *value*. Raises TemplateError when there is none."""
    if isinstance(value, Row):
        if value.has(name):
            try:
                return value.value(name, *args)
            except TypeError:
                wanted = value.wants(name)
                if wanted == len(args):
                    raise
                raise TemplateError(f"wrong number of args for {name}: want {wanted} got {len(args)}") from None
        raise TemplateError(f"can't evaluate field {name} in type {value.kind}")
    if isinstance(value, GoStruct):
        return _field(value, name)
    if isinstance(value, (GoMap, NilMap)):
        return child(value, value[name]) if name in value else None
    if isinstance(value, dict):
        if name not in value:
            raise TemplateError(f'map has no entry for key "{name}"')
        return value[name]
    if value is None:
        return None
    if isinstance(value, Nil):
        raise TemplateError(f"nil pointer evaluating interface {{}}.{name}")
    raise TemplateError(f"can't evaluate field {name} in type {go_type(value)}")


def _field(value: GoStruct, name: str) -> object:
    key = _SPELLED.get(name, name)
    if key in value and not (value.exact and name in _ONLY_JSON):
        return typed(key, value[key], exact=value.exact)
    if name in value and not value.exact:
        return typed(name, value[name], exact=False)
    if not value.exact:
        for key in value:
            if key.lower() == name.lower():
                return typed(key, value[key], exact=False)
    for empty, names in _LEFT_OUT:
        if name in names:
            return empty
    raise TemplateError(f"can't evaluate field {name} in type {value.kind}")


def to_json(value: object) -> str:
    """Compact JSON as Go writes it; rows are escaped for HTML, as Docker's listings are."""
    import json

    if isinstance(value, Row):
        text = to_json(value.plain())
        for plain, escaped in _HTML:
            text = text.replace(plain, escaped)
        return text
    if isinstance(value, (NilList, NilMap)):
        return "null"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_as_json)


def _as_json(value: object) -> object:
    if isinstance(value, Nil):
        return None
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def to_text(value: object, *, top: bool = True) -> str:
    """The value as ``%v`` prints it."""
    if value is None:
        return "<no value>" if top else "<nil>"
    if isinstance(value, Nil):
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(to_text(child(value, item), top=False) for item in value) + "]"
    if isinstance(value, GoStruct):
        return _struct_text(value)
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: str(item[0]))
        return "map[" + " ".join(f"{key}:{to_text(child(value, item), top=False)}" for key, item in items) + "]"
    if isinstance(value, Row):
        return to_text(value.plain())
    return str(value)


def _struct_text(value: GoStruct) -> str:
    names = _MOUNT if "Destination" in value and "RW" in value else tuple(value)
    fields = [typed(name, value[name], exact=True) if name in value else "" for name in names]
    return "{" + " ".join(to_text(field, top=False) for field in fields) + "}"


def truth(value: object) -> bool:
    """Whether Go's templates take the value as true: everything but the empty values."""
    return bool(value) or isinstance(value, (Row, GoStruct))


def go_type(value: object) -> str:
    """What Go calls the type of such a value, for messages."""
    if isinstance(value, (Row, GoStruct)):
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
