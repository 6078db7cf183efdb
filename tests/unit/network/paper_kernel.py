"""A kernel on paper: does operations to a topology as the real one would, and refuses what that would refuse.

Good enough to prove that a plan's order works and that it ends where it should; tests/kernel does the same for real.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sealane.network.plan import (
    AddAddress,
    AddElements,
    AddLink,
    AddRoute,
    Cut,
    DelAddress,
    DelElements,
    DelLink,
    DelRoute,
    Op,
    Rename,
    Restore,
    SetLink,
    SetSysctl,
)
from sealane.network.ruleset import Atom, SetId
from sealane.network.topology import Address, Link, LinkKey, Namespace, Route, Sysctl, Topology
from sealane.values import IfName


class Refused(Exception):
    pass


class PaperKernel:
    def __init__(self, topology: Topology) -> None:
        self.links: dict[LinkKey, Link] = {link.key: link for link in topology.links}
        self.sysctls: dict[tuple[Namespace, str], str] = {(s.ns, s.key): s.value for s in topology.sysctls}
        self.addresses: set[Address] = set(topology.addresses)
        self.routes: set[Route] = set(topology.routes)
        self.elements: dict[tuple[SetId, tuple[Atom, ...]], tuple[Atom, ...]] = {
            (element.set, element.key): element.data for element in topology.elements
        }

    def state(self) -> tuple[object, ...]:
        return self.links, self.addresses, self.routes, self.elements

    def do(self, op: Op) -> None:
        match op:
            case AddLink(link, peer):
                for end in (link, *([peer] if peer is not None else [])):
                    if end.key in self.links:
                        raise Refused(f"{end.name} exists")
                    if end.master is not None and LinkKey(end.ns, end.master) not in self.links:
                        raise Refused(f"{end.name}: no master {end.master}")
                    self.links[end.key] = end
            case DelLink(link, peer):
                self._link(link.ns, link.name)
                self._gone(link.key)
                if peer is not None:
                    self._gone(peer.key)
                for key, other in self.links.items():
                    if (other.ns, other.master) == (link.ns, link.name):
                        self.links[key] = replace(other, master=None, hairpin=False)
            case SetLink(_, after):
                self._link(after.ns, after.name)
                if after.master is not None:
                    self._link(after.ns, after.master)
                self.links[after.key] = after
            case Cut(link) | Restore(link):
                self.links[link.key] = replace(self._link(link.ns, link.name), up=isinstance(op, Restore))
            case Rename(before, after):
                if self._link(before.ns, before.name).up or after in self.links:
                    raise Refused(f"{before} cannot be called {after}")
                self.links[after] = replace(self.links.pop(before), name=after.name)
            case AddAddress(address):
                self._link(address.ns, address.link)
                self._add(self.addresses, address)
            case DelAddress(address):
                self._remove(self.addresses, address)
            case AddRoute(route):
                if not self._link(route.ns, route.link).up:
                    raise Refused(f"{route.link} is down")
                same = (route.ns, route.dst, route.version)
                if any((other.ns, other.dst, other.version) == same for other in self.routes):
                    raise Refused(f"there is a route to {route.dst}")
                self._add(self.routes, route)
            case DelRoute(route):
                self._remove(self.routes, route)
            case SetSysctl(Sysctl(ns, key, value)):
                self.sysctls[ns, key] = value
            case AddElements(elements):
                for element in elements:
                    if self.elements.setdefault((element.set, element.key), element.data) != element.data:
                        raise Refused(f"{element} is another")
            case DelElements(elements):
                for element in elements:
                    if self.elements.pop((element.set, element.key), None) is None:
                        raise Refused(f"no {element}")

    def _link(self, ns: Namespace, name: IfName) -> Link:
        if LinkKey(ns, name) not in self.links:
            raise Refused(f"no link {name}")
        return self.links[LinkKey(ns, name)]

    def _gone(self, key: LinkKey) -> None:
        self.links.pop(key, None)
        self.addresses = {item for item in self.addresses if (item.ns, item.link) != (key.ns, key.name)}
        self.routes = {item for item in self.routes if (item.ns, item.link) != (key.ns, key.name)}

    def _add(self, items: set[Any], item: Any) -> None:
        if item in items:
            raise Refused(f"{item} exists")
        items.add(item)

    def _remove(self, items: set[Any], item: Any) -> None:
        if item not in items:
            raise Refused(f"no {item}")
        items.remove(item)
