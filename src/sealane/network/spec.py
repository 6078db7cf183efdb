"""What people ask of the network, and what it became once names, pools and addresses were settled.

Two pairs of types, both immutable:

* ``NetworkRequest`` and ``EndpointRequest`` hold what a client asked, with addresses still as the text it sent.
* ``NetworkSpec`` and ``EndpointSpec`` are validated, every address is allocated, and nothing in them is a guess. They
  are what the store keeps, and all that drivers, firewall, names and the reachability oracle may read.

Out of scope: allocation (``ipam``), option parsing and checks (``options`` and ``validate``), the kernel (``drivers``).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from sealane.values import (
    ContainerId,
    EndpointId,
    IfName,
    IPAddress,
    IPNetwork,
    MacAddress,
    NetworkId,
    PublishedPort,
)

PREDEFINED = ("bridge", "host", "none")


@dataclass(frozen=True, slots=True)
class IpamRequest:
    """One entry of ``IPAM.Config`` as a client sent it; empty text stands for a missing field."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    aux: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """``POST /networks/create``, decoded but not yet checked."""

    name: str
    driver: str = "bridge"
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    ipv4: bool | None = None
    ipv6: bool | None = None
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = field(default_factory=dict)
    ipam: tuple[IpamRequest, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subnet:
    """One address pool of a network. ``ip_range`` limits dynamic addresses only; static ones may lie elsewhere."""

    subnet: IPNetwork
    gateway: IPAddress | None
    ip_range: IPNetwork | None = None
    aux: tuple[tuple[str, IPAddress], ...] = ()
    automatic: bool = False  # chosen by us, not by the client


class GatewayMode(enum.Enum):
    """How a bridge network is reached from outside, per address family (Docker's ``gateway_mode_ipv4``/``_ipv6``)."""

    NAT = "nat"
    NAT_UNPROTECTED = "nat-unprotected"
    ROUTED = "routed"
    ISOLATED = "isolated"


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeOptions:
    """The driver options of a bridge network, parsed. Defaults are Docker's."""

    bridge_name: IfName
    icc: bool = True
    masquerade: bool = True
    host_binding: IPAddress | None = None
    gateway_mode_ipv4: GatewayMode = GatewayMode.NAT
    gateway_mode_ipv6: GatewayMode = GatewayMode.NAT
    inhibit_ipv4: bool = False
    trusted_host_interfaces: tuple[IfName, ...] = ()
    host_ipv4: IPv4Address | None = None  # SNAT source instead of masquerading
    host_ipv6: IPv6Address | None = None
    mtu: int | None = None
    iface_prefix: str = "eth"
    default_bridge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MacvlanOptions:
    """The driver options of a macvlan network, parsed. ``parent`` None: no parent was named, the network is closed."""

    parent: IfName | None
    mode: str = "bridge"
    mtu: int | None = None
    iface_prefix: str = "eth"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network as it is. ``subnets`` holds the IPv4 pool first, then the IPv6 one; empty for host and none."""

    id: NetworkId
    name: str
    created: str  # RFC 3339 with nanoseconds and zone
    driver: str
    ipv4: bool = True
    ipv6: bool = False
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    attachable: bool = False
    config_only: bool = False
    config_from: str = ""
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    bridge: BridgeOptions | None = None
    macvlan: MacvlanOptions | None = None

    @property
    def predefined(self) -> bool:
        """True for bridge, host and none, which always exist and cannot be removed."""
        return self.name in PREDEFINED

    @property
    def user_defined(self) -> bool:
        """True for networks that give names (everything except bridge, host and none)."""
        return not self.predefined


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRequest:
    """What a client asked of one attachment to a network. ``network`` is a name or an id prefix as sent."""

    network: str
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # "container:alias" or "container"
    ipv4: str = ""
    ipv6: str = ""
    link_local: tuple[str, ...] = ()
    mac: str = ""
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    gw_priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """One attachment of a running container, every value settled.

    ``ifname`` is the interface inside the container, ``host_ifname`` its peer on the host (``sl`` + hex of the endpoint
    id), ``altname`` the readable second name of that peer (``srv1.my-network``, cut to 127 bytes).
    """

    id: EndpointId
    network: NetworkId
    container: ContainerId
    container_name: str
    ifname: IfName
    host_ifname: IfName
    altname: str
    mac: MacAddress
    ipv4: IPv4Interface | None
    ipv6: IPv6Interface | None
    gateway_ipv4: IPv4Address | None  # the network's, whether or not this endpoint carries the default route
    gateway_ipv6: IPv6Address | None
    names: tuple[str, ...] = ()  # what neighbours resolve; the first is the PTR target
    sysctls: tuple[tuple[str, str], ...] = ()
    gw_priority: int = 0
    default_route_ipv4: bool = False  # this endpoint gives the container its default route
    default_route_ipv6: bool = False
    ports: tuple[PublishedPort, ...] = ()  # published through this endpoint
    asked: EndpointRequest | None = None
