"""One attachment of a container to a network, settled: addresses, MAC, interface names, default routes. Pure.

The default route of each family goes to the endpoint that Docker would choose: highest gateway priority, then
networks that
lead outside, then those with gateways of both families, then the first by network name. Interfaces are numbered in the
order in which they are settled, unless ``com.docker.network.endpoint.ifname`` names one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address
from typing import Final

from sealane.errors import InvalidArgument
from sealane.network.ipam import allocate_address, random_mac
from sealane.network.spec import EndpointRequest, EndpointSpec, NetworkSpec
from sealane.values import ContainerId, EndpointId, IfName, IPAddress, MacAddress, NetworkId

IFNAME_OPTION: Final = "com.docker.network.endpoint.ifname"
SYSCTLS_OPTION: Final = "com.docker.network.endpoint.sysctls"
#: ALTIFNAMSIZ in the kernel is 128 with the closing NUL.
ALTNAME_LENGTH: Final = 127


def settle_endpoint(
    network: NetworkSpec,
    asked: EndpointRequest,
    *,
    identifier: EndpointId,
    container: ContainerId,
    container_name: str,
    names: tuple[str, ...],
    used_ifnames: Sequence[IfName],
    taken: Mapping[IPAddress, str],
    entropy: bytes,
) -> EndpointSpec:
    """Give an endpoint its values. *entropy* is six random bytes for a MAC; *taken* names who holds an address.

    Raises Forbidden for an address that is held, Unavailable when the pool is exhausted, InvalidArgument for a bad
    request.
    """
    addressed = bool(network.subnets)
    ipv4 = allocate_address(network, _wanted(asked.ipv4), taken, 4) if addressed and network.ipv4 else None
    ipv6 = allocate_address(network, _wanted(asked.ipv6), taken, 6) if addressed and network.ipv6 else None
    assert ipv4 is None or isinstance(ipv4, IPv4Interface)
    assert ipv6 is None or isinstance(ipv6, IPv6Interface)
    return EndpointSpec(
        id=identifier,
        network=network.id,
        container=container,
        container_name=container_name,
        ifname=choose_ifname(network, asked, used_ifnames),
        host_ifname=IfName(f"sl{identifier[:12]}"),
        altname=f"{container_name}.{network.name}".encode()[:ALTNAME_LENGTH].decode(errors="ignore"),
        mac=MacAddress(asked.mac) if asked.mac else random_mac(entropy),
        ipv4=ipv4,
        ipv6=ipv6,
        gateway_ipv4=_gateway4(network),
        gateway_ipv6=_gateway6(network),
        names=names,
        sysctls=parse_sysctls(asked.driver_opts.get(SYSCTLS_OPTION, "")),
        gw_priority=asked.gw_priority,
        asked=asked,
    )


def _wanted(text: str) -> IPAddress | None:
    return ip_address(text) if text else None


def _gateway4(network: NetworkSpec) -> IPv4Address | None:
    return next((s.gateway for s in network.subnets if isinstance(s.gateway, IPv4Address)), None)


def _gateway6(network: NetworkSpec) -> IPv6Address | None:
    return next((s.gateway for s in network.subnets if isinstance(s.gateway, IPv6Address)), None)


def choose_ifname(network: NetworkSpec, asked: EndpointRequest, used: Sequence[IfName]) -> IfName:
    """The interface's name inside the container. Raises InvalidArgument when the asked one is taken."""
    own = asked.driver_opts.get(IFNAME_OPTION)
    if own is not None:
        name = IfName(own)
        if name in used:
            raise InvalidArgument(f"cannot name the interface to network {network.name} {name}: the name is taken")
        return name
    options = network.bridge or network.macvlan
    prefix = options.iface_prefix if options else "eth"
    index = 0
    while f"{prefix}{index}" in used:
        index += 1
    return IfName(f"{prefix}{index}")


def parse_sysctls(text: str) -> tuple[tuple[str, str], ...]:
    """``net.ipv4.conf.IFNAME.log_martians=1,…`` as pairs, IFNAME left in. Raises InvalidArgument."""
    pairs = []
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        words = key.split(".")
        known = len(words) >= 5 and words[0] == "net" and words[1] in ("ipv4", "ipv6", "mpls") and words[3] == "IFNAME"
        if not equals or not known:
            raise InvalidArgument(
                f"unrecognised network interface sysctl '{item}'; represent 'net.X.Y.ethN.Z=V' as "
                "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        pairs.append((key, value))
    return tuple(pairs)


def choose_default_routes(
    endpoints: Sequence[EndpointSpec], networks: Mapping[NetworkId, NetworkSpec]
) -> tuple[EndpointSpec, ...]:
    """The same endpoints in the same order, with one default route per family placed among them."""
    first4 = min((e for e in endpoints if _leads_out(e, networks, 4)), key=lambda e: _rank(e, networks), default=None)
    first6 = min((e for e in endpoints if _leads_out(e, networks, 6)), key=lambda e: _rank(e, networks), default=None)
    return tuple(
        replace(
            endpoint,
            default_route_ipv4=first4 is not None and endpoint.id == first4.id,
            default_route_ipv6=first6 is not None and endpoint.id == first6.id,
        )
        for endpoint in endpoints
    )


def _leads_out(endpoint: EndpointSpec, networks: Mapping[NetworkId, NetworkSpec], version: int) -> bool:
    if networks[endpoint.network].internal:
        return False
    if version == 4:
        return endpoint.gateway_ipv4 is not None and endpoint.ipv4 is not None
    return endpoint.gateway_ipv6 is not None and endpoint.ipv6 is not None


def _rank(endpoint: EndpointSpec, networks: Mapping[NetworkId, NetworkSpec]) -> tuple[int, int, str]:
    gateways = (endpoint.gateway_ipv4 is not None) + (endpoint.gateway_ipv6 is not None)
    return (-endpoint.gw_priority, -gateways, networks[endpoint.network].name)
