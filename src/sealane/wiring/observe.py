"""Reads the kernel back into ``network.topology`` values, as far as it is ours.

Only what could be wanted is looked at: the links named in *wanted* or marked as ours, their addresses, the default
routes inside sandboxes, the sysctls in *wanted*, and every element of our tables. A namespace that does not exist holds
nothing.
"""

from __future__ import annotations

import errno
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from sealane.linux import namespaces, sysctl
from sealane.linux.netlink import rtnl as messages
from sealane.linux.netlink.socket import Rtnl
from sealane.linux.nft import Nft
from sealane.network.ruleset import Atom, Element, Family, Set, SetId, Type
from sealane.network.topology import HOST, Address, Link, LinkKind, Namespace, Route, Sysctl, Topology
from sealane.values import IfName, IPNetwork, Transport

#: The names that Sealane gives to links on the host: bridges (``sl-`` + 12 hex) and ends of veth pairs (``sl`` + 13).
OURS: Final = re.compile(r"sl(-[0-9a-f]{12}|[0-9a-f]{13})")

#: Where the kernel has no dummy links, ifb links do their work.
_KINDS: Final = {kind.value: kind for kind in LinkKind} | {"ifb": LinkKind.DUMMY}


class Observer:
    """Looks at one host namespace; *table* is the name of our nftables tables, and the mark of our links."""

    def __init__(self, rtnl: Rtnl, nft: Nft, host_ns: Path | None, table: str) -> None:
        self._rtnl = rtnl
        self._nft = nft
        self._host_ns = host_ns
        self._table = table
        self._mark = re.compile(rf".+\.[0-9a-f]{{12}}\.{re.escape(table)}")

    def topology(self, wanted: Topology, sets: Mapping[SetId, Set]) -> Topology:
        """The present state of everything in *wanted* and of everything else that is ours."""
        host = self._host(wanted)
        inside = [self._sandbox(ns, wanted) for ns in _sandboxes(wanted)]
        parts = (host, *inside)
        return Topology(
            links=tuple(link for part in parts for link in part.links),
            sysctls=tuple(self._sysctls(wanted.sysctls)),
            addresses=tuple(address for part in parts for address in part.addresses),
            routes=tuple(route for part in parts for route in part.routes),
            elements=tuple(self.elements(sets)),
        )

    def elements(self, sets: Mapping[SetId, Set]) -> Iterator[Element]:
        """Every element of our tables; nothing where a table is missing."""
        for family in Family:
            yield from parse_elements(self.listing(family), family, sets)

    def present(self, family: Family) -> bool:
        """Whether our table is there at all."""
        try:
            self._nft.query(f"list chain {family.value} {self._table} forward")  # "list tables" reads all of them
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        return True

    def listing(self, family: Family) -> str:
        """Our table as nft's JSON; an empty list where there is no such table."""
        try:
            return self._nft.query_json(f"list table {family.value} {self._table}")
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return '{"nftables": []}'

    def _host(self, wanted: Topology) -> Topology:
        seen = self._rtnl.links()
        names = {link.index: link.name for link in seen}
        by_name = {link.name: link for link in seen}
        asked = {link.name: link for link in wanted.links if link.ns == HOST}
        ours = {link.name for link in seen if self._is_ours(link, {item.index: item for item in seen})}
        chosen = [by_name[name] for name in dict.fromkeys((*asked, *sorted(ours))) if name in by_name]
        links = tuple(_link(HOST, link, asked.get(IfName(link.name)), names) for link in chosen)
        indexes = {link.index: IfName(link.name) for link in chosen}
        return Topology(links=links, addresses=self._addresses(self._rtnl, HOST, indexes))

    def _is_ours(self, link: messages.Link, by_index: Mapping[int, messages.Link]) -> bool:
        """A link that carries our mark, or an end of a veth pair on such a bridge."""
        if any(self._mark.fullmatch(name) for name in link.altnames):
            return True
        master = by_index.get(link.master) if link.master is not None else None
        return master is not None and OURS.fullmatch(link.name) is not None and self._is_ours(master, {})

    def _addresses(self, rtnl: Rtnl, ns: Namespace, indexes: Mapping[int, IfName]) -> tuple[Address, ...]:
        return tuple(
            Address(ns, indexes[item.index], item.interface)
            for item in rtnl.addresses()
            if item.index in indexes and not item.interface.ip.is_link_local
        )

    def _sandbox(self, ns: Namespace, wanted: Topology) -> Topology:
        if not Path(ns).exists():
            return Topology()
        with Rtnl.open_in(Path(ns)) as rtnl:
            asked = {link.name: link for link in wanted.links if link.ns == ns}
            seen = [link for link in rtnl.links() if link.name != "lo"]
            indexes = {link.index: IfName(link.name) for link in seen}
            links = tuple(
                replace(_link(ns, link, asked.get(IfName(link.name)), {}), owner=_owner(link)) for link in seen
            )
            routes = default_routes(rtnl, ns, indexes)
            return Topology(links=links, addresses=self._addresses(rtnl, ns, indexes), routes=routes)

    def _sysctls(self, wanted: Sequence[Sysctl]) -> Iterator[Sysctl]:
        """The present values of *wanted*; those whose link or namespace is missing are left out."""
        by_ns: dict[Namespace, list[str]] = {}
        for item in wanted:
            by_ns.setdefault(item.ns, []).append(item.key)
        for ns, keys in by_ns.items():
            where = self._host_ns if ns == HOST else Path(ns)
            if where is not None and not where.exists():
                continue
            values = _read_all(keys) if where is None else namespaces.run_in(where, functools.partial(_read_all, keys))
            yield from (Sysctl(ns, key, value) for key, value in values)


