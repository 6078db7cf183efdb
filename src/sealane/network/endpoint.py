"""From what a client asked of one attachment to the settled endpoint; and which endpoint gives the default route.

Out of scope: whether a host port is free (the engine asks the kernel), and the kernel objects (``drivers``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address

from sealane.errors import InvalidArgument
from sealane.network.ipam import allocate_address
from sealane.network.options import ENDPOINT_IFNAME, endpoint_sysctls
from sealane.network.problems import joined
from sealane.network.spec import EndpointRequest, EndpointSpec, NetworkSpec, Subnet
from sealane.values import ContainerId, EndpointId, IfName, IPAddress, MacAddress, NetworkId

ALTNAME_MAX = 127  # ALTIFNAMSIZ in linux/if.h, less the closing NUL


def random_mac(entropy: bytes) -> MacAddress:
    """A locally administered unicast address from six random octets, as Docker makes them."""
    return MacAddress(bytes(((entropy[0] & 0xFE) | 0x02,)) + entropy[1:6])


def mac_of(address: IPv4Address) -> MacAddress:
    """``02:42`` and the address, as Docker until 27: who gets an address again is found by what neighbours remember,
    even by those that did not hear the announcement."""
    return MacAddress(b"\x02\x42" + address.packed)


def host_ifname(identifier: EndpointId) -> IfName:
    """The host's end of an endpoint's veth pair: ``sl`` and 13 hex digits of the endpoint's id."""
    return IfName("sl" + identifier[:13])


def altname(container_name: str, network_name: str) -> str:
    """The readable second name of that interface (``srv1.my-network``), cut to what the kernel takes."""
    text = "".join(
        "_" if c.isspace() or c in "/:" or not c.isprintable() else c for c in f"{container_name}.{network_name}"
    )
    return text.encode()[:ALTNAME_MAX].decode(errors="ignore")


def endpoint_problems(request: EndpointRequest, network: NetworkSpec | None) -> list[str]:
    """What is wrong with *request*, in Docker's words; *network* is None while it does not exist."""
    problems: list[str] = []
    addresses: list[IPAddress] = []
    for text, kind, words in ((request.ipv4, IPv4Address, "IPv4 address"), (request.ipv6, IPv6Address, "IPv6 address")):
        if not text:
            continue
        parsed = _parse(text)
        if isinstance(parsed, kind):
            addresses.append(parsed)
        else:
            problems.append(f"invalid {words}: {text}")
    problems += [f"invalid link-local IP address: {text}" for text in request.link_local if _parse(text) is None]
    if network is None:
        return problems
    if not network.user_defined:
        if request.ipv4 or request.ipv6:
            problems.append("user-specified IP address is supported on user-defined networks only")
        if request.aliases:
            problems.append("network-scoped aliases are only supported for user-defined networks")
        return problems
    subnets = [subnet.subnet for subnet in network.subnets]
    problems += [
        f"no configured subnet contains IP address {address}"
        for address in addresses
        if not any(address in subnet for subnet in subnets)
    ]
    return problems


def check_endpoint(request: EndpointRequest, network: NetworkSpec | None) -> None:
    """Raises InvalidArgument with every problem of *request* at once."""
    problems = endpoint_problems(request, network)
    if problems:
        raise InvalidArgument(f"invalid endpoint settings:\n{joined(problems)}")
    if request.mac:
        mac = MacAddress(request.mac)
        if mac.octets[0] & 1 or not any(mac.octets):
            raise InvalidArgument(f"invalid MAC address: {request.mac} (an interface cannot have it)")
    endpoint_sysctls(request.driver_opts, IfName("eth0"))


