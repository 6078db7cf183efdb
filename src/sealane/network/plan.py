"""Plans: small frozen operations, each of which describes itself and knows its inverse; and the way to make one.

``plan(wanted, observed)`` gives the operations that turn *observed* into *wanted*, in an order that the kernel accepts:
first what is too much goes (elements, routes, addresses, links), then what is missing comes (links, sysctls, addresses,
links up, routes, elements). Elements come last and go first, so that traffic is never led to something half made.

``describe()`` is the ``ip``, ``sysctl`` or ``nft`` command that does the same; ``inverse()`` is the operation that
takes it back, or None where taking back another operation does so already (a sysctl of a link that this plan makes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from sealane.network.ruleset import TABLE, Element, by_set, elements_command
from sealane.network.topology import HOST, Address, Link, LinkKey, LinkKind, Namespace, Route, Sysctl, Topology
from sealane.values import IfName


def ip_command(ns: Namespace, family: str = "") -> str:
    """``ip``, run in *ns*."""
    word = f"ip {family}".rstrip()
    return word if ns == HOST else f"nsenter --net={ns} {word}"


@dataclass(frozen=True, slots=True)
class AddLink:
    """Make *link*; for a veth pair its other end, *peer*, is made with it. Plans make links down, and up later."""

    link: Link
    peer: Link | None = None

    def describe(self) -> str:
        link, peer = self.link, self.peer
        parts = [f"{ip_command(link.ns)} link add {link.name}"]
        if link.kind in (LinkKind.MACVLAN, LinkKind.VLAN):
            parts = [f"ip link add link {link.parent} name {link.name}"]
            if link.ns != HOST:
                parts.append(f"netns {link.ns}")
        parts += _attributes(link)
        parts.append(f"type {link.kind.value}")
        if link.kind is LinkKind.MACVLAN:
            parts.append(f"mode {link.mode}")
        if link.kind is LinkKind.VLAN:
            parts.append(f"id {link.vlan}")
        if peer is not None:
            parts.append(" ".join(("peer name", peer.name, *_attributes(peer), "netns", peer.ns)))
        command = " ".join(parts)
        if link.altname:
            command += f" && ip link property add dev {link.name} altname {link.altname}"
        if link.hairpin:
            command += f" && bridge link set dev {link.name} hairpin on"
        return command

    def inverse(self) -> DelLink:
        return DelLink(self.link, self.peer)


@dataclass(frozen=True, slots=True)
class DelLink:
    link: Link
    peer: Link | None = None

    def describe(self) -> str:
        return f"{ip_command(self.link.ns)} link del {self.link.name}"

    def inverse(self) -> AddLink:
        return AddLink(self.link, self.peer)


@dataclass(frozen=True, slots=True)
class SetLink:
    """Change a link from *before* to *after*: up, mtu, MAC address, master, hairpin or second name."""

    before: Link
    after: Link

    def describe(self) -> str:
        was, now = self.before, self.after
        parts = [f"{ip_command(now.ns)} link set {now.name}"]
        if now.mtu is not None and now.mtu != was.mtu:
            parts.append(f"mtu {now.mtu}")
        if now.mac is not None and now.mac != was.mac:
            parts.append(f"address {now.mac}")
        if now.master != was.master:
            parts.append(f"master {now.master}" if now.master else "nomaster")
        if now.up != was.up:
            parts.append("up" if now.up else "down")
        commands = [" ".join(parts)] if len(parts) > 1 else []
        if now.hairpin != was.hairpin:
            commands.append(f"bridge link set dev {now.name} hairpin {'on' if now.hairpin else 'off'}")
        if now.altname != was.altname:
            for verb, name in (("del", was.altname), ("add", now.altname)):
                commands += [f"ip link property {verb} dev {now.name} altname {name}"] if name else []
        return " && ".join(commands)

    def inverse(self) -> SetLink:
        return SetLink(self.after, self.before)


@dataclass(frozen=True, slots=True)
class Cut:
    """Take a link out of service at once: down, and without its readable name. It is deleted later."""

    link: Link

    def describe(self) -> str:
        return f"{ip_command(self.link.ns)} link set {self.link.name} down"

    def inverse(self) -> Restore:
        return Restore(self.link)


@dataclass(frozen=True, slots=True)
class Restore:
    """Put a link that was cut back into service."""

    link: Link

    def describe(self) -> str:
        return f"{ip_command(self.link.ns)} link set {self.link.name} up"

    def inverse(self) -> Cut:
        return Cut(self.link)


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a link that is down another name."""

    before: LinkKey
    after: LinkKey

    def describe(self) -> str:
        return f"{ip_command(self.before.ns)} link set {self.before.name} name {self.after.name}"

    def inverse(self) -> Rename:
        return Rename(self.after, self.before)


