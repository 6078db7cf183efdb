"""The oracle: may A open a connection to an address and port? Answered from the specs alone.

It knows nothing of rules, sets or packets. Tests compare its answers with what the kernel does, and ``firewall`` has to
bring the kernel to the same opinion. Every answer says why, in words for a person.

A *source* is a container, the host itself, or a remote host that has a route to everything we have (the hardest case
for isolation). Whether a process listens at the destination is not asked.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sealane.network.firewall import gateway_mode, relayed
from sealane.network.spec import EndpointSpec, GatewayMode, NetworkSpec
from sealane.values import ContainerId, ContainerPort, IPAddress, NetworkId, PublishedPort


class Place(enum.Enum):
    """Sources that are no container."""

    HOST = "the host"
    REMOTE = "another host"


Source = ContainerId | Place


@dataclass(frozen=True, slots=True)
class World:
    """Everything that the answer depends on. ``host_addresses`` are the host's own, apart from its bridges'."""

    networks: Mapping[NetworkId, NetworkSpec]
    endpoints: Sequence[EndpointSpec]
    host_addresses: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """The answer. ``container`` is who would take the connection, where that is one of ours."""

    allowed: bool
    why: str
    container: ContainerId | None = None


def reach(world: World, source: Source, to: IPAddress, port: ContainerPort) -> Reach:
    """May *source* open a connection to *port* of the address *to*?"""
    for endpoint in world.endpoints:
        if to in _addresses(endpoint):
            return _to_endpoint(world, source, endpoint, to, port)
    if to.is_loopback:
        if source is Place.HOST:
            return _to_published(world, source, to, port)
        return Reach(False, "a loopback address is the asker's own")
    if to in world.host_addresses or to in _gateways(world):
        return _to_published(world, source, to, port)
    return _outside(world, source, to)


def _to_endpoint(world: World, source: Source, target: EndpointSpec, to: IPAddress, port: ContainerPort) -> Reach:
    network = world.networks[target.network]
    taker = target.container
    if source == taker:
        return Reach(True, "its own address", taker)
    if isinstance(source, Place):
        return _by_host(network, target, to, port) if source is Place.HOST else _entering(network, target, to, port)
    shared = next((e for e in _of(world, source) if e.network == network.id and _has(e, to.version)), None)
    if shared is not None:
        if network.bridge is not None and not network.bridge.icc:
            return Reach(False, f"network {network.name} has icc=false")
        return Reach(True, f"both are on network {network.name}", taker)
    way = _way_out(world, source, to.version)
    if way is None:
        return Reach(False, "the asker has no way out of its networks")
    if world.networks[way.network].bridge is None:
        return Reach(False, "the asker's way out does not lead over this host")
    return _entering(network, target, to, port)


def _by_host(network: NetworkSpec, target: EndpointSpec, to: IPAddress, port: ContainerPort) -> Reach:
    if network.bridge is None:
        return Reach(False, f"the kernel keeps a host and its {network.driver} containers apart")
    if not _host_is_on(network, to.version):
        return Reach(False, f"the host has no address on network {network.name}")
    return Reach(True, f"the host is on the bridge of network {network.name}", target.container)


def _entering(network: NetworkSpec, target: EndpointSpec, to: IPAddress, port: ContainerPort) -> Reach:
    """From outside the network straight to a container's address."""
    if network.internal:
        return Reach(False, f"network {network.name} is internal")
    if network.bridge is None:
        return Reach(True, f"network {network.name} is part of the outside", target.container)
    mode = gateway_mode(network.bridge, to.version)
    if mode is GatewayMode.NAT_UNPROTECTED:
        return Reach(True, f"network {network.name} is open (nat-unprotected)", target.container)
    if mode is GatewayMode.ROUTED:
        opened = any(p.container_port == port and p.host_ip.version == to.version for p in target.ports)
        return Reach(opened, f"network {network.name} is routed: published ports are open", target.container)
    return Reach(False, f"network {network.name} is entered by published ports only")


