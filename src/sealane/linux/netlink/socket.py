"""One rtnetlink socket: links, addresses, routes and neighbours of a network namespace, in the kernel's words."""

from __future__ import annotations

import errno
from typing import ClassVar

from sealane.linux.netlink import rtnl
from sealane.linux.netlink.exchange import NETLINK_ROUTE, Netlink
from sealane.linux.netlink.rtnl import Address, Link, Neighbour, Route
from sealane.values import IPAddress, IPInterface, IPNetwork, MacAddress


class Rtnl(Netlink):
    """A NETLINK_ROUTE socket. Thread-safe; ``close`` is idempotent."""

    PROTOCOL: ClassVar[int] = NETLINK_ROUTE

    # links

    def links(self) -> list[Link]:
        return [rtnl.parse_link(item.body) for item in self.ask(rtnl.dump_links()) if item.kind == rtnl.RTM_NEWLINK]

    def link(self, name: str) -> Link:
        """By name or alternative name. Raises OSError ENODEV."""
        return rtnl.parse_link(self.ask(rtnl.get_link(name=name))[0].body)

    def link_by_index(self, index: int) -> Link:
        return rtnl.parse_link(self.ask(rtnl.get_link(index))[0].body)

    def index(self, which: int | str) -> int:
        """A link's index, asked for when *which* is a name."""
        return which if isinstance(which, int) else self.link(which).index

    def add_bridge(self, name: str, *, mac: MacAddress | None = None, mtu: int | None = None, up: bool = False) -> int:
        self.do(rtnl.new_bridge(name, mac=mac, mtu=mtu, up=up))
        return self.index(name)

    def add_veth(
        self,
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
    ) -> int:
        """Both ends; the peer lies in the namespace of the fd *peer_ns*. Returns the index of *name*."""
        request = rtnl.new_veth(
            name, peer, peer_ns=peer_ns, mac=mac, peer_mac=peer_mac, mtu=mtu, master=master, up=up, peer_up=peer_up
        )
        self.do(request)
        return self.index(name)

    def add_macvlan(
        self, name: str, parent: int, *, mode: str = "bridge", ns_fd: int | None = None, mac: MacAddress | None = None
    ) -> None:
        self.do(rtnl.new_macvlan(name, parent, mode, ns_fd, mac))

    def add_vlan(self, name: str, parent: int, vid: int) -> int:
        self.do(rtnl.new_vlan(name, parent, vid))
        return self.index(name)

    def add_dummy(self, name: str, *, mac: MacAddress | None = None, mtu: int | None = None, up: bool = False) -> int:
        """A link that is always up and swallows everything; an ifb link does the same where the kernel has no
        CONFIG_DUMMY. OSError EOPNOTSUPP where it has neither."""
        try:
            self.do(rtnl.new_plain("dummy", name, mac=mac, mtu=mtu, up=up))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self.do(rtnl.new_plain("ifb", name, mac=mac, mtu=mtu, up=up))
        return self.index(name)

    def set_link(
        self,
        which: int | str,
        *,
        up: bool | None = None,
        master: int | None = None,
        mtu: int | None = None,
        mac: MacAddress | None = None,
        name: str = "",
        ns_fd: int | None = None,
        no_link_local: bool = False,
    ) -> None:
        index = self.index(which)
        self.do(
            rtnl.set_link(
                index, up=up, master=master, mtu=mtu, mac=mac, name=name, ns=ns_fd, no_link_local=no_link_local
            )
        )

    def set_bridge_port(self, which: int | str, **flags: bool) -> None:
        self.do(rtnl.set_bridge_port(self.index(which), **flags))

    def add_altname(self, which: int | str, name: str) -> None:
        self.do(rtnl.altname(self.index(which), name))

    def del_altname(self, which: int | str, name: str) -> None:
        self.do(rtnl.altname(self.index(which), name, delete=True))

    def del_link(self, which: int | str) -> None:
        """Takes about 20 ms: the kernel waits until nobody uses the device any more."""
        self.do(rtnl.del_link(self.index(which)))

    # addresses, routes, neighbours

    def addresses(self, index: int | None = None) -> list[Address]:
        found = [rtnl.parse_address(item.body) for item in self.ask(rtnl.dump_addresses())]
        return [address for address in found if index is None or address.index == index]

    def add_address(
        self, which: int | str, interface: IPInterface, *, nodad: bool = True, replace: bool = False
    ) -> None:
        self.do(rtnl.new_address(self.index(which), interface, nodad=nodad, replace=replace))

    def del_address(self, which: int | str, interface: IPInterface) -> None:
        self.do(rtnl.del_address(self.index(which), interface))

    def routes(self, family: int = rtnl.AF_UNSPEC, table: int | None = rtnl.RT_TABLE_MAIN) -> list[Route]:
        """Unicast routes, on-link ones included; *table* None gives those of every table."""
        found = [rtnl.parse_route(item.body) for item in self.ask(rtnl.dump_routes(family))]
        return [route for route in found if route is not None and (table is None or route.table == table)]

    def destinations(self) -> list[IPNetwork]:
        """Every network that some route of some table is for, whether it leads there or forbids it."""
        found = [rtnl.parse_destination(item.body) for item in self.ask(rtnl.dump_routes())]
        return list(dict.fromkeys(network for network in found if network is not None))

    def add_route(self, route: Route, *, replace: bool = False) -> None:
        self.do(rtnl.new_route(route, replace=replace))

    def del_route(self, route: Route) -> None:
        self.do(rtnl.del_route(route))

    def neighbours(self) -> list[Neighbour]:
        found = [rtnl.parse_neighbour(item.body) for item in self.ask(rtnl.dump_neighbours())]
        return [neighbour for neighbour in found if neighbour is not None]

    def add_neighbour(self, which: int | str, address: IPAddress, mac: MacAddress) -> None:
        self.do(rtnl.new_neighbour(self.index(which), address, mac))
