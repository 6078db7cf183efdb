"""Checks of what clients ask of networks, and the step from a checked request to a settled network.

Every problem of the address configuration is reported at once, with Docker's texts (moby, ``daemon/network.go``,
``validateIpamConfig``). Nothing here knows other networks or the host: overlaps are the business of ``ipam``.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Network, ip_address, ip_interface, ip_network

from sealane.errors import Forbidden, InvalidArgument, NotFound, Unsupported
from sealane.network import options as opts
from sealane.network.problems import joined
from sealane.network.spec import IpamRequest, NetworkRequest, NetworkSpec, Subnet
from sealane.values import IPAddress, IPInterface, NetworkId

DRIVERS = ("bridge", "host", "null", "macvlan")
_KNOWN_ELSEWHERE = ("ipvlan", "overlay")
_LINK_LOCAL = IPv6Network("fe80::/64")


def validate_network(request: NetworkRequest) -> None:
    """Check everything that can be checked without looking at other networks. Raises with Docker's text and status."""
    if not request.name.strip():
        raise InvalidArgument("invalid name: name is empty")
    ipv4, ipv6 = opts.families(request)
    if request.config_only:
        _check_config_only(request)
    else:
        _check_scope(request)
        _check_driver(request, ipv4, ipv6)
    if request.config_from and request.ipam:
        raise Forbidden(
            "user-specified configurations are not supported if the network depends on a configuration network"
        )
    if request.config_from and request.options:
        raise Forbidden("network driver options are not supported if the network depends on a configuration network")
    if request.ipam_driver not in ("", "default", "null"):
        raise InvalidArgument(f'invalid ipam driver: "{request.ipam_driver}"')
    problems = [problem for entry in request.ipam for problem in ipam_problems(entry, ipv6)]
    if problems:
        raise InvalidArgument(f"invalid network config:\n{joined(problems)}")
    if request.driver == "bridge" and not request.config_only:
        _check_bridge(request, ipv6)
    elif request.driver == "macvlan":
        opts.parse_macvlan(request.options)


def _check_scope(request: NetworkRequest) -> None:
    if request.ingress:
        raise Forbidden("Ingress network can only be global scope network")
    if request.scope == "swarm":
        raise Forbidden("cannot create a swarm scoped network when swarm is not active")


def _check_config_only(request: NetworkRequest) -> None:
    if request.ingress or request.internal or request.attachable or request.scope:
        raise Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like "
            "[ ingress | internal | attachable | scope ] are not supported."
        )
    if request.config_from:
        raise Forbidden("a configuration network cannot depend on another configuration network")


def _check_driver(request: NetworkRequest, ipv4: bool, ipv6: bool) -> None:
    driver = request.driver
    if driver == "overlay":
        raise Forbidden(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
            "to swarm and try again."
        )
    if driver in _KNOWN_ELSEWHERE:
        raise Unsupported(f"network driver {driver} is not served by Sealane")
    if driver not in DRIVERS:
        raise NotFound(f'could not find plugin {driver} in v1 plugin registry: plugin "{driver}" not found')
    if driver in ("host", "null") and request.name not in ("host", "none"):
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if not ipv4 and not ipv6:
        raise InvalidArgument("IPv4 or IPv6 must be enabled")


def _check_bridge(request: NetworkRequest, ipv6: bool) -> None:
    opts.check_modes(opts.parse_bridge(request.options, NetworkId("0" * 64)), request.internal)
    if request.ipam_driver == "null":
        raise InvalidArgument("ipv4 pool is empty")
    versions = [ip_network(entry.subnet).version for entry in request.ipam if entry.subnet]
    if versions.count(4) > 1 or (ipv6 and versions.count(6) > 1):
        raise Forbidden("bridge driver doesn't support multiple subnets")
    for entry in request.ipam:
        network = ip_network(entry.subnet) if entry.subnet else None
        if ipv6 and isinstance(network, IPv6Network):
            _check_ipv6_subnet(network)


def _check_ipv6_subnet(network: IPv6Network) -> None:
    if network.is_multicast:
        raise InvalidArgument(f"multicast subnet '{network}' is not allowed")
    if network.overlaps(_LINK_LOCAL):
        raise InvalidArgument(f"'{network}' clashes with the Link-Local prefix 'fe80::/64'")


