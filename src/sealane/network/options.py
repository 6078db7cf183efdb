"""Driver options of networks: from Docker's text keys to typed values, with Docker's error texts.

Unknown keys are kept with the network and mean nothing here, as in Docker. Booleans are read as Go's
``strconv.ParseBool`` reads them. Source: moby, ``drivers/bridge`` and ``drivers/macvlan``.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from sealane.errors import Internal, InvalidArgument
from sealane.network.spec import BridgeOptions, GatewayMode, MacvlanOptions, NetworkRequest
from sealane.values import IfName, IPAddress, NetworkId, short

BRIDGE: Final = "com.docker.network.bridge."
MTU: Final = "com.docker.network.driver.mtu"
IFACE_PREFIX: Final = "com.docker.network.container_iface_prefix"
HOST_IPV4: Final = "com.docker.network.host_ipv4"
HOST_IPV6: Final = "com.docker.network.host_ipv6"
ENABLE_IPV4: Final = "com.docker.network.enable_ipv4"
ENABLE_IPV6: Final = "com.docker.network.enable_ipv6"
ENDPOINT_IFNAME: Final = "com.docker.network.endpoint.ifname"
ENDPOINT_SYSCTLS: Final = "com.docker.network.endpoint.sysctls"

BRIDGE_PREFIX: Final = "sl-"
MACVLAN_MODES: Final = ("bridge", "private", "vepa", "passthru")
MAX_MTU: Final = 65535  # ETH_MAX_MTU in linux/if_ether.h

_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))


def parse_bool(text: str) -> bool | None:
    """What Go's ``strconv.ParseBool`` makes of *text*; None where that fails."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def families(request: NetworkRequest) -> tuple[bool, bool]:
    """Whether the network has IPv4 and IPv6: by the request's fields, else by driver options, else as Docker does."""
    chosen = []
    for asked, key, default in ((request.ipv4, ENABLE_IPV4, True), (request.ipv6, ENABLE_IPV6, False)):
        text = request.options.get(key)
        parsed = default if text is None else parse_bool(text)
        if parsed is None:
            raise InvalidArgument(f'driver-opt "{key}" is not a valid bool')
        chosen.append(parsed if asked is None else asked)
    return chosen[0], chosen[1]


def default_bridge_name(identifier: NetworkId) -> IfName:
    return IfName(BRIDGE_PREFIX + short(identifier))


def parse_bridge(options: Mapping[str, str], identifier: NetworkId) -> BridgeOptions:
    """The options of a bridge network. Raises InvalidArgument with Docker's text for the first bad one."""
    name = options.get(BRIDGE + "name", "")
    binding_key = BRIDGE + "host_binding_ipv4"
    trusted = options.get(BRIDGE + "trusted_host_interfaces", "")
    return BridgeOptions(
        bridge_name=IfName(name) if name else default_bridge_name(identifier),
        icc=_bool(options, BRIDGE + "enable_icc", True),
        masquerade=_bool(options, BRIDGE + "enable_ip_masquerade", True),
        host_binding=_address(options, binding_key, None),
        gateway_mode_ipv4=_mode(options, BRIDGE + "gateway_mode_ipv4"),
        gateway_mode_ipv6=_mode(options, BRIDGE + "gateway_mode_ipv6"),
        inhibit_ipv4=_bool(options, BRIDGE + "inhibit_ipv4", False),
        trusted_host_interfaces=tuple(IfName(part) for part in trusted.split(":") if part),
        host_ipv4=_ipv4(options, HOST_IPV4),
        host_ipv6=_ipv6(options, HOST_IPV6),
        mtu=_mtu(options),
        iface_prefix=_iface_prefix(options),
        default_bridge=_bool(options, BRIDGE + "default_bridge", False),
    )


def parse_macvlan(options: Mapping[str, str]) -> MacvlanOptions:
    """The options of a macvlan network; ``parent`` may be ``eth0.10``, which stands for a VLAN on eth0."""
    mode = options.get("macvlan_mode") or "bridge"
    if mode not in MACVLAN_MODES:
        raise InvalidArgument(
            f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default"
        )
    parent = options.get("parent", "")
    return MacvlanOptions(
        parent=IfName(parent) if parent else None,
        mode=mode,
        mtu=_mtu(options),
        iface_prefix=_iface_prefix(options),
    )


