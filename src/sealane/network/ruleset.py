"""A small typed subset of nftables: tables, chains, rules, sets, maps and their elements, as frozen values.

Only what ``firewall`` needs is here; a match is a field of the packet against a value, a set, or a flag. The text of
``nft`` is made from these values in ``wiring/render_nft`` and nowhere else. Priorities are numbers, because nft 1.0.6
knows the name ``dstnat`` in prerouting only. See nft(8).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sealane.values import IfName, IPAddress, IPNetwork, Transport

#: The name of every table of ours; the family tells them apart. A second engine on one host has another name.
TABLE: Final = "sealane"


class Family(enum.Enum):
    INET = "inet"
    BRIDGE = "bridge"


class Type(enum.Enum):
    """Data types of set keys and map values, by nft's names."""

    IFNAME = "ifname"
    IPV4 = "ipv4_addr"
    IPV6 = "ipv6_addr"
    PROTO = "inet_proto"
    PORT = "inet_service"


#: A part of an element's key or data.
Atom = IfName | IPAddress | IPNetwork | Transport | int


class Field(enum.Enum):
    """What a rule can look at; the values are nft's expressions."""

    IIF = "iif"
    IIFNAME = "iifname"
    OIFNAME = "oifname"
    SADDR4 = "ip saddr"
    DADDR4 = "ip daddr"
    SADDR6 = "ip6 saddr"
    DADDR6 = "ip6 daddr"
    NFPROTO = "meta nfproto"
    L4PROTO = "meta l4proto"
    DPORT = "th dport"
    FIB_DADDR = "fib daddr type"
    CT_STATE = "ct state"
    CT_STATUS = "ct status"
    PKTTYPE = "meta pkttype"
    ETHER_GROUP = "ether daddr & 01:00:00:00:00:00"
    ICMP_TYPE = "icmp type"
    ICMPV6_TYPE = "icmpv6 type"


@dataclass(frozen=True, slots=True)
class SetRef:
    """``@name``: the packet's fields are looked up in a set of the same table."""

    name: str


@dataclass(frozen=True, slots=True)
class Match:
    """*fields* (joined by ``.``) equal *right*, or are in it when it is a set; ``negate`` turns it round.

    A plain text on the right is an nft symbol such as ``local``, ``invalid`` or ``fe80::/10``.
    """

    fields: tuple[Field, ...]
    right: SetRef | str
    negate: bool = False


class Verdict(enum.Enum):
    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"
    MASQUERADE = "masquerade"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Jump:
    chain: str


@dataclass(frozen=True, slots=True)
class NatMap:
    """``dnat|snat ip|ip6 to FIELDS map @name``: a packet whose fields are not in the map goes on."""

    nat: str  # "dnat" or "snat"
    version: int  # 4 or 6
    fields: tuple[Field, ...]
    map: str


@dataclass(frozen=True, slots=True)
class Rule:
    matches: tuple[Match, ...]
    action: Verdict | Jump | NatMap
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a base chain is hooked in. Every base chain of ours has the policy accept."""

    type: str
    hook: str
    priority: int


@dataclass(frozen=True, slots=True)
class Chain:
    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class Set:
    """A named set, or a map when ``data`` is not empty. ``interval`` keys are prefixes; with ``counter`` every element
    counts the packets that were found in it."""

    name: str
    key: tuple[Type, ...]
    data: tuple[Type, ...] = ()
    interval: bool = False
    counter: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    family: Family
    name: str
    sets: tuple[Set, ...] = ()
    chains: tuple[Chain, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class SetId:
    """A set or map of one of our tables."""

    family: Family
    name: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a set, or of a map when ``data`` is not empty."""

    set: SetId
    key: tuple[Atom, ...]
    data: tuple[Atom, ...] = ()

    def __str__(self) -> str:
        """The element as nft writes it: ``tcp . 8080 : 172.17.0.2 . 80``."""
        text = " . ".join(map(atom_text, self.key))
        return f"{text} : {' . '.join(map(atom_text, self.data))}" if self.data else text


def atom_text(atom: Atom) -> str:
    """One value in nft's spelling; interface names are quoted, for they may hold anything but blanks."""
    if isinstance(atom, IfName):
        return f'"{atom}"'
    return atom.value if isinstance(atom, Transport) else str(atom)


def by_set(elements: Iterable[Element]) -> dict[SetId, list[Element]]:
    """Elements grouped by their set, in the order in which the sets first appear."""
    groups: dict[SetId, list[Element]] = {}
    for element in elements:
        groups.setdefault(element.set, []).append(element)
    return groups


def elements_command(verb: str, table: str, group: SetId, elements: Sequence[Element]) -> str:
    """The nft command that adds or deletes *elements*, all of one set; *verb* is ``add`` or ``delete``."""
    texts = (str(element) if verb == "add" else " . ".join(map(atom_text, element.key)) for element in elements)
    return f"{verb} element {group.family.value} {table} {group.name} {{ {', '.join(texts)} }}"
