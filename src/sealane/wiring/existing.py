"""Links that were there before a network wants them: bridges named by the client, the parents of macvlan networks.

They are used as they are and left alone; what we made ourselves is told apart by its MAC address or its mark.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import replace

from sealane.errors import Internal
from sealane.linux.netlink import rtnl as messages
from sealane.linux.netlink.socket import Rtnl
from sealane.network.drivers.registry import network_topology
from sealane.network.firewall import bridge_mac
from sealane.network.options import vlan_of
from sealane.network.spec import NetworkSpec
from sealane.network.topology import EMPTY, Link, LinkKind, Topology
from sealane.values import IfName, short
from sealane.wiring.observe import Observer


def find(rtnl: Rtnl, name: IfName) -> messages.Link | None:
    """The link of that name, if there is one. Raises Internal when the kernel will not say."""
    try:
        return rtnl.link(name)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise Internal(f"cannot look at {name}: {error.strerror or error}") from error
        return None


def check_parent(rtnl: Rtnl, network: NetworkSpec) -> None:
    """A macvlan's parent is there or can be made. Raises Internal with Docker's text."""
    parent = network.macvlan.parent if network.macvlan is not None else None
    if parent is not None and vlan_of(parent) is None and find(rtnl, parent) is None:
        raise Internal(f"invalid subinterface vlan name {parent}, example formatting is eth0.10")


def adopt(rtnl: Rtnl, observer: Observer, network: NetworkSpec, wanted: Topology) -> tuple[Topology, Topology]:
    """What is wanted, and what of it is there already.

    Only links whose name somebody else chose can exist. They keep their MAC address. Raises Internal with Docker's text
    for a bridge that is none.
    """
    named = [link for link in wanted.links if short(network.id) not in link.name]
    if not any(_usable(rtnl, link) for link in named):
        return wanted, EMPTY
    foreign = tuple(replace(link, mac=None) for link in wanted.links)
    wanted = replace(wanted, links=foreign)
    seen = observer.topology(replace(wanted, sysctls=()), {})
    mine = {link.key for link in wanted.links}
    return wanted, Topology(
        links=tuple(link for link in seen.links if link.key in mine),
        addresses=tuple(address for address in seen.addresses if address in wanted.addresses),
    )


def _usable(rtnl: Rtnl, link: Link) -> bool:
    seen = find(rtnl, link.name)
    if seen is not None and link.kind is LinkKind.BRIDGE and seen.kind != "bridge":
        raise Internal(f"existing interface {link.name} is not a bridge")
    return seen is not None


def is_mine(rtnl: Rtnl, table: str, network: NetworkSpec, link: Link, others: Iterable[NetworkSpec]) -> bool:
    """True when the engine that owns *table* made *link*, and none of the *others* uses it."""
    try:
        seen = rtnl.link(link.name)
    except OSError:
        return False
    if link.kind is LinkKind.BRIDGE:
        return seen.mac == bridge_mac(network)
    used = any(link.name == other.name for n in others for other in network_topology(n).links)
    return not used and any(name.endswith(f".{table}") for name in seen.altnames)
