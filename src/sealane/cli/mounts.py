"""``--volume``, ``--mount`` and ``--tmpfs`` as parts of the create request. Pure."""

from __future__ import annotations

import posixpath

from sealane.cli.units import parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from sealane.client.types import JsonObject

_TRUE: Final = ("1", "true", "True", "TRUE", "t", "T")
_FALSE: Final = ("0", "false", "False", "FALSE", "f", "F")
_NAMES: Final = {"src": "source", "dst": "target", "destination": "target"}
_BARE: Final = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive")


def volumes(specs: Iterable[str], cwd: str) -> tuple[list[str], JsonObject]:
    """(Binds, Volumes): what has a source is a bind or a named volume, ``-v /data`` alone is an anonymous volume.

    A source that begins with ``.`` is meant from *cwd*. Raises ValueError.
    """
    binds: list[str] = []
    anonymous: JsonObject = {}
    for spec in specs:
        source, colon, rest = spec.partition(":")
        if not spec:
            raise ValueError("invalid empty volume spec")
        if not colon:
            anonymous[spec] = {}
        elif not source or not rest:
            raise ValueError(f"invalid spec: {spec}: empty section between colons")
        else:
            if source.startswith("."):
                source = posixpath.normpath(posixpath.join(cwd, source))
            binds.append(f"{source}:{rest}")
    return binds, anonymous


def tmpfs(specs: Iterable[str]) -> dict[str, str]:
    """``/run:size=64m`` → ``{"/run": "size=64m"}``."""
    return {target: options for target, _, options in (spec.partition(":") for spec in specs)}


def mount(spec: str, cwd: str) -> JsonObject:
    """One ``--mount`` value as Docker's Mount object. Raises ValueError that names the wrong field."""
    if not spec:
        raise ValueError("EOF")
    made: JsonObject = {"Type": "volume", "Source": "", "Target": ""}
    for item in split_csv(spec):
        key, found, value = item.partition("=")
        key = key.lower()
        if not found and key not in _BARE:
            raise ValueError(f"invalid field '{item}' must be a key=value pair")
        _set_field(made, _NAMES.get(key, key), value if found else "true", item)
    _check(made, cwd)
    return made


def check_mount(spec: str) -> None:
    """Raise ValueError when the ``--mount`` value cannot be read."""
    mount(spec, "/")


def _set_field(made: JsonObject, key: str, value: str, item: str) -> None:
    if key == "type":
        made["Type"] = value.lower()
    elif key in ("source", "target"):
        made[key.capitalize()] = value
    elif key in ("readonly", "ro"):
        made["ReadOnly"] = _boolean(key, value)
    elif key == "consistency":
        made["Consistency"] = value.lower()
    elif key.startswith("bind-"):
        _set_bind(made.setdefault("BindOptions", {}), key, value, item)
    elif key.startswith("volume-"):
        _set_volume(made.setdefault("VolumeOptions", {}), key, value, item)
    elif key == "tmpfs-size":
        made.setdefault("TmpfsOptions", {})["SizeBytes"] = _sized(key, value)
    elif key == "tmpfs-mode":
        made.setdefault("TmpfsOptions", {})["Mode"] = _octal(key, value)
    elif key == "image-subpath":
        made.setdefault("ImageOptions", {})["Subpath"] = value
    else:
        raise ValueError(f"unexpected key '{key}' in '{item}'")


def _set_bind(options: JsonObject, key: str, value: str, item: str) -> None:
    if key == "bind-propagation":
        options["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        options["NonRecursive"] = _boolean(key, value)
    elif key == "bind-recursive":
        if value == "disabled":
            options["NonRecursive"] = True
        elif value == "writable":
            options["ReadOnlyNonRecursive"] = True
        elif value == "readonly":
            options["ReadOnlyForceRecursive"] = True
        elif value != "enabled":
            raise ValueError(
                f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")'
            )
    elif key == "bind-create-src":
        options["CreateMountpoint"] = _boolean(key, value)
    else:
        raise ValueError(f"unexpected key '{key}' in '{item}'")


def _set_volume(options: JsonObject, key: str, value: str, item: str) -> None:
    if key == "volume-nocopy":
        options["NoCopy"] = _boolean(key, value)
    elif key == "volume-subpath":
        options["Subpath"] = value
    elif key == "volume-label":
        name, _, text = value.partition("=")
        options.setdefault("Labels", {})[name] = text
    elif key == "volume-driver":
        options.setdefault("DriverConfig", {})["Name"] = value
    elif key == "volume-opt":
        name, _, text = value.partition("=")
        options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = text
    else:
        raise ValueError(f"unexpected key '{key}' in '{item}'")


def _check(made: JsonObject, cwd: str) -> None:
    kind = made["Type"]
    if not kind:
        raise ValueError("type is required")
    if not made["Target"]:
        raise ValueError("target is required")
    for options, owner in (
        ("BindOptions", "bind"),
        ("VolumeOptions", "volume"),
        ("TmpfsOptions", "tmpfs"),
        ("ImageOptions", "image"),
    ):
        if options in made and kind != owner:
            raise ValueError(f"cannot mix '{owner}-*' options with mount type '{kind}'")
    if made["Source"] == "." or made["Source"].startswith("./"):
        made["Source"] = posixpath.normpath(posixpath.join(cwd, made["Source"]))
    _check_recursion(made)


def _check_recursion(made: JsonObject) -> None:
    """Read-only in depth needs a read-only mount, and no propagation that would let others write below it."""
    options = made.get("BindOptions") or {}
    for field, word in (("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")):
        if options.get(field) and not made.get("ReadOnly"):
            raise ValueError(f"option 'bind-recursive={word}' requires 'readonly' to be specified in conjunction")
    if options.get("ReadOnlyForceRecursive") and options.get("Propagation") != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def split_csv(text: str) -> list[str]:
    """Split at commas; a field in double quotes may hold commas itself."""
    if '"' not in text:
        return text.split(",")
    import csv

    return next(iter(csv.reader([text], strict=True)), [])


def _boolean(key: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ValueError(f"invalid value for {key}: {value}")


def _sized(key: str, value: str) -> int:
    try:
        return parse_size(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _octal(key: str, value: str) -> int:
    try:
        return int(value, 8)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None
