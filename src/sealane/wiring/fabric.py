"""The network as the engine calls it: networks, sandboxes and endpoints, made in the kernel and taken out again.

Every verb makes a plan (pure, ``sealane.network``) and runs it (``apply``): it is done whole or not at all. Errors are
sealane's own; a refusal of the kernel comes out as Internal with the command that would have done the same.

Lifetimes: a ``Fabric`` owns one netlink socket and one libnftables context of the host namespace, and a thread that
deletes links in the background; ``close`` waits for it. Nothing in the kernel depends on the object: containers go on
when it is gone, and a new one takes over with ``prepare`` and ``repair``. Call it from one thread at a time.

*host_ns* None is the namespace of the calling thread. *table* names the nftables tables, and marks the links: two
engines on one host have two names.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from sealane.errors import Internal
from sealane.linux import namespaces
from sealane.linux.conntrack import Conntrack
from sealane.linux.netlink.nfevents import RuleEvents
from sealane.linux.netlink.socket import Rtnl
from sealane.linux.nft import Nft
from sealane.network import describe
from sealane.network.describe import KernelObject
from sealane.network.drivers.registry import endpoint_topology, network_topology
from sealane.network.firewall import (
    FirewallSettings,
    base_ruleset,
    bridge_table,
    endpoint_elements,
    tracked,
)
from sealane.network.plan import Cut, Op, Plan, Rename, SetLink, plan
from sealane.network.ruleset import TABLE, Ruleset, SetId
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.network.topology import EMPTY, HOST, Link, LinkKey, Namespace, Route, Topology, union
from sealane.network.validate import check_conflicts
from sealane.values import ContainerId, EndpointId, IfName, IPNetwork, NetworkId, short
from sealane.wiring import existing, flows, forwarding
from sealane.wiring.apply import Applier
from sealane.wiring.beside import Neighbours
from sealane.wiring.observe import Observer, default_routes, host_networks
from sealane.wiring.reaper import Reaper
from sealane.wiring.render_nft import render, replace_tables

ALTNAME_MAX: Final = 127
_log = logging.getLogger(__name__)


class Fabric:
    """See the module. *netns_dir* holds the containers' namespaces, one file per container id."""

    def __init__(self, netns_dir: Path, host_ns: Path | None = None, table: str = TABLE) -> None:
        self._netns_dir = netns_dir
        self._host_ns = host_ns
        self._table = table
        self._rtnl = self._open_rtnl()
        try:
            self._nft = Nft.open() if host_ns is None else Nft.open_in(host_ns)
        except OSError:
            self._rtnl.close()
            raise
        self._applier = Applier(self._rtnl, self._nft, host_ns)
        self._observer = Observer(self._rtnl, self._nft, host_ns, table)
        self._neighbours = Neighbours(self._nft, host_ns, table)
        self._reaper = Reaper(self._open_rtnl, _could_not_bury)
        self._flows = flows.Forgetter(self._open_conntrack, _could_not_forget)
        self._networks: dict[NetworkId, NetworkSpec] = {}
        #: Sandboxes that nothing was connected to yet: they hold no routes that would have to be looked at.
        self._fresh: set[Path] = set()
        #: Endpoints whose ports are gone while their links are still there.
        self._unpublished: set[EndpointId] = set()
        #: Endpoints that were there before our tables began to count: a new table counts from zero.
        self._uncounted: set[EndpointId] = set()
        self._icc_guard = False
        self._ipv6 = False

    def _open_rtnl(self) -> Rtnl:
        return Rtnl.open() if self._host_ns is None else Rtnl.open_in(self._host_ns)

    def _open_conntrack(self) -> Conntrack:
        return Conntrack.open() if self._host_ns is None else Conntrack.open_in(self._host_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for links and connections that are being deleted, then let go of the sockets. Idempotent."""
        self._flows.close()
        self._reaper.close()
        self._nft.close()
        self._rtnl.close()

    # the whole

    def prepare(self, networks: Iterable[NetworkSpec], endpoints: Iterable[EndpointSpec]) -> None:
        """Forwarding on, and our tables in place with everything that *networks* and *endpoints* put into them.

        One transaction replaces whatever the tables held, so traffic of running containers meets no gap. Idempotent.
        """
        self._networks = {network.id: network for network in networks}
        self._icc_guard = any(_needs_guard(network) for network in self._networks.values())
        self._ipv6 = any(network.ipv6 for network in self._networks.values())
        endpoints = list(endpoints)
        self._uncounted.update(endpoint.id for endpoint in endpoints)
        wanted = self._wanted(endpoints)
        try:
            forwarding.enable(self._host_ns, self._ipv6)
            surplus = () if self._icc_guard else (bridge_table(self._table),)
            self._nft.run(replace_tables(self._ruleset(), wanted.elements, surplus))
            self._neighbours.look(_bridges(self._networks.values()))
        except OSError as error:
            raise Internal(f"cannot set up the firewall: {error.strerror or error}") from error

    def _ruleset(self) -> Ruleset:
        return base_ruleset(FirewallSettings(icc_guard=self._icc_guard, table=self._table))

    def _wanted(self, endpoints: Iterable[EndpointSpec]) -> Topology:
        """Everything that the known networks and *endpoints* should hold."""
        parts = [self._network_topology(network) for network in self._networks.values()]
        for endpoint in endpoints:
            network = self._networks.get(endpoint.network)
            if network is not None:
                parts.append(endpoint_topology(network, endpoint, self._sandbox(endpoint.container)))
        return union(parts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What other firewalls on this host do to our traffic and we cannot help, as ``prepare`` found it."""
        return self._neighbours.warnings

    def rule_events(self) -> RuleEvents:
        """A socket that tells when other programs change the host's rules; the caller closes it."""
        return RuleEvents() if self._host_ns is None else namespaces.run_in(self._host_ns, RuleEvents)

    def look_around(self, networks: Iterable[NetworkSpec], endpoints: Iterable[EndpointSpec]) -> Plan:
        """After somebody changed rules: ask the firewalls beside ours again; ``repair`` where our tables are gone.

        Returns what was repaired. Writes nothing where all is as it should be.
        """
        try:
            families = [table.family for table in self._ruleset().tables]
            if all(self._observer.present(family) for family in families):
                self._neighbours.look(_bridges(self._networks.values()), everywhere=False)
                return ()
        except OSError as error:
            raise Internal(f"cannot look at the firewall: {error.strerror or error}") from error
        return self.repair(networks, endpoints)

    def dismantle(self) -> None:
        """Take everything that carries our mark out of the host: links, tables, our chain in iptables' tables.

        For an engine that leaves the host for good; containers must be gone.
        """
        surplus = (*base_ruleset(FirewallSettings(table=self._table)).tables, bridge_table(self._table))
        try:
            self._nft.run(replace_tables(Ruleset(), (), surplus))
            self._neighbours.withdraw()
        except OSError as error:
            raise Internal(f"cannot take our firewall down: {error.strerror or error}") from error
        self._networks = {}
        self._applier.tear(plan(EMPTY, replace(self._observe(EMPTY), elements=()), self._table))

    # networks

    def create_network(self, network: NetworkSpec) -> None:
        """The network's links, addresses and firewall elements, or nothing of it.

        Raises Forbidden when another network has its bridge, Internal when its parent does not exist.
        """
        self._reaper.touch()
        check_conflicts(network, self._networks.values())
        existing.check_parent(self._rtnl, network)
        wanted = self._network_topology(network)
        try:
            if network.ipv6 and not self._ipv6 and wanted:
                forwarding.enable(self._host_ns, True)
                self._ipv6 = True
            if _needs_guard(network) and not self._icc_guard:
                self._nft.run(render(Ruleset((bridge_table(self._table),))))
                self._icc_guard = True
        except OSError as error:
            raise Internal(f"cannot prepare network {network.name}: {error.strerror or error}") from error
        for link in wanted.links:
            self._reaper.wait_for(link.key)
        wanted, observed = existing.adopt(self._rtnl, self._observer, network, wanted)
        self._applier.run(plan(wanted, observed, self._table))
        self._networks[network.id] = network
        self._tell_neighbours()

    def _tell_neighbours(self) -> None:
        """A network that other firewalls hold up is still a network: a failure here is only logged."""
        try:
            self._neighbours.update(_bridges(self._networks.values()))
        except OSError as error:
            _log.warning("cannot ask the firewalls beside ours to let containers through: %s", error.strerror or error)

    def _network_topology(self, network: NetworkSpec) -> Topology:
        """As the driver says, the links marked as this engine's."""
        topology = network_topology(network)
        links = tuple(replace(link, altname=self._mark(network)) for link in topology.links)
        return replace(topology, links=links)

    def _mark(self, network: NetworkSpec) -> str:
        tail = f".{short(network.id)}.{self._table}"
        name = "".join("_" if c.isspace() or c in "/:" or not c.isprintable() else c for c in network.name)
        return name.encode()[: ALTNAME_MAX - len(tail)].decode(errors="ignore") + tail

    def remove_network(self, network: NetworkSpec) -> None:
        """Take the network out of the kernel. Runs to the end; the links themselves go in the background.

        A bridge that was there before us stays.
        """
        self._reaper.touch()
        self._networks.pop(network.id, None)
        held = self._network_topology(network)
        others = self._networks.values()
        mine = [link for link in held.links if existing.is_mine(self._rtnl, self._table, network, link, others)]
        addresses = tuple(a for a in held.addresses if any(a.link == link.name for link in mine))
        steps = plan(EMPTY, Topology(addresses=addresses, elements=held.elements), self._table)
        # The mark stays: should we be killed before the link is deleted, repair knows it by that.
        self._applier.tear((*steps, *(Cut(replace(link, altname="")) for link in mine)))
        for link in mine:
            self._reaper.bury(link.key)
        self._tell_neighbours()

    # sandboxes

    def _sandbox(self, container: ContainerId) -> Namespace:
        return Namespace(str(self._netns_dir / container))

    def create_sandbox(self, container: ContainerId) -> Path:
        """An empty namespace with its loopback up; returns the file that names it."""
        path = self._netns_dir / container
        self._reaper.touch()
        try:
            namespaces.create(path)
        except OSError as error:
            raise Internal(f"cannot make a network namespace for container {short(container)}: {error}") from error
        self._fresh.add(path)
        return path

    def restore_sandbox(self, container: ContainerId, pid: int) -> None:
        """Name the namespace of a container's process again, should somebody have unmounted it."""
        try:
            namespaces.restore(self._netns_dir / container, pid)
        except OSError as error:
            raise Internal(f"cannot find the network namespace of container {short(container)}: {error}") from error

    def remove_sandbox(self, container: ContainerId) -> None:
        """Take the namespace's name away; it and its links go in the background. Idempotent.

        Its endpoints have to be disconnected first: until it is gone it would answer for their addresses.
        """
        path = self._netns_dir / container
        self._reaper.touch()
        self._fresh.discard(path)
        try:
            if path.exists():
                self._reaper.bury_namespace(namespaces.open_fd(path))
                namespaces.remove(path)
        except OSError as error:
            raise Internal(f"cannot remove the network namespace of container {short(container)}: {error}") from error

    def clear_sandboxes(self, keep: Collection[str]) -> None:
        """Let go of every namespace that is not of a container in *keep*: left-overs of an engine that was killed."""
        for path in self._netns_dir.iterdir():
            if path.name not in keep:
                self.remove_sandbox(ContainerId(path.name))

    # endpoints

    def connect(self, network: NetworkSpec, endpoint: EndpointSpec, sandbox_ns: Path) -> None:
        """The endpoint's link, addresses, routes and published ports, or nothing of it."""
        self._reaper.touch()
        ns = Namespace(str(sandbox_ns))
        wanted = endpoint_topology(network, endpoint, ns)
        observed = EMPTY
        if wanted.routes and sandbox_ns not in self._fresh:
            families = {route.version for route in wanted.routes}
            present = [route for route in self._default_routes(ns) if route.version in families]
            observed = Topology(routes=tuple(present))
        self._flows.wait_for(address for _, address in tracked(endpoint))
        self._applier.run(plan(wanted, observed, self._table))
        self._fresh.discard(sandbox_ns)
        if network.bridge is not None:
            self._flows.forget(flows.of_published(endpoint))

    def unpublish(self, network: NetworkSpec, endpoint: EndpointSpec) -> None:
        """Nobody is led to the endpoint's published ports any more; connections by them are forgotten.

        The first step of a teardown, for a container whose names are taken away before its links. Idempotent.
        """
        self._reaper.touch()
        if not endpoint.ports or endpoint.id in self._unpublished:
            return
        held = endpoint_elements(network, endpoint)
        kept = endpoint_elements(network, replace(endpoint, ports=()))
        self._applier.tear(plan(Topology(elements=kept), Topology(elements=held), self._table))
        self._unpublished.add(endpoint.id)
        if self._talked(network, endpoint):
            self._flows.forget(flows.of_endpoint(endpoint))

    def republish(self, network: NetworkSpec, before: EndpointSpec, after: EndpointSpec) -> None:
        """Other published ports lead to an endpoint of a running container, or it has another name: nothing else."""
        self._reaper.touch()
        held, wanted = (self._publication(network, endpoint) for endpoint in (before, after))
        lost = before.ports != after.ports and self._talked(network, before)
        self._applier.run(plan(wanted, held, self._table))
        if lost:
            self._flows.forget(flows.of_endpoint(before))
        if network.bridge is not None:
            self._flows.forget(flows.of_published(after))

    def _publication(self, network: NetworkSpec, endpoint: EndpointSpec) -> Topology:
        whole = endpoint_topology(network, endpoint, self._sandbox(endpoint.container))
        return Topology(links=tuple(link for link in whole.links if link.ns == HOST), elements=whole.elements)

    def disconnect(self, network: NetworkSpec, endpoint: EndpointSpec, sandbox_ns: Path | None) -> None:
        """Published ports first, then the link. Runs to the end; what is gone already is no error.

        The link is cut, and the container's end gives up its addresses and its name; it is deleted in the background.
        *sandbox_ns* None: the namespace is about to go and takes the link along; until then it is only cut.
        """
        self._reaper.touch()
        forgotten = endpoint.id in self._unpublished
        if forgotten:
            endpoint = replace(endpoint, ports=())
        talked = self._talked(network, endpoint)
        ns = Namespace(str(sandbox_ns)) if sandbox_ns is not None else self._sandbox(endpoint.container)
        held = endpoint_topology(network, endpoint, ns)
        addresses = held.addresses if sandbox_ns is not None else ()
        steps = plan(EMPTY, Topology(addresses=addresses, elements=held.elements), self._table)
        steps = (*steps, *(Cut(link) for link in held.links if link.ns == HOST))
        if sandbox_ns is not None:
            steps = (*steps, *_retirement(endpoint, [link for link in held.links if link.ns == ns]))
        try:
            self._applier.tear(steps)
        finally:
            # After the link: what the container still sent would be tracked anew. A dying one sends nothing more.
            if sandbox_ns is not None:
                self._bury(endpoint, held.links)
            if talked and not (forgotten and sandbox_ns is None):
                self._flows.forget(flows.of_endpoint(endpoint))
            self._unpublished.discard(endpoint.id)
            self._uncounted.discard(endpoint.id)

    def _bury(self, endpoint: EndpointSpec, links: Iterable[Link]) -> None:
        for link in links:
            if link.owner:
                self._reaper.bury(link.key if link.ns == HOST else LinkKey(link.ns, endpoint.host_ifname))

    def _talked(self, network: NetworkSpec, endpoint: EndpointSpec) -> bool:
        """Whether the kernel may remember connections of *endpoint*. To be asked while its elements are there."""
        if network.bridge is None:
            return False
        return endpoint.id in self._uncounted or flows.talked(self._nft, self._table, endpoint)

    def set_default_routes(self, sandbox_ns: Path, endpoints: Sequence[EndpointSpec]) -> None:
        """Make the default routes of a sandbox those that *endpoints* carry; *endpoints* are all of its endpoints."""
        ns = Namespace(str(sandbox_ns))
        wanted = [
            route
            for endpoint in endpoints
            if (network := self._networks.get(endpoint.network)) is not None
            for route in endpoint_topology(network, endpoint, ns).routes
        ]
        observed = Topology(routes=self._default_routes(ns))
        self._applier.run(plan(Topology(routes=tuple(wanted)), observed, self._table))

    def _default_routes(self, ns: Namespace) -> tuple[Route, ...]:
        try:
            with Rtnl.open_in(Path(ns)) as rtnl:
                indexes = {link.index: IfName(link.name) for link in rtnl.links() if link.name != "lo"}
                return default_routes(rtnl, ns, indexes)
        except OSError as error:
            raise Internal(f"cannot look into the network namespace {ns}: {error}") from error

    # looking, and mending

    def check(self, networks: Iterable[NetworkSpec], endpoints: Iterable[EndpointSpec]) -> Plan:
        """What would have to be done so that the kernel holds just what these should hold; () when it does.

        Lost tables (``nft flush ruleset``) are not part of the plan: ``repair`` loads them anew.
        """
        self._networks = {network.id: network for network in networks}
        wanted = self._wanted(endpoints)
        return plan(wanted, self._observe(wanted), self._table)

    def repair(self, networks: Iterable[NetworkSpec], endpoints: Iterable[EndpointSpec]) -> Plan:
        """Make the kernel hold just what these should hold, as far as it can be done; returns what was done.

        *endpoints* are those of running containers. Links with our mark that nobody wants are deleted.
        """
        networks, endpoints = list(networks), list(endpoints)
        self.prepare(networks, endpoints)
        found = self.check(networks, endpoints)
        self._applier.tear(found)
        return found

    def host_networks(self) -> list[IPNetwork]:
        """Every network that the host has a route to or an address in."""
        try:
            return host_networks(self._rtnl)
        except OSError as error:
            raise Internal(f"cannot read the host's routes: {error.strerror or error}") from error

    def observe(self, endpoints: Iterable[EndpointSpec] = ()) -> Topology:
        """The present state of all that is ours: of the known networks, and of *endpoints*' sandboxes."""
        return self._observe(self._wanted(endpoints))

    def _observe(self, wanted: Topology) -> Topology:
        sets = {SetId(t.family, item.name): item for t in self._ruleset().tables for item in t.sets}
        try:
            return self._observer.topology(wanted, sets)
        except OSError as error:
            raise Internal(f"cannot look at the network: {error.strerror or error}") from error

    def describe_network(self, network: NetworkSpec, endpoints: Iterable[EndpointSpec]) -> list[KernelObject]:
        """Everything that the network and *endpoints* hold in the kernel. Looks at nothing: good for dry runs."""
        placed = [(endpoint, self._sandbox(endpoint.container)) for endpoint in endpoints]
        return list(describe.describe_network(network, placed, self._table))


def _bridges(networks: Iterable[NetworkSpec]) -> list[IfName]:
    return [network.bridge.bridge_name for network in networks if network.bridge is not None]


def _needs_guard(network: NetworkSpec) -> bool:
    return network.bridge is not None and not network.bridge.icc


def _could_not_forget(error: OSError) -> None:
    _log.warning("cannot make the kernel forget connections of containers that are gone: %s", error.strerror or error)


def _retirement(endpoint: EndpointSpec, links: Iterable[Link]) -> Plan:
    """The container's links as nobody's: down, and by a name that no other link of the container can want."""
    steps: list[Op] = []
    for link in links:
        steps += (SetLink(link, replace(link, up=False)), Rename(link.key, LinkKey(link.ns, endpoint.host_ifname)))
    return tuple(steps)


def _could_not_bury(link: LinkKey, error: OSError) -> None:
    _log.warning("cannot delete link %s: %s; the next repair tries again", link, error.strerror or error)