@dataclass(frozen=True, slots=True)
class AddAddress:
    address: Address

    def describe(self) -> str:
        nodad = " nodad" if self.address.interface.version == 6 else ""
        return f"{ip_command(self.address.ns)} addr add {self.address.interface} dev {self.address.link}{nodad}"

    def inverse(self) -> DelAddress:
        return DelAddress(self.address)


@dataclass(frozen=True, slots=True)
class DelAddress:
    address: Address

    def describe(self) -> str:
        return f"{ip_command(self.address.ns)} addr del {self.address.interface} dev {self.address.link}"

    def inverse(self) -> AddAddress:
        return AddAddress(self.address)


@dataclass(frozen=True, slots=True)
class AddRoute:
    route: Route

    def describe(self) -> str:
        return _route_command("add", self.route)

    def inverse(self) -> DelRoute:
        return DelRoute(self.route)


@dataclass(frozen=True, slots=True)
class DelRoute:
    route: Route

    def describe(self) -> str:
        return _route_command("del", self.route)

    def inverse(self) -> AddRoute:
        return AddRoute(self.route)


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """Set a sysctl; *before* is its present value where that is known and worth going back to."""

    sysctl: Sysctl
    before: str | None = None

    def describe(self) -> str:
        ns = self.sysctl.ns
        return f"{'' if ns == HOST else f'nsenter --net={ns} '}sysctl -w {self.sysctl.key}={self.sysctl.value}"

    def inverse(self) -> SetSysctl | None:
        if self.before is None:
            return None
        return SetSysctl(replace(self.sysctl, value=self.before), self.sysctl.value)


@dataclass(frozen=True, slots=True)
class AddElements:
    """Add elements to sets of our tables, in one transaction."""

    elements: tuple[Element, ...]
    table: str = TABLE

    def describe(self) -> str:
        return _elements_command("add", self.table, self.elements)

    def inverse(self) -> DelElements:
        return DelElements(self.elements, self.table)


@dataclass(frozen=True, slots=True)
class DelElements:
    elements: tuple[Element, ...]
    table: str = TABLE

    def describe(self) -> str:
        return _elements_command("delete", self.table, self.elements)

    def inverse(self) -> AddElements:
        return AddElements(self.elements, self.table)


Op = (
    AddLink
    | DelLink
    | SetLink
    | Cut
    | Restore
    | Rename
    | AddAddress
    | DelAddress
    | AddRoute
    | DelRoute
    | SetSysctl
    | AddElements
    | DelElements
)
Plan = tuple[Op, ...]


def plan(wanted: Topology, observed: Topology, table: str = TABLE) -> Plan:
    """The operations that turn *observed* into *wanted*. Empty when they say the same.

    ``None`` in a wanted link's ``mac`` or ``mtu`` is satisfied by any value. A link that exists in another kind, or
    with another peer, parent or mode, is deleted and made anew, and with it all that was on it. *table* is the name of
    our nftables tables.
    """
    have = {link.key: link for link in observed.links}
    want = {link.key: link for link in wanted.links}
    remade = {key for key, link in want.items() if key in have and not _same_link(link, have[key])}
    remade |= {peer.key for key in remade if (peer := _peer(want[key], want)) is not None}
    present = {key: link for key, link in have.items() if key in want and key not in remade}
    gone = {key for key in have if key not in present}
    return (*_removals(wanted, observed, gone, have, table), *_additions(wanted, observed, present, gone, table))


def _removals(
    wanted: Topology, observed: Topology, gone: set[LinkKey], have: Mapping[LinkKey, Link], table: str
) -> Iterable[Op]:
    surplus = _minus(observed.elements, wanted.elements)
    if surplus:
        yield DelElements(surplus, table)
    # Deleting a link takes its addresses and routes along; naming them first lets the plan be turned round.
    lost = {(key.ns, key.name) for key in gone}
    yield from (DelRoute(route) for route in _missing(observed.routes, wanted.routes, lost))
    yield from (DelAddress(address) for address in _missing(observed.addresses, wanted.addresses, lost))
    for link in reversed(observed.links):
        if link.key in gone and link.owner:
            yield DelLink(link, _peer(link, have))


