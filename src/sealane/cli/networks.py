"""``--network`` and the options around it: the order of networks, and the endpoint of each. Pure.

The first network becomes HostConfig.NetworkMode; EndpointsConfig keeps the order in which networks were asked for, and
the engine numbers eth0, eth1 … by it.
"""

from __future__ import annotations

from sealane.cli.checks import mac_address
from sealane.cli.mounts import split_csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject

_PREDEFINED: Final = ("bridge", "host", "none", "default", "nat")


def user_defined(mode: str) -> bool:
    """Whether a network mode names a network that somebody created."""
    return bool(mode) and mode not in _PREDEFINED and not mode.startswith("container:")


def parse_network(spec: str) -> tuple[str, JsonObject]:
    """``my-net`` or ``name=my-net,alias=db,ip=…`` → (name, endpoint settings). Raises ValueError."""
    if not _is_long(spec):
        return spec, {}
    name = ""
    endpoint: JsonObject = {}
    for item in split_csv(spec):
        key, found, value = item.partition("=")
        if not found or not key:
            raise ValueError(f"invalid field {item}")
        key, value = key.strip().lower(), value.strip()
        if key == "name":
            name = value
        else:
            _set_field(endpoint, key, value)
    if not name:
        raise ValueError("network name/id is not specified")
    return name, endpoint


def _is_long(spec: str) -> bool:
    """Whether there is a ``key=value`` in it; anything else is a name, a strange one perhaps."""
    before, _, after = spec.partition("=")
    return bool(before and after) and all(letter.isalnum() or letter == "_" for letter in (before[-1], after[0]))


def _set_field(endpoint: JsonObject, key: str, value: str) -> None:
    if key == "alias":
        endpoint.setdefault("Aliases", []).append(value)
    elif key in ("ip", "ip6"):
        endpoint.setdefault("IPAMConfig", {})["IPv4Address" if key == "ip" else "IPv6Address"] = value
    elif key == "link-local-ip":
        endpoint.setdefault("IPAMConfig", {}).setdefault("LinkLocalIPs", []).append(value)
    elif key == "mac-address":
        endpoint["MacAddress"] = value
    elif key == "driver-opt":
        name, found, text = value.partition("=")
        if not found or not name:
            raise ValueError("invalid key value pair format in driver options")
        endpoint.setdefault("DriverOpts", {})[name.strip()] = text.strip()
    elif key == "gw-priority":
        endpoint["GwPriority"] = _whole(key, value)
    else:
        raise ValueError(f"invalid field key {key}")


def _whole(key: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"invalid {key} ({value}): invalid syntax") from None


def endpoints(args: Args) -> tuple[str, JsonObject]:
    """(NetworkMode, EndpointsConfig) from the options of run and create. Raises ValueError for contradictions."""
    asked = [parse_network(spec) for spec in args.many("network")]
    names = [name for name, _ in asked]
    mode = names[0] if names else "default"
    first = asked[0][1] if asked else {}
    _add_container_options(args, mode, first)
    for name, endpoint in asked:
        _check(name, endpoint)
    _check_several(names)
    result: JsonObject = {}
    for name, endpoint in asked or [(mode, first)]:
        # A lone network without any settings is left to the engine, as Docker's client does it.
        if len(names) > 1 or endpoint:
            result[name] = endpoint
    return mode, result


def _check(name: str, endpoint: JsonObject) -> None:
    if not name.strip():
        raise ValueError("no name set for network")
    if not user_defined(name):
        _refuse_aliases(endpoint)
    if "MacAddress" in endpoint:
        mac_address(endpoint["MacAddress"])


def _refuse_aliases(endpoint: JsonObject) -> None:
    if endpoint.get("Aliases"):
        raise ValueError("network-scoped aliases are only supported for user-defined networks")
    if endpoint.get("Links"):
        raise ValueError("links are only supported for user-defined networks")


def _check_several(names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            raise ValueError(f'network "{name}" is specified multiple times')
    if len({user_defined(name) for name in names}) > 1:
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")


def _add_container_options(args: Args, mode: str, endpoint: JsonObject) -> None:
    """Put the options that speak of no network (``--network-alias``, ``--ip``, ``--link``, …) into the first one."""
    if args.many("network-alias"):
        _refuse_both("Aliases" in endpoint, "--network-alias", "alias")
        endpoint["Aliases"] = args.many("network-alias")
    if not user_defined(mode):
        _refuse_aliases(endpoint)
    config: JsonObject = endpoint.get("IPAMConfig") or {}
    for option, key, words in (("ip", "IPv4Address", "IPv4 address"), ("ip6", "IPv6Address", "IPv6 address")):
        if args.text(option):
            _refuse_both(key in config, f"--{option}", words)
            endpoint.setdefault("IPAMConfig", config)[key] = args.text(option)
    if args.many("link-local-ip"):
        _refuse_both("LinkLocalIPs" in config, "--link-local-ip", "link-local IP addresses")
        endpoint.setdefault("IPAMConfig", config)["LinkLocalIPs"] = args.many("link-local-ip")
    if args.many("link") and user_defined(mode):
        endpoint["Links"] = args.many("link")
    if args.text("mac-address"):
        _refuse_both("MacAddress" in endpoint, "--mac-address", "MAC address")
        endpoint["MacAddress"] = args.text("mac-address")


def _refuse_both(conflict: bool, option: str, field: str) -> None:
    if conflict:
        raise ValueError(f"conflicting options: cannot specify both {option} and per-network {field}")