def ipam_problems(entry: IpamRequest, ipv6: bool) -> list[str]:
    """Everything that is wrong with one entry of IPAM.Config, in Docker's words."""
    problems: list[str] = []
    subnet = _prefix(entry.subnet, "subnet", problems)
    if entry.subnet and subnet is None:
        return problems
    if subnet is not None and subnet.version == 6 and not ipv6:
        return []  # as in Docker: shown in inspect, not used, not checked
    shown = entry.subnet or "invalid Prefix"
    if entry.ip_range:
        problems += _range_problems(entry.ip_range, subnet, shown)
    if entry.gateway:
        gateway = _address(entry.gateway)
        if gateway is None:
            problems.append(f"invalid gateway {entry.gateway}: invalid address")
        else:
            problems += _inside(f"invalid gateway {gateway}", gateway, subnet, shown)
    for name, text in entry.aux:
        address = _address(text)
        if address is None:
            problems.append(f"invalid auxiliary address {name}: invalid address")
        else:
            problems += _inside(f"invalid auxiliary address {name}", address, subnet, shown)
    return problems


def _prefix(text: str, what: str, problems: list[str]) -> IPInterface | None:
    """An address and a prefix length as they were written; None when they are none."""
    if not text:
        return None
    _, slash, length = text.partition("/")
    try:
        if not slash or not length.isdecimal():  # Python would take a netmask, too
            raise ValueError
        written = ip_interface(text)
    except ValueError:
        problems.append(f"invalid {what} {text}: invalid CIDR block notation")
        return None
    if written.ip != written.network.network_address:
        problems.append(f"invalid {what} {text}: it should be {written.network}")
    return written


def _range_problems(text: str, subnet: IPInterface | None, shown: str) -> list[str]:
    masked: list[str] = []
    ip_range = _prefix(text, "ip-range", masked)
    if ip_range is None:
        return masked
    if subnet is not None and ip_range.version != subnet.version:
        return [f"invalid ip-range {text}: parent subnet is an IPv{subnet.version} block"]
    problems = []
    if subnet is None or ip_range.ip not in subnet.network:
        problems.append(f"invalid ip-range {text}: parent subnet {shown} doesn't contain ip-range")
    if subnet is not None and ip_range.network.prefixlen < subnet.network.prefixlen:
        problems.append(f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {shown}")
    return problems + masked


def _inside(what: str, address: IPAddress, subnet: IPInterface | None, shown: str) -> list[str]:
    if subnet is not None and address.version != subnet.version:
        return [f"{what}: parent subnet is an IPv{subnet.version} block"]
    if subnet is None or address not in subnet.network:
        return [f"{what}: parent subnet {shown} doesn't contain this address"]
    return []


def _address(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def check_conflicts(network: NetworkSpec, others: Iterable[NetworkSpec]) -> None:
    """Raises Forbidden, in Docker's words, when another network has the same bridge."""
    if network.bridge is None:
        return
    name = network.bridge.bridge_name
    for other in others:
        if other.id != network.id and other.bridge is not None and other.bridge.bridge_name == name:
            raise Forbidden(
                f"cannot create network {network.id} ({name}): conflicts with network {other.id} ({name}): networks "
                "have same bridge name"
            )


def settle_network(
    request: NetworkRequest, identifier: NetworkId, created: str, subnets: tuple[Subnet, ...]
) -> NetworkSpec:
    """The network that *request* becomes, with its pools as ``ipam.allocate_subnets`` chose them.

    Raises Internal or InvalidArgument for options that a driver refuses (a request that passed ``validate_network``
    has none).
    """
    ipv4, ipv6 = opts.families(request)
    driven = not request.config_only
    bridge = opts.parse_bridge(request.options, identifier) if driven and request.driver == "bridge" else None
    macvlan = opts.parse_macvlan(request.options) if driven and request.driver == "macvlan" else None
    if bridge is not None:
        opts.check_modes(bridge, request.internal)
    return NetworkSpec(
        id=identifier,
        name=request.name,
        created=created,
        driver="null" if request.config_only else request.driver,
        ipv4=ipv4,
        ipv6=ipv6,
        subnets=subnets,
        internal=request.internal or (macvlan is not None and macvlan.parent is None),
        attachable=request.attachable,
        config_only=request.config_only,
        config_from=request.config_from,
        ipam_driver=request.ipam_driver or "default",
        ipam_options=dict(request.ipam_options),
        options=dict(request.options),
        labels=dict(request.labels),
        bridge=bridge,
        macvlan=macvlan,
    )