def default_routes(rtnl: Rtnl, ns: Namespace, indexes: Mapping[int, IfName]) -> tuple[Route, ...]:
    """The default routes of a sandbox, by the links in *indexes*."""
    return tuple(
        Route(ns, name, None, route.gateway)
        for route in rtnl.routes()
        if route.dst is None and route.gateway is not None and (name := indexes.get(route.index or 0)) is not None
    )


def _sandboxes(wanted: Topology) -> list[Namespace]:
    return list(dict.fromkeys(link.ns for link in wanted.links if link.ns != HOST))


def _owner(link: messages.Link) -> bool:
    return link.kind != LinkKind.VETH.value


def _read_all(keys: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for key in keys:
        try:
            found.append((key, sysctl.get(key)))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
    return found


def _link(ns: Namespace, seen: messages.Link, wanted: Link | None, names: Mapping[int, str]) -> Link:
    """A link as the kernel shows it. What it does not show (parent, mode, peer) is taken to be as wanted."""
    kind = _KINDS.get(seen.kind)
    master = names.get(seen.master) if seen.master is not None else None
    found = Link(
        ns=ns,
        name=IfName(seen.name),
        kind=kind or LinkKind.VETH,
        mac=seen.mac,
        mtu=seen.mtu,
        up=seen.up,
        master=IfName(master) if master is not None else None,
        hairpin=dict(seen.port).get("hairpin", 0) == 1,
    )
    if wanted is None or kind is not wanted.kind:
        return found
    return replace(
        found,
        peer=wanted.peer,
        owner=wanted.owner,
        parent=wanted.parent,
        mode=wanted.mode,
        vlan=wanted.vlan,
        altname=wanted.altname,
    )


def parse_elements(listing: str, family: Family, sets: Mapping[SetId, Set]) -> Iterator[Element]:
    """The elements in nft's JSON *listing* of one of our tables (libnftables-json(5)); sets that we do not know are
    left out."""
    for item in json.loads(listing)["nftables"]:
        body = item.get("set") or item.get("map")
        known = sets.get(SetId(family, body["name"])) if body else None
        if body is None or known is None:
            continue
        for entry in body.get("elem", []):
            key, data = entry if known.data else (entry, None)
            yield Element(
                SetId(family, known.name),
                _atoms(known.key, key),
                _atoms(known.data, data) if known.data else (),
            )


def _atoms(types: tuple[Type, ...], value: object) -> tuple[Atom, ...]:
    if isinstance(value, dict) and "elem" in value:  # an element with a timeout, counter or comment
        value = value["elem"]["val"]
    parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return tuple(_atom(kind, part) for kind, part in zip(types, parts, strict=True))


def _atom(kind: Type, value: object) -> Atom:
    text = str(value)
    match kind:
        case Type.IFNAME:
            return IfName(text)
        case Type.IPV4:
            return IPv4Address(text)
        case Type.IPV6:
            return IPv6Address(text)
        case Type.PROTO:
            return Transport(text)
        case Type.PORT:
            return int(text)


def host_networks(rtnl: Rtnl) -> list[IPNetwork]:
    """Every destination that the host has a route for, and every network that one of its interfaces is on."""
    found: dict[IPNetwork, None] = dict.fromkeys(rtnl.destinations())
    for address in rtnl.addresses():
        if not address.interface.is_loopback and not address.interface.ip.is_link_local:
            found[address.interface.network] = None
    return list(found)
