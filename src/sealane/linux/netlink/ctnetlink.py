"""The connection tracking messages that Sealane uses (linux/netfilter/nfnetlink_conntrack.h). Pure.

A flow is two tuples: the one of its first packet, and the one by which answers come; they are each other's reverse
unless addresses are translated. Numbers inside attributes are big-endian here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from sealane.linux.netlink.codec import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, Request, attribute, attributes
from sealane.values import IPAddress

_SUBSYSTEM: Final = 1 << 8  # NFNL_SUBSYS_CTNETLINK
IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET_STATS = (
    _SUBSYSTEM | n for n in (0, 1, 2, 5)
)
_NFGENMSG: Final = struct.Struct("=BBH")
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_ID, _CTA_ZONE = 1, 2, 12, 18
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_IP_V4_SRC, _CTA_IP_V4_DST, _CTA_IP_V6_SRC, _CTA_IP_V6_DST = 1, 2, 3, 4
_CTA_PROTO_NUM, _CTA_PROTO_SRC_PORT, _CTA_PROTO_DST_PORT = 1, 2, 3
_CTA_STATS_GLOBAL_ENTRIES: Final = 1
_NESTED: Final = 0x8000


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of a flow; ``protocol`` is the number in the IP header, ports are 0 where it has none."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int
    destination_port: int


@dataclass(frozen=True, slots=True)
class Flow:
    """An entry of the connection tracking table. ``handle`` is what names it in a request to delete it."""

    original: Tuple
    reply: Tuple
    handle: bytes


def dump_flows() -> Request:
    """Every flow of the namespace, of both families. The kernel walks its whole table, which all namespaces share."""
    return Request(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, _NFGENMSG.pack(0, 0, 0), "flows")


def get_stats() -> Request:
    return Request(IPCTNL_MSG_CT_GET_STATS, NLM_F_REQUEST, _NFGENMSG.pack(0, 0, 0), "flows")


def del_flow(flow: Flow) -> Request:
    return Request(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, flow.handle, f"flow to {flow.original.destination}")


def parse_flow(body: bytes) -> Flow:
    """The body of an IPCTNL_MSG_CT_NEW."""
    found = attributes(body, _NFGENMSG.size)
    handle = body[: _NFGENMSG.size] + attribute(_CTA_TUPLE_ORIG | _NESTED, found[_CTA_TUPLE_ORIG])
    # The id keeps a flow that took the place of this one alive; a zone is part of the name.
    handle += b"".join(attribute(kind, found[kind]) for kind in (_CTA_ID, _CTA_ZONE) if kind in found)
    return Flow(_tuple(found[_CTA_TUPLE_ORIG]), _tuple(found[_CTA_TUPLE_REPLY]), handle)


def parse_stats(body: bytes) -> int:
    """How many flows the namespace has."""
    return _number(attributes(body, _NFGENMSG.size).get(_CTA_STATS_GLOBAL_ENTRIES, b""))


def address_needle(address: IPAddress) -> bytes:
    """What the bytes of every flow with *address* contain."""
    return address.packed


def destination_port_needle(port: int) -> bytes:
    """What the bytes of every flow to *port* contain."""
    return attribute(_CTA_PROTO_DST_PORT, port.to_bytes(2, "big"))[:6]


def _tuple(data: bytes) -> Tuple:
    parts = attributes(data)
    ends, protocol = attributes(parts[_CTA_TUPLE_IP]), attributes(parts[_CTA_TUPLE_PROTO])
    return Tuple(
        ip_address(ends.get(_CTA_IP_V4_SRC) or ends[_CTA_IP_V6_SRC]),
        ip_address(ends.get(_CTA_IP_V4_DST) or ends[_CTA_IP_V6_DST]),
        _number(protocol[_CTA_PROTO_NUM]),
        _number(protocol.get(_CTA_PROTO_SRC_PORT, b"")),
        _number(protocol.get(_CTA_PROTO_DST_PORT, b"")),
    )


def _number(payload: bytes) -> int:
    return int.from_bytes(payload, "big")