def settle_endpoint(
    network: NetworkSpec,
    asked: EndpointRequest,
    *,
    identifier: EndpointId,
    container: ContainerId,
    container_name: str,
    names: tuple[str, ...],
    used_ifnames: Iterable[IfName],
    taken: Mapping[IPAddress, str],
    entropy: bytes,
) -> EndpointSpec:
    """The endpoint that *asked* becomes on *network*. *entropy* is six random octets, for a MAC address without IPv4.

    Raises InvalidArgument (bad request), Forbidden (address held, with the holder) or Internal (pool full).
    """
    check_endpoint(asked, network)
    ifname = _ifname(network, asked, set(used_ifnames))
    ipv4 = allocate_address(network, 4, _parse(asked.ipv4), taken)
    ipv6 = allocate_address(network, 6, _parse(asked.ipv6), taken)
    return EndpointSpec(
        id=identifier,
        network=network.id,
        container=container,
        container_name=container_name,
        ifname=ifname,
        host_ifname=host_ifname(identifier),
        altname=altname(container_name, network.name),
        mac=_mac(asked, ipv4, entropy),
        ipv4=ipv4 if isinstance(ipv4, IPv4Interface) else None,
        ipv6=ipv6 if isinstance(ipv6, IPv6Interface) else None,
        gateway_ipv4=_gateway4(network),
        gateway_ipv6=_gateway6(network),
        names=names,
        sysctls=endpoint_sysctls(asked.driver_opts, ifname),
        gw_priority=asked.gw_priority,
        asked=asked,
    )


def _mac(asked: EndpointRequest, ipv4: object, entropy: bytes) -> MacAddress:
    if asked.mac:
        return MacAddress(asked.mac)
    return mac_of(ipv4.ip) if isinstance(ipv4, IPv4Interface) else random_mac(entropy)


def _ifname(network: NetworkSpec, asked: EndpointRequest, used: set[IfName]) -> IfName:
    wanted = asked.driver_opts.get(ENDPOINT_IFNAME)
    if wanted:
        name = IfName(wanted)
        if name in used or name == "lo":
            raise InvalidArgument(f"interface name {name} is already used by another network of this container")
        return name
    options = network.bridge or network.macvlan
    prefix = options.iface_prefix if options is not None else "eth"
    return next(name for number in range(len(used) + 1) if (name := IfName(f"{prefix}{number}")) not in used)


def _parse(text: str) -> IPAddress | None:
    if not text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _gateway(network: NetworkSpec, version: int) -> IPAddress | None:
    """Who routes for the containers of *network*: nobody on an internal one; an auxiliary address may name another."""
    if network.internal:
        return None
    for subnet in network.subnets:
        if subnet.subnet.version == version:
            return _named_gateway(subnet, f"DefaultGatewayIPv{version}") or subnet.gateway
    return None


def _named_gateway(subnet: Subnet, key: str) -> IPAddress | None:
    return next((address for name, address in subnet.aux if name == key), None)


def _gateway4(network: NetworkSpec) -> IPv4Address | None:
    gateway = _gateway(network, 4)
    return gateway if isinstance(gateway, IPv4Address) else None


def _gateway6(network: NetworkSpec) -> IPv6Address | None:
    gateway = _gateway(network, 6)
    return gateway if isinstance(gateway, IPv6Address) else None


def choose_default_routes(
    endpoints: Sequence[EndpointSpec], networks: Mapping[NetworkId, NetworkSpec]
) -> tuple[EndpointSpec, ...]:
    """*endpoints* in their order, with exactly one default route per family, where any endpoint has a gateway.

    Docker's order: highest gateway priority, then endpoints with gateways of both families, then by network name; each
    family is chosen by itself.
    """

    def rank(endpoint: EndpointSpec) -> tuple[int, bool, str]:
        both = endpoint.gateway_ipv4 is not None and endpoint.gateway_ipv6 is not None
        network = networks.get(endpoint.network)
        return -endpoint.gw_priority, not both, network.name if network is not None else ""

    ordered = sorted(endpoints, key=rank)
    first4 = next((e.id for e in ordered if e.gateway_ipv4 is not None and e.ipv4 is not None), None)
    first6 = next((e.id for e in ordered if e.gateway_ipv6 is not None and e.ipv6 is not None), None)
    return tuple(
        e
        if (e.default_route_ipv4, e.default_route_ipv6) == (e.id == first4, e.id == first6)
        else replace(e, default_route_ipv4=e.id == first4, default_route_ipv6=e.id == first6)
        for e in endpoints
    )