def _to_published(world: World, source: Source, to: IPAddress, port: ContainerPort) -> Reach:
    """To one of the host's own addresses."""
    found = _published(world, to, port)
    if found is None:
        return Reach(False, f"no container has published port {port} on {to}")
    target, published = found
    if source is Place.HOST or source is Place.REMOTE:
        return Reach(True, f"published as {published}", target.container)
    refusal = _cannot_ask_host(world, source, to)
    if refusal:
        return Reach(False, refusal)
    return Reach(True, f"published as {published}", target.container)


def _cannot_ask_host(world: World, source: ContainerId, to: IPAddress) -> str:
    """Why *source* cannot use a port published on the host's address *to*; empty when it can."""
    for endpoint in _of(world, source):
        network = world.networks[endpoint.network]
        on_link = any(to == subnet.gateway for subnet in network.subnets)
        if on_link and _has(endpoint, to.version):
            return f"network {network.name} is internal" if network.internal else ""
    way = _way_out(world, source, to.version)
    if way is None:
        return "the asker has no way out of its networks"
    if world.networks[way.network].bridge is None:
        return "the asker's way out does not lead to this host"
    return ""


def _published(world: World, to: IPAddress, port: ContainerPort) -> tuple[EndpointSpec, PublishedPort] | None:
    """Who has published *port* (a host port here) on *to*; a port of just this address comes first."""
    found = None
    for endpoint in world.endpoints:
        network = world.networks[endpoint.network]
        if network.internal or network.bridge is None:
            continue
        by_relay = relayed(network, endpoint)
        for published in endpoint.ports:
            if published.host_port != port.number or published.container_port.transport is not port.transport:
                continue
            if published.host_ip.version != to.version or not _carried(network, endpoint, published, by_relay):
                continue
            if published.host_ip == to:
                return endpoint, published
            if published.host_ip.is_unspecified:
                found = endpoint, published
    return found


def _carried(
    network: NetworkSpec, endpoint: EndpointSpec, port: PublishedPort, by_relay: Sequence[PublishedPort]
) -> bool:
    if network.bridge is None or gateway_mode(network.bridge, port.host_ip.version) is GatewayMode.ROUTED:
        return False
    return _has(endpoint, port.host_ip.version) or port in by_relay


def _outside(world: World, source: Source, to: IPAddress) -> Reach:
    if isinstance(source, Place):
        return Reach(True, "neither end is ours")
    way = _way_out(world, source, to.version)
    if way is None:
        return Reach(False, "the asker has no way out of its networks")
    return Reach(True, f"out by network {world.networks[way.network].name}")


def _way_out(world: World, source: ContainerId, version: int) -> EndpointSpec | None:
    """The endpoint that carries the default route, where that leads to somebody we know: on a bridge without the host,
    the gateway is another program's."""
    for endpoint in _of(world, source):
        network = world.networks[endpoint.network]
        carries = endpoint.default_route_ipv4 if version == 4 else endpoint.default_route_ipv6
        if carries and not network.internal and (network.bridge is None or _host_is_on(network, version)):
            return endpoint
    return None


def _of(world: World, container: ContainerId) -> Iterator[EndpointSpec]:
    return (endpoint for endpoint in world.endpoints if endpoint.container == container)


def _has(endpoint: EndpointSpec, version: int) -> bool:
    return (endpoint.ipv4 if version == 4 else endpoint.ipv6) is not None


def _addresses(endpoint: EndpointSpec) -> tuple[IPAddress, ...]:
    return tuple(own.ip for own in (endpoint.ipv4, endpoint.ipv6) if own is not None)


def _gateways(world: World) -> Iterator[IPAddress]:
    return (
        subnet.gateway
        for network in world.networks.values()
        for subnet in network.subnets
        if subnet.gateway is not None and _host_is_on(network, subnet.subnet.version)
    )


def _host_is_on(network: NetworkSpec, version: int) -> bool:
    options = network.bridge
    if options is None or (version == 4 and options.inhibit_ipv4):
        return False
    return gateway_mode(options, version) is not GatewayMode.ISOLATED
