"""The bridge driver: a Linux bridge per network, a veth pair per endpoint, translation by the firewall.

Sources for the sysctls: Documentation/networking/ip-sysctl.rst in the kernel.
"""

from __future__ import annotations

from sealane.network.firewall import bridge_mac, endpoint_elements, gateway_mode, network_elements
from sealane.network.ipam import interface
from sealane.network.spec import BridgeOptions, EndpointSpec, GatewayMode, NetworkSpec
from sealane.network.topology import HOST, Address, Link, LinkKey, LinkKind, Namespace, Route, Sysctl, Topology
from sealane.values import IPNetwork


def network_topology(network: NetworkSpec) -> Topology:
    """The bridge, its addresses and what the network adds to the firewall."""
    options = _options(network)
    name = options.bridge_name
    link = Link(ns=HOST, name=name, kind=LinkKind.BRIDGE, mac=bridge_mac(network), mtu=options.mtu)
    addresses = tuple(
        Address(HOST, name, interface(subnet.gateway, subnet.subnet.prefixlen))
        for subnet in network.subnets
        if subnet.gateway is not None and _host_has_address(options, subnet.subnet)
    )
    return Topology(
        links=(link,),
        sysctls=_bridge_sysctls(network, options),
        addresses=addresses,
        elements=network_elements(network),
    )


def endpoint_topology(network: NetworkSpec, endpoint: EndpointSpec, sandbox: Namespace) -> Topology:
    """The veth pair between the bridge and the container's namespace, and everything on the container's end."""
    options = _options(network)
    inside = LinkKey(sandbox, endpoint.ifname)
    outside = LinkKey(HOST, endpoint.host_ifname)
    host_end = Link(
        ns=HOST,
        name=endpoint.host_ifname,
        kind=LinkKind.VETH,
        mtu=options.mtu,
        master=options.bridge_name,
        peer=inside,
        altname=endpoint.altname,
        # A container that reaches itself by its published port, with br_netfilter on, is sent back out of the port that
        # it came in by.
        hairpin=bool(endpoint.ports),
    )
    container_end = Link(
        ns=sandbox,
        name=endpoint.ifname,
        kind=LinkKind.VETH,
        mac=endpoint.mac,
        mtu=options.mtu,
        peer=outside,
        owner=False,
    )
    return Topology(
        links=(host_end, container_end),
        sysctls=endpoint_sysctls(network, endpoint, sandbox),
        addresses=endpoint_addresses(endpoint, sandbox),
        routes=default_routes(endpoint, sandbox),
        elements=endpoint_elements(network, endpoint),
    )


def endpoint_sysctls(network: NetworkSpec, endpoint: EndpointSpec, sandbox: Namespace) -> tuple[Sysctl, ...]:
    """IPv6 off where the network has none (as Docker), and neighbours told of the new owner of the address."""
    name = endpoint.ifname.replace(".", "/")
    settings = []
    if endpoint.ipv4 is not None:
        settings.append(Sysctl(sandbox, f"net.ipv4.conf.{name}.arp_notify", "1"))
    if endpoint.ipv6 is not None:
        settings.append(Sysctl(sandbox, f"net.ipv6.conf.{name}.accept_dad", "0"))
        settings.append(Sysctl(sandbox, f"net.ipv6.conf.{name}.ndisc_notify", "1"))
    else:
        settings.append(Sysctl(sandbox, f"net.ipv6.conf.{name}.disable_ipv6", "1"))
    settings += [Sysctl(sandbox, key, value) for key, value in endpoint.sysctls]
    return tuple(settings)


def endpoint_addresses(endpoint: EndpointSpec, sandbox: Namespace) -> tuple[Address, ...]:
    return tuple(Address(sandbox, endpoint.ifname, own) for own in (endpoint.ipv4, endpoint.ipv6) if own is not None)


def default_routes(endpoint: EndpointSpec, sandbox: Namespace) -> tuple[Route, ...]:
    """The container's default routes, as far as this endpoint carries them."""
    chosen = (
        (endpoint.default_route_ipv4, endpoint.gateway_ipv4),
        (endpoint.default_route_ipv6, endpoint.gateway_ipv6),
    )
    return tuple(
        Route(sandbox, endpoint.ifname, None, gateway) for carries, gateway in chosen if carries and gateway is not None
    )


def _options(network: NetworkSpec) -> BridgeOptions:
    if network.bridge is None:
        raise ValueError(f"network {network.name} is no bridge network")
    return network.bridge


def _host_has_address(options: BridgeOptions, subnet: IPNetwork) -> bool:
    if subnet.version == 4 and options.inhibit_ipv4:
        return False
    return gateway_mode(options, subnet.version) is not GatewayMode.ISOLATED


def _bridge_sysctls(network: NetworkSpec, options: BridgeOptions) -> tuple[Sysctl, ...]:
    name = options.bridge_name.replace(".", "/")
    settings = []
    if network.ipv4 and not network.internal:
        # Answers to the host's 127.0.0.1 come in by the bridge; the firewall's raw chain keeps everybody else out.
        settings.append(Sysctl(HOST, f"net.ipv4.conf.{name}.route_localnet", "1"))
    if network.ipv6:
        settings.append(Sysctl(HOST, f"net.ipv6.conf.{name}.disable_ipv6", "0"))
        settings.append(Sysctl(HOST, f"net.ipv6.conf.{name}.accept_ra", "0"))
        # A router asks for its neighbours from its link-local address. Were that checked for duplicates first, the
        # first second of a network would have no way in.
        settings.append(Sysctl(HOST, f"net.ipv6.conf.{name}.accept_dad", "0"))
    else:
        settings.append(Sysctl(HOST, f"net.ipv6.conf.{name}.disable_ipv6", "1"))
    return tuple(settings)