def _additions(
    wanted: Topology, observed: Topology, present: Mapping[LinkKey, Link], gone: set[LinkKey], table: str
) -> Iterable[Op]:
    want = {link.key: link for link in wanted.links}
    made = [link for link in wanted.links if link.key not in present]
    for link in made:
        if link.owner:
            yield AddLink(replace(link, up=_up_when_made(link)), _made_peer(link, want))
    before = {(item.ns, item.key): item.value for item in observed.sysctls}
    for sysctl in wanted.sysctls:
        was = before.get((sysctl.ns, sysctl.key))
        if was != sysctl.value:
            yield SetSysctl(sysctl, was)
    lost = {(key.ns, key.name) for key in gone}
    yield from (AddAddress(a) for a in _missing(wanted.addresses, observed.addresses, lost))
    for link in made:
        if link.up and not (link.owner and _up_when_made(link)):
            yield SetLink(replace(link, up=False), link)
    for key, link in want.items():
        if key in present and (target := _target(link, present[key])) != present[key]:
            yield SetLink(present[key], target)
    yield from (AddRoute(r) for r in _missing(wanted.routes, observed.routes, lost))
    lacking = _minus(wanted.elements, observed.elements)
    if lacking:
        yield AddElements(lacking, table)


Item = TypeVar("Item", Address, Route)
Thing = TypeVar("Thing", Address, Route, Element)


def _missing(some: tuple[Item, ...], others: tuple[Item, ...], lost: set[tuple[Namespace, IfName]]) -> list[Item]:
    """What of *some* is not among *others*, or goes with a link that is made anew."""
    there = set(others)
    return [item for item in some if item not in there or (item.ns, item.link) in lost]


def _minus(one: tuple[Thing, ...], other: tuple[Thing, ...]) -> tuple[Thing, ...]:
    if not one or not other:
        return one
    there = set(other)
    return tuple(item for item in one if item not in there)


def _up_when_made(link: Link) -> bool:
    """A pair's first end comes up at once: nothing can pass before the other end is up as well."""
    return link.up and link.kind is LinkKind.VETH and link.owner


def _peer(link: Link, links: Mapping[LinkKey, Link]) -> Link | None:
    return links.get(link.peer) if link.peer is not None else None


def _made_peer(link: Link, links: Mapping[LinkKey, Link]) -> Link | None:
    peer = _peer(link, links)
    return replace(peer, up=False) if peer is not None else None


def _same_link(wanted: Link, seen: Link) -> bool:
    """False when *seen* cannot be changed into *wanted*."""
    return (
        wanted.kind is seen.kind
        and (wanted.peer is None or seen.peer is None or wanted.peer == seen.peer)
        and (wanted.parent, wanted.mode, wanted.vlan) == (seen.parent, seen.mode, seen.vlan)
    )


def _target(wanted: Link, seen: Link) -> Link:
    """*seen* with everything changed that *wanted* says otherwise."""
    return replace(
        seen,
        up=wanted.up,
        mtu=seen.mtu if wanted.mtu is None else wanted.mtu,
        mac=seen.mac if wanted.mac is None else wanted.mac,
        master=wanted.master,
        hairpin=wanted.hairpin,
        altname=wanted.altname,
    )


def _attributes(link: Link) -> list[str]:
    parts = []
    if link.mac is not None:
        parts.append(f"address {link.mac}")
    if link.mtu is not None:
        parts.append(f"mtu {link.mtu}")
    if link.master is not None:
        parts.append(f"master {link.master}")
    if link.up:
        parts.append("up")
    return parts


def _route_command(verb: str, route: Route) -> str:
    via = f" via {route.gateway}" if route.gateway is not None else ""
    family = "-6" if route.version == 6 else ""
    return f"{ip_command(route.ns, family)} route {verb} {route.dst or 'default'}{via} dev {route.link}"


def _elements_command(verb: str, table: str, elements: tuple[Element, ...]) -> str:
    lines = [elements_command(verb, table, group, members) for group, members in by_set(elements).items()]
    return f"nft '{'; '.join(lines)}'"
