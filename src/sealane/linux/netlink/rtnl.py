"""The rtnetlink messages that Sealane uses: built from values, parsed to values (rtnetlink(7), linux/if_link.h). Pure.

Every builder gives a request for ``socket.Rtnl`` to number and send. Names are the kernel's.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Final

from sealane.linux.netlink.codec import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
    Request,
    attribute,
    attribute_list,
    attributes,
    nested,
    text,
    to_int,
    to_text,
    u8,
    u32,
)
from sealane.values import IPAddress, IPInterface, IPNetwork, MacAddress

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109

IFF_UP: Final = 1
BR_STATE_FORWARDING: Final = 3
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_LINKINFO, _IFLA_NET_NS_FD, _IFLA_AF_SPEC, _IFLA_EXT_MASK = 18, 28, 26, 29
_IFLA_LINK_NETNSID, _IFLA_PROP_LIST, _IFLA_ALT_IFNAME, _IFLA_TXQLEN = 37, 52, 53, 13
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_IFLA_INET6_ADDR_GEN_MODE: Final = 8
_IN6_ADDR_GEN_MODE_NONE: Final = 1
_VETH_INFO_PEER: Final = 1
_IFLA_MACVLAN_MODE, _IFLA_VLAN_ID = 1, 1
_IFLA_BRPORT: Final[Mapping[str, int]] = {
    "state": 1, "hairpin": 4, "protect": 5, "learning": 8, "unicast_flood": 9, "isolated": 33, "neigh_suppress": 32,
}  # fmt: skip
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_NODAD: Final = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_TABLE, _RTA_MULTIPATH = 1, 4, 5, 6, 7, 15, 9
_NDA_DST, _NDA_LLADDR = 1, 2
RT_TABLE_MAIN: Final = 254
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
_RTPROT_STATIC: Final = 4
_RTN_UNICAST: Final = 1
_RTN_ELSEWHERE: Final = (_RTN_UNICAST, 6, 7, 8, 9)  # and blackhole, unreachable, prohibit, throw
AF_UNSPEC, AF_INET, AF_BRIDGE, AF_INET6 = 0, 2, 7, 10
MACVLAN_MODES: Final = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}

_IFINFO: Final = struct.Struct("=BxHiII")
_IFADDR: Final = struct.Struct("=BBBBI")
_RTMSG: Final = struct.Struct("=BBBBBBBBI")
_NDMSG: Final = struct.Struct("=BxHiHBB")

_ASK: Final = NLM_F_REQUEST | NLM_F_ACK
_NEW: Final = _ASK | NLM_F_CREATE | NLM_F_EXCL


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network interface. ``peer_index`` is the other end of a veth, in namespace ``peer_nsid`` (None: this one);
    ``port`` is what a bridge knows of its port."""

    index: int
    name: str
    kind: str = ""
    mac: MacAddress | None = None
    mtu: int = 0
    up: bool = False
    master: int | None = None
    peer_index: int | None = None
    peer_nsid: int | None = None
    altnames: tuple[str, ...] = ()
    port: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """An address on an interface."""

    index: int
    interface: IPInterface
    scope: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A unicast route; ``dst`` None is the default route."""

    dst: IPNetwork | None
    gateway: IPAddress | None = None
    index: int | None = None
    scope: int = RT_SCOPE_UNIVERSE
    table: int = RT_TABLE_MAIN
    metric: int = 0
    prefsrc: IPAddress | None = None
    family: int = AF_INET


@dataclass(frozen=True, slots=True)
class Neighbour:
    index: int
    address: IPAddress
    mac: MacAddress | None
    state: int


def _ifinfo(index: int = 0, flags: int = 0, change: int = 0, family: int = AF_UNSPEC) -> bytes:
    return _IFINFO.pack(family, 0, index, flags, change)


def _common(name: str = "", mac: MacAddress | None = None, mtu: int | None = None) -> bytes:
    parts = []
    if name:
        parts.append(text(_IFLA_IFNAME, name))
    if mac is not None:
        parts.append(attribute(_IFLA_ADDRESS, mac.octets))
    if mtu is not None:
        parts.append(u32(_IFLA_MTU, mtu))
    return b"".join(parts)


def _up(up: bool) -> tuple[int, int]:
    return (IFF_UP, IFF_UP) if up else (0, 0)


def new_bridge(name: str, *, mac: MacAddress | None = None, mtu: int | None = None, up: bool = False) -> Request:
    return new_plain("bridge", name, mac=mac, mtu=mtu, up=up)


def new_veth(
    name: str,
    peer: str,
    *,
    peer_ns: int | None = None,
    mac: MacAddress | None = None,
    peer_mac: MacAddress | None = None,
    mtu: int | None = None,
    master: int | None = None,
    up: bool = False,
    peer_up: bool = False,
) -> Request:
    """Both ends at once; the peer is made directly in the namespace that the fd *peer_ns* stands for."""
    peer_body = _ifinfo(0, *_up(peer_up)) + _common(peer, peer_mac, mtu)
    if peer_ns is not None:
        peer_body += u32(_IFLA_NET_NS_FD, peer_ns)
    info = nested(
        _IFLA_LINKINFO,
        text(_IFLA_INFO_KIND, "veth"),
        nested(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer_body)),
    )
    body = _ifinfo(0, *_up(up)) + _common(name, mac, mtu) + info
    if master is not None:
        body += u32(_IFLA_MASTER, master)
    return Request(RTM_NEWLINK, _NEW, body, f"veth {name}")


def new_child(kind: str, name: str, parent: int, data: bytes, *, ns: int | None, mac: MacAddress | None) -> Request:
    """A link on top of another one (macvlan, vlan)."""
    body = _ifinfo() + _common(name, mac) + u32(_IFLA_LINK, parent)
    body += nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind), nested(_IFLA_INFO_DATA, data))
    if ns is not None:
        body += u32(_IFLA_NET_NS_FD, ns)
    return Request(RTM_NEWLINK, _NEW, body, f"{kind} {name}")


def new_macvlan(name: str, parent: int, mode: str, ns: int | None, mac: MacAddress | None) -> Request:
    return new_child("macvlan", name, parent, u32(_IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]), ns=ns, mac=mac)


def new_vlan(name: str, parent: int, vid: int) -> Request:
    data = attribute(_IFLA_VLAN_ID, struct.pack("=H", vid))
    return new_child("vlan", name, parent, data, ns=None, mac=None)


def new_plain(
    kind: str, name: str, *, mac: MacAddress | None = None, mtu: int | None = None, up: bool = False
) -> Request:
    """A link that needs nothing but its kind (dummy, ifb)."""
    body = _ifinfo(0, *_up(up)) + _common(name, mac, mtu) + nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, kind))
    return Request(RTM_NEWLINK, _NEW, body, f"{kind} {name}")


def set_link(
    index: int,
    *,
    up: bool | None = None,
    master: int | None = None,
    mtu: int | None = None,
    mac: MacAddress | None = None,
    name: str = "",
    ns: int | None = None,
    no_link_local: bool = False,
) -> Request:
    """Change a link; *master* 0 releases it from its bridge; *no_link_local* keeps the kernel from adding fe80::."""
    flags, change = (0, 0) if up is None else (IFF_UP if up else 0, IFF_UP)
    body = _ifinfo(index, flags, change) + _common(name, mac, mtu)
    if master is not None:
        body += u32(_IFLA_MASTER, master)
    if ns is not None:
        body += u32(_IFLA_NET_NS_FD, ns)
    if no_link_local:
        mode = u8(_IFLA_INET6_ADDR_GEN_MODE, _IN6_ADDR_GEN_MODE_NONE)
        body += nested(_IFLA_AF_SPEC, nested(AF_INET6, mode))
    return Request(RTM_NEWLINK, _ASK, body, f"link {name or index}")


def set_bridge_port(index: int, **flags: bool) -> Request:
    """hairpin, learning, isolated, unicast_flood, neigh_suppress of a port of a bridge."""
    data = b"".join(u8(_IFLA_BRPORT[name], int(value)) for name, value in flags.items())
    body = _ifinfo(index) + nested(
        _IFLA_LINKINFO, text(_IFLA_INFO_SLAVE_KIND, "bridge"), nested(_IFLA_INFO_SLAVE_DATA, data)
    )
    return Request(RTM_NEWLINK, _ASK, body, f"bridge port {index}")


def del_link(index: int) -> Request:
    return Request(RTM_DELLINK, _ASK, _ifinfo(index), f"link {index}")


def altname(index: int, name: str, *, delete: bool = False) -> Request:
    body = _ifinfo(index) + nested(_IFLA_PROP_LIST, text(_IFLA_ALT_IFNAME, name))
    kind = RTM_DELLINKPROP if delete else RTM_NEWLINKPROP
    flags = _ASK if delete else _NEW
    return Request(kind, flags, body, f"altname {name}")


def get_link(index: int = 0, name: str = "") -> Request:
    body = _ifinfo(index)
    if name:
        body += text(_IFLA_IFNAME, name) if len(name) < 16 else text(_IFLA_ALT_IFNAME, name)
    return Request(RTM_GETLINK, NLM_F_REQUEST, body, f"link {name or index}")


def dump_links() -> Request:
    return Request(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, _ifinfo(), "links")


def new_address(index: int, interface: IPInterface, *, nodad: bool = True, replace: bool = False) -> Request:
    """An IPv6 address is usable at once unless duplicate address detection is asked for."""
    return _address(
        RTM_NEWADDR, _ASK | NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL), index, interface, nodad
    )


def del_address(index: int, interface: IPInterface) -> Request:
    return _address(RTM_DELADDR, _ASK, index, interface, False)


def _address(kind: int, flags: int, index: int, interface: IPInterface, nodad: bool) -> Request:
    family = AF_INET if interface.version == 4 else AF_INET6
    body = _IFADDR.pack(family, interface.network.prefixlen, 0, 0, index)
    body += attribute(_IFA_LOCAL, interface.ip.packed) + attribute(_IFA_ADDRESS, interface.ip.packed)
    if isinstance(interface, IPv4Interface) and interface.network.prefixlen < 31:
        body += attribute(4, interface.network.broadcast_address.packed)  # IFA_BROADCAST
    if nodad and family == AF_INET6:
        body += u32(_IFA_FLAGS, _IFA_F_NODAD)
    return Request(kind, flags, body, f"address {interface}")


def dump_addresses() -> Request:
    return Request(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, _IFADDR.pack(0, 0, 0, 0, 0), "addresses")


def new_route(route: Route, *, replace: bool = False) -> Request:
    flags = _ASK | NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    return Request(RTM_NEWROUTE, flags, _route(route), _route_name(route))


def del_route(route: Route) -> Request:
    return Request(RTM_DELROUTE, _ASK, _route(route), _route_name(route))


def _route_name(route: Route) -> str:
    return f"route {route.dst or 'default'}" + (f" via {route.gateway}" if route.gateway else "")


def _route(route: Route) -> bytes:
    known = route.dst or route.gateway
    family = route.family if known is None else (AF_INET if known.version == 4 else AF_INET6)
    scope = route.scope
    if route.gateway is None and family == AF_INET:
        scope = RT_SCOPE_LINK
    length = route.dst.prefixlen if route.dst is not None else 0
    body = _RTMSG.pack(family, length, 0, 0, RT_TABLE_MAIN, _RTPROT_STATIC, scope, _RTN_UNICAST, 0)
    if route.dst is not None:
        body += attribute(_RTA_DST, route.dst.network_address.packed)
    if route.gateway is not None:
        body += attribute(_RTA_GATEWAY, route.gateway.packed)
    if route.index is not None:
        body += u32(_RTA_OIF, route.index)
    if route.metric:
        body += u32(_RTA_PRIORITY, route.metric)
    if route.prefsrc is not None:
        body += attribute(_RTA_PREFSRC, route.prefsrc.packed)
    return body


def dump_routes(family: int = AF_UNSPEC) -> Request:
    body = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    return Request(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, body, "routes")


def new_neighbour(index: int, address: IPAddress, mac: MacAddress) -> Request:
    """A permanent neighbour entry."""
    family = AF_INET if address.version == 4 else AF_INET6
    body = _NDMSG.pack(family, 0, index, 0x80, 0, 0) + attribute(_NDA_DST, address.packed)
    flags = _ASK | NLM_F_CREATE | NLM_F_REPLACE
    return Request(RTM_NEWNEIGH, flags, body + attribute(_NDA_LLADDR, mac.octets), f"neighbour {address}")


def dump_neighbours() -> Request:
    return Request(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, _NDMSG.pack(0, 0, 0, 0, 0, 0), "neighbours")


# parsing


def parse_link(body: bytes) -> Link:
    """The body of an RTM_NEWLINK or RTM_DELLINK."""
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    found = attributes(body, _IFINFO.size)
    info = attributes(found.get(_IFLA_LINKINFO, b""))
    slave = attributes(info.get(_IFLA_INFO_SLAVE_DATA, b""))
    mac = found.get(_IFLA_ADDRESS, b"")
    properties = attribute_list(found.get(_IFLA_PROP_LIST, b""))
    return Link(
        index=index,
        name=to_text(found.get(_IFLA_IFNAME, b"")),
        kind=to_text(info.get(_IFLA_INFO_KIND, b"")),
        mac=MacAddress(mac) if len(mac) == 6 else None,
        mtu=to_int(found.get(_IFLA_MTU, b"")),
        up=bool(flags & IFF_UP),
        master=to_int(found[_IFLA_MASTER]) if _IFLA_MASTER in found else None,
        peer_index=to_int(found[_IFLA_LINK]) if _IFLA_LINK in found else None,
        peer_nsid=to_int(found[_IFLA_LINK_NETNSID]) if _IFLA_LINK_NETNSID in found else None,
        altnames=tuple(to_text(value) for kind, value in properties if kind == _IFLA_ALT_IFNAME),
        port=tuple((name, to_int(slave[kind])) for name, kind in _IFLA_BRPORT.items() if kind in slave),
    )


def parse_address(body: bytes) -> Address:
    """The body of an RTM_NEWADDR or RTM_DELADDR."""
    _, length, flags, scope, index = _IFADDR.unpack_from(body)
    found = attributes(body, _IFADDR.size)
    packed = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    all_flags = to_int(found[_IFA_FLAGS]) if _IFA_FLAGS in found else flags
    interface: IPv4Interface | IPv6Interface = ip_interface((packed, length))
    return Address(index, interface, scope, all_flags)


def parse_route(body: bytes) -> Route | None:
    """The body of an RTM_NEWROUTE; None for what is no unicast route (local, broadcast, blackhole)."""
    family, length, _, _, table, _, scope, kind, _ = _RTMSG.unpack_from(body)
    if kind != _RTN_UNICAST or family not in (AF_INET, AF_INET6):
        return None
    found = attributes(body, _RTMSG.size)
    dst = _destination(found, family, length)
    return Route(
        dst=dst,
        gateway=ip_address(found[_RTA_GATEWAY]) if _RTA_GATEWAY in found else None,
        index=to_int(found[_RTA_OIF]) if _RTA_OIF in found else None,
        scope=scope,
        table=to_int(found[_RTA_TABLE]) if _RTA_TABLE in found else table,
        metric=to_int(found[_RTA_PRIORITY]) if _RTA_PRIORITY in found else 0,
        prefsrc=ip_address(found[_RTA_PREFSRC]) if _RTA_PREFSRC in found else None,
        family=family,
    )


def parse_destination(body: bytes) -> IPNetwork | None:
    """The network that an RTM_NEWROUTE says anything about, be it that it is unreachable; None for a default route and
    for addresses of the host itself."""
    family, length, _, _, _, _, _, kind, _ = _RTMSG.unpack_from(body)
    if kind not in _RTN_ELSEWHERE or family not in (AF_INET, AF_INET6):
        return None
    return _destination(attributes(body, _RTMSG.size), family, length)


def _destination(found: dict[int, bytes], family: int, length: int) -> IPNetwork | None:
    if _RTA_DST in found:
        return ip_network((found[_RTA_DST], length))
    return ip_network((bytes(4 if family == AF_INET else 16), length)) if length else None


def parse_neighbour(body: bytes) -> Neighbour | None:
    """The body of an RTM_NEWNEIGH; None for entries of the bridge's forwarding table."""
    family, _, index, state, _, _ = _NDMSG.unpack_from(body)
    found = attributes(body, _NDMSG.size)
    if family not in (AF_INET, AF_INET6) or _NDA_DST not in found:
        return None
    mac = found.get(_NDA_LLADDR, b"")
    return Neighbour(index, ip_address(found[_NDA_DST]), MacAddress(mac) if len(mac) == 6 else None, state)
