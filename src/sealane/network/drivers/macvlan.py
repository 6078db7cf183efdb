"""The macvlan driver: containers sit on the host's own link with a MAC address each. No translation, no isolation.

A network without a parent is closed: its containers hang on a dummy link of ours, as in Docker. (A bridge would not do:
without ports it has no carrier, and neither have the links on top of it.) A parent written ``eth0.10`` stands for VLAN
10 on eth0, and is made when it does not exist.
"""

from __future__ import annotations

from sealane.network.drivers.bridge import default_routes, endpoint_addresses, endpoint_sysctls
from sealane.network.firewall import bridge_mac
from sealane.network.options import default_bridge_name, vlan_of
from sealane.network.spec import EndpointSpec, MacvlanOptions, NetworkSpec
from sealane.network.topology import HOST, Link, LinkKind, Namespace, Sysctl, Topology
from sealane.values import IfName


def network_topology(network: NetworkSpec) -> Topology:
    """The parent, where it is ours to make."""
    options = _options(network)
    if options.parent is None:
        name = default_bridge_name(network.id)
        link = Link(ns=HOST, name=name, kind=LinkKind.DUMMY, mac=bridge_mac(network), mtu=options.mtu)
        return Topology((link,), (Sysctl(HOST, f"net.ipv6.conf.{name}.disable_ipv6", "1"),))
    vlan = vlan_of(options.parent)
    if vlan is None:
        return Topology()
    base, number = vlan
    return Topology((Link(ns=HOST, name=options.parent, kind=LinkKind.VLAN, parent=base, vlan=number),))


def parent_of(network: NetworkSpec) -> IfName:
    """The link that the network's endpoints hang on."""
    return _options(network).parent or default_bridge_name(network.id)


def endpoint_topology(network: NetworkSpec, endpoint: EndpointSpec, sandbox: Namespace) -> Topology:
    """The macvlan link inside the container's namespace, with its addresses and routes."""
    options = _options(network)
    link = Link(
        ns=sandbox,
        name=endpoint.ifname,
        kind=LinkKind.MACVLAN,
        # In passthru mode the link takes its parent's address.
        mac=None if options.mode == "passthru" else endpoint.mac,
        mtu=options.mtu,
        parent=parent_of(network),
        mode=options.mode,
    )
    return Topology(
        links=(link,),
        sysctls=endpoint_sysctls(network, endpoint, sandbox),
        addresses=endpoint_addresses(endpoint, sandbox),
        routes=default_routes(endpoint, sandbox),
    )


def _options(network: NetworkSpec) -> MacvlanOptions:
    if network.macvlan is None:
        raise ValueError(f"network {network.name} is no macvlan network")
    return network.macvlan
