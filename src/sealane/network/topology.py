"""Kernel objects as frozen values: links, addresses, routes, sysctls and nftables elements, wanted or observed.

The same types say what should be there (drivers and ``firewall`` make them) and what is there (``wiring/observe``
reads them), so that the difference of two values is a plan. Everything is keyed by the network namespace that holds
it: ``HOST`` is the namespace that the engine works in, every other key is the path of a bind-mounted namespace.

Out of scope: how to get from one value to the other (``plan``), and which chains and rules read the elements
(``firewall``).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NewType

from sealane.network.ruleset import Element
from sealane.values import IfName, IPAddress, IPInterface, IPNetwork, MacAddress

Namespace = NewType("Namespace", str)
HOST: Final = Namespace("")


class LinkKind(enum.Enum):
    """The kinds of link that Sealane makes; the values are the kernel's names (IFLA_INFO_KIND)."""

    BRIDGE = "bridge"
    VETH = "veth"
    MACVLAN = "macvlan"
    VLAN = "vlan"
    DUMMY = "dummy"


@dataclass(frozen=True, slots=True)
class LinkKey:
    """Where a link is: its namespace and its name there."""

    ns: Namespace
    name: IfName

    def __str__(self) -> str:
        return self.name if self.ns == HOST else f"{self.name} in {self.ns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One interface. ``None`` for ``mac`` and ``mtu`` is "whatever the kernel chose".

    A veth pair is two links that name each other in ``peer``; the one whose ``owner`` is true stands for the pair when
    it is made or deleted. ``parent`` and ``mode`` belong to macvlan (and ``parent`` to vlan).
    """

    ns: Namespace
    name: IfName
    kind: LinkKind
    mac: MacAddress | None = None
    mtu: int | None = None
    up: bool = True
    master: IfName | None = None
    peer: LinkKey | None = None
    owner: bool = True
    parent: IfName | None = None
    mode: str = ""
    vlan: int = 0
    hairpin: bool = False
    altname: str = ""

    @property
    def key(self) -> LinkKey:
        return LinkKey(self.ns, self.name)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a link, with its prefix length."""

    ns: Namespace
    link: IfName
    interface: IPInterface


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table. ``dst`` None is the default route of the gateway's family."""

    ns: Namespace
    link: IfName
    dst: IPNetwork | None
    gateway: IPAddress | None

    @property
    def version(self) -> int:
        """4 or 6."""
        at = self.dst if self.dst is not None else self.gateway
        return at.version if at is not None else 4


@dataclass(frozen=True, slots=True)
class Sysctl:
    """``key`` in dots (``net.ipv4.ip_forward``); interface names are whole, their own dots written as slashes."""

    ns: Namespace
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Topology:
    """A set of kernel objects. The order inside the tuples is the order in which they are made."""

    links: tuple[Link, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    elements: tuple[Element, ...] = ()

    def __add__(self, other: Topology) -> Topology:
        return Topology(
            self.links + other.links,
            self.sysctls + other.sysctls,
            self.addresses + other.addresses,
            self.routes + other.routes,
            self.elements + other.elements,
        )

    def __bool__(self) -> bool:
        return bool(self.links or self.sysctls or self.addresses or self.routes or self.elements)


EMPTY: Final = Topology()


def union(parts: Iterable[Topology]) -> Topology:
    """All *parts* together, each object once, the first position kept (parts share bridges and VLANs)."""
    links: dict[Link, None] = {}
    sysctls: dict[Sysctl, None] = {}
    addresses: dict[Address, None] = {}
    routes: dict[Route, None] = {}
    elements: dict[Element, None] = {}
    for part in parts:
        links.update(dict.fromkeys(part.links))
        sysctls.update(dict.fromkeys(part.sysctls))
        addresses.update(dict.fromkeys(part.addresses))
        routes.update(dict.fromkeys(part.routes))
        elements.update(dict.fromkeys(part.elements))
    return Topology(tuple(links), tuple(sysctls), tuple(addresses), tuple(routes), tuple(elements))


def link_local(mac: MacAddress) -> IPv6Address:
    """The fe80::/64 address that the kernel derives from *mac* (modified EUI-64, RFC 4291 appendix A)."""
    octets = mac.octets
    eui = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + eui)


def any_address(version: int) -> IPAddress:
    """The unspecified address of a family."""
    return IPv4Address(0) if version == 4 else IPv6Address(0)