def vlan_of(parent: IfName) -> tuple[IfName, int] | None:
    """``eth0.10`` → (eth0, 10); None for a name that does not end in a VLAN id of 1 to 4094."""
    base, dot, number = parent.rpartition(".")
    if not dot or not base or not number.isdecimal() or not 1 <= int(number) <= 4094:
        return None
    return IfName(base), int(number)


def check_modes(bridge: BridgeOptions, internal: bool) -> None:
    """Raises Internal (Docker answers 500 here) for the mode ``isolated`` on a network that is not internal."""
    isolated = GatewayMode.ISOLATED in (bridge.gateway_mode_ipv4, bridge.gateway_mode_ipv6)
    if isolated and not internal:
        raise Internal("gateway mode 'isolated' can only be used for an internal network")


def endpoint_sysctls(options: Mapping[str, str], ifname: IfName) -> tuple[tuple[str, str], ...]:
    """The sysctls asked for one endpoint, with the word IFNAME replaced. Raises InvalidArgument naming a bad entry."""
    text = options.get(ENDPOINT_SYSCTLS, "")
    settled = []
    for entry in (part.strip() for part in text.split(",") if part.strip()):
        key, equals, value = entry.partition("=")
        parts = key.split(".")
        if not equals or len(parts) < 5 or parts[0] != "net" or parts[3] != "IFNAME":
            raise InvalidArgument(
                f"unrecognised network interface sysctl '{entry}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        if parts[1] not in ("ipv4", "ipv6", "mpls"):
            raise InvalidArgument(
                f"unrecognised network interface sysctl '{entry}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        settled.append((".".join((*parts[:3], ifname.replace(".", "/"), *parts[4:])), value))
    return tuple(settled)


def _bool(options: Mapping[str, str], key: str, default: bool) -> bool:
    text = options.get(key)
    if text is None:
        return default
    parsed = parse_bool(text)
    if parsed is None:
        raise InvalidArgument(
            f'failed to parse {key} value: {text} (strconv.ParseBool: parsing "{text}": invalid syntax)'
        )
    return parsed


def _mode(options: Mapping[str, str], key: str) -> GatewayMode:
    text = options.get(key, "")
    try:
        return GatewayMode(text or "nat")
    except ValueError:
        raise InvalidArgument(f"failed to parse {key} value: {text} (unknown gateway mode {text})") from None


def _iface_prefix(options: Mapping[str, str]) -> str:
    prefix = options.get(IFACE_PREFIX) or "eth"
    IfName(f"{prefix}0")  # refused now rather than when the first container starts
    return prefix


def _mtu(options: Mapping[str, str]) -> int | None:
    text = options.get(MTU)
    if text is None:
        return None
    digits = text.removeprefix("-").removeprefix("+")
    if not digits.isdecimal() or not digits.isascii():
        raise InvalidArgument(f'failed to parse {MTU} value: {text} (strconv.Atoi: parsing "{text}": invalid syntax)')
    number = int(text)
    if not 0 <= number <= MAX_MTU:
        raise InvalidArgument(f"invalid MTU number: {number}")
    return number or None


def _address(options: Mapping[str, str], key: str, default: IPAddress | None) -> IPAddress | None:
    text = options.get(key, "")
    if not text:
        return default
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidArgument(f"failed to parse {key} value: {text} (nil ip)") from None


def _ipv4(options: Mapping[str, str], key: str) -> IPv4Address | None:
    address = _address(options, key, None)
    if address is not None and not isinstance(address, IPv4Address):
        raise InvalidArgument(f"failed to parse {key} value: {address} (it should be an IPv4 address)")
    return address


def _ipv6(options: Mapping[str, str], key: str) -> IPv6Address | None:
    address = _address(options, key, None)
    if address is not None and not isinstance(address, IPv6Address):
        raise InvalidArgument(f"failed to parse {key} value: {address} (it should be an IPv6 address)")
    return address
