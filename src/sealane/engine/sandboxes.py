"""The network side of a container's life: its namespace, its endpoints, its names, its published ports.

``settle`` decides (addresses, interface names, ports) and reserves; ``open`` acts, and what it did is taken back when
any
part of it fails; ``close`` tears down to the end, in the order that leaves no moment in which traffic is led to
something
that is gone: published ports, then names, then links. Interfaces are numbered in the order in which networks were
asked for.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from sealane.dns.publisher import Publisher
from sealane.engine.addresses import AddressBook
from sealane.engine.container import Container
from sealane.engine.context import Context
from sealane.engine.networks import Networks
from sealane.engine.portbook import PortBook
from sealane.engine.records import Attachment
from sealane.engine.undo import Undo
from sealane.engine.wires import Wires
from sealane.errors import InvalidArgument, NotFound, SealaneError
from sealane.network.endpoint import altname, choose_default_routes, settle_endpoint
from sealane.network.names import ContainerView, EndpointNames, Link, Upstream, endpoint_names
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.values import EndpointId, IfName, IPAddress, PublishedPort

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """What a container's network will be. ``own`` is False for host and container: modes."""

    own: bool
    endpoints: tuple[EndpointSpec, ...] = ()
    ports: tuple[PublishedPort, ...] = ()


class Sandboxes:
    """Makes and unmakes the network of containers."""

    def __init__(
        self,
        context: Context,
        networks: Networks,
        wires: Wires,
        publisher: Publisher,
        addresses: AddressBook,
        ports: PortBook,
    ) -> None:
        self._context = context
        self._networks = networks
        self._wires = wires
        self._publisher = publisher
        self._addresses = addresses
        self._ports = ports

    def namespace(self, container: Container) -> Path | None:
        """The path of the namespace that the container's process joins; None is the host's own."""
        mode = container.record.request.network_mode
        return None if mode == "host" else self._context.layout.sandbox(container.id)

    # deciding

    def settle(self, container: Container) -> SandboxPlan:
        """Choose every address, interface name and port. Raises before anything is made; reserves what it chose."""
        request = container.record.request
        if request.network_mode == "host" or request.network_mode.startswith("container:"):
            return SandboxPlan(own=False)
        chosen: list[EndpointSpec] = []
        try:
            for attachment in container.record.attachments:
                chosen.append(self.settle_one(container, attachment, chosen))
            return self._placed(container, chosen)
        except BaseException:
            self.release(container, chosen)
            raise

    def _placed(self, container: Container, endpoints: Sequence[EndpointSpec]) -> SandboxPlan:
        """All of a container's endpoints, with default routes and published ports where they belong.

        A container that was to have ports, and has its first way out only now, gets them now.
        """
        networks = self._networks.by_id()
        chosen = choose_default_routes(endpoints, networks)
        ports = container.live.ports or self._ports.allocate(container, chosen, networks)
        return SandboxPlan(own=True, endpoints=_with_ports(chosen, ports), ports=ports)

    def settle_one(self, container: Container, attachment: Attachment, others: Sequence[EndpointSpec]) -> EndpointSpec:
        """One endpoint beside *others* of the same container, its addresses reserved."""
        spec = self._find(attachment)
        wanted = [ip_address(text) for text in (attachment.asked.ipv4, attachment.asked.ipv6) if text]
        names = endpoint_names(
            container.name, attachment.asked.aliases, container.id, container.record.process.hostname
        )
        endpoint = settle_endpoint(
            spec,
            attachment.asked,
            identifier=EndpointId(self._context.new_id()),
            container=container.id,
            container_name=container.name,
            names=names if spec.user_defined else (),
            used_ifnames=[IfName(other.ifname) for other in others],
            taken=self._addresses.taken(spec, container.id, wanted),
            entropy=os.urandom(6),
        )
        for address in addresses_of(endpoint):
            self._addresses.hold(spec.id, address, container.id)
        return endpoint

    def _find(self, attachment: Attachment) -> NetworkSpec:
        if attachment.network_id is not None:
            spec = self._networks.get(attachment.network_id)
            if spec is not None:
                return spec
        return self._networks.resolve(attachment.asked.network)

    def release(self, container: Container, endpoints: Iterable[EndpointSpec]) -> None:
        """Give dynamic addresses back; static ones stay with the container."""
        for endpoint in endpoints:
            static = static_addresses(endpoint)
            for address in addresses_of(endpoint):
                if address not in static:
                    self._addresses.release(endpoint.network, address, container.id)

    async def give_up_ports(self, container: Container) -> None:
        """Let go of ports that were reserved, whether or not they were taken."""
        await self._ports.give_up(container)

    # acting

    async def make_namespace(self, container: Container, undo: Undo) -> None:
        """The empty namespace, so that the runtime can be prepared while it is being wired."""
        undo.add("namespace", lambda: self._wires.run(self._wires.fabric.remove_sandbox, container.id))
        await self._wires.run(self._wires.fabric.create_sandbox, container.id)

    async def wire(self, container: Container, plan: SandboxPlan, undo: Undo) -> None:
        """Links, addresses, routes, ports and names; when this returns every neighbour can resolve the container."""
        path = self._context.layout.sandbox(container.id)
        await self._ports.take(container, plan.ports, plan.endpoints)
        if plan.endpoints:
            undo.add("links", lambda: self._wires.run(self._unwire, plan.endpoints, path))
            await self._wires.run(self._wire, plan.endpoints, path)
        undo.add("names", lambda: self._unname(container, plan.endpoints))
        await self._name(container, plan.endpoints, path)
        for endpoint in plan.endpoints:
            self._networks.add_endpoint(endpoint)
        undo.add("endpoints", lambda: self._forget(plan.endpoints))

    def _wire(self, endpoints: Sequence[EndpointSpec], path: Path) -> None:
        """On the wiring thread."""
        for endpoint in endpoints:
            self._wires.fabric.connect(self._spec(endpoint), endpoint, path)

    def _unwire(self, endpoints: Sequence[EndpointSpec], path: Path | None) -> None:
        for endpoint in reversed(endpoints):
            self._wires.fabric.disconnect(self._spec(endpoint), endpoint, path)

    def _spec(self, endpoint: EndpointSpec) -> NetworkSpec:
        spec = self._networks.get(endpoint.network)
        if spec is None:
            raise NotFound(f"network {endpoint.network} not found")
        return spec

    async def _forget(self, endpoints: Iterable[EndpointSpec]) -> None:
        for endpoint in endpoints:
            self._networks.drop_endpoint(endpoint)

    # names

    def resolves(self, endpoints: Iterable[EndpointSpec]) -> bool:
        """True when a container with these endpoints has our resolver: it is on a user-defined network."""
        return any(self._spec(endpoint).user_defined for endpoint in endpoints)

    async def _name(self, container: Container, endpoints: Sequence[EndpointSpec], path: Path) -> None:
        if not self.resolves(endpoints):
            return
        await self._publisher.open_container(self.resolver_view(container, endpoints), path)
        for endpoint in endpoints:
            await self.publish(container, endpoint)

    async def publish(self, container: Container, endpoint: EndpointSpec) -> None:
        """Make an endpoint's names known on its network, acknowledged by the resolver."""
        if self._spec(endpoint).user_defined:
            await self._publisher.put_endpoint(endpoint.network, endpoint.id, dns_names(container, endpoint))

    async def _unname(self, container: Container, endpoints: Sequence[EndpointSpec]) -> None:
        if not self.resolves(endpoints):
            return
        for endpoint in endpoints:
            if self._spec(endpoint).user_defined:
                await self._publisher.drop_endpoint(endpoint.network, endpoint.id)
        await self._publisher.close_container(container.id)

    def resolver_view(self, container: Container, endpoints: Iterable[EndpointSpec]) -> ContainerView:
        """What the resolver has to know of the container as an asker."""
        request = container.record.request
        ordered = sorted(endpoints, key=lambda e: (-e.gw_priority, e.ifname))
        named = [endpoint for endpoint in ordered if self._spec(endpoint).user_defined]
        links = tuple(
            Link(alias or target, target, endpoint.network)
            for endpoint in named
            for target, _, alias in (link.partition(":") for link in (endpoint.asked.links if endpoint.asked else ()))
        )
        own = tuple(Upstream(_resolver_address(server)) for server in request.dns) or tuple(
            Upstream(server) for server in self._context.settings.dns
        )
        external = any(not self._spec(endpoint).internal for endpoint in ordered)
        return ContainerView(
            container=container.id,
            networks=tuple(endpoint.network for endpoint in named),
            links=links,
            external=external,
            upstreams=own or None,
            ndots=_ndots((*self._context.settings.dns_options, *request.dns_options)),
        )

    # hot-plugging

    async def connect(self, container: Container, attachment: Attachment) -> SandboxPlan:
        """Add one endpoint to a running container; returns what it has now, routes and ports in their new places."""
        live = container.live
        before = live.endpoints
        endpoint = self.settle_one(container, attachment, before)
        path = self._context.layout.sandbox(container.id)
        async with Undo() as undo:
            undo.add("address", lambda: self._release_later(container, (endpoint,)))
            plan = self._placed(container, (*before, endpoint))
            after, endpoint = plan.endpoints, plan.endpoints[-1]
            undo.add("ports", lambda: self._take_ports(container, live.ports, before))
            await self._take_ports(container, plan.ports, after)
            undo.add("link", lambda: self._wires.run(self._unplug, endpoint, after, before, path))
            await self._wires.run(self._plug, endpoint, before, after, path)
            undo.add("names", lambda: self._unname_one(container, endpoint, before))
            if not self.resolves(before) and self.resolves(after):
                await self._publisher.open_container(self.resolver_view(container, after), path)
            elif self.resolves(after):
                await self._publisher.update_container(self.resolver_view(container, after))
            await self.publish(container, endpoint)
        for changed in after:
            self._networks.add_endpoint(changed)
        return plan

    async def _take_ports(
        self, container: Container, ports: tuple[PublishedPort, ...], endpoints: Sequence[EndpointSpec]
    ) -> None:
        if ports:
            await self._ports.take(container, ports, endpoints)
        else:
            await self._ports.give_up(container)

    def _plug(
        self, endpoint: EndpointSpec, before: Sequence[EndpointSpec], after: Sequence[EndpointSpec], path: Path
    ) -> None:
        self._republish(before, after)
        self._wires.fabric.connect(self._spec(endpoint), endpoint, path)
        self._wires.fabric.set_default_routes(path, after)

    def _unplug(
        self, endpoint: EndpointSpec, before: Sequence[EndpointSpec], after: Sequence[EndpointSpec], path: Path
    ) -> None:
        self._wires.fabric.disconnect(self._spec(endpoint), endpoint, path)
        self._wires.fabric.set_default_routes(path, after)
        self._republish(before, after)

    def _republish(self, before: Sequence[EndpointSpec], after: Sequence[EndpointSpec]) -> None:
        """What the host shows of endpoints. The one that loses ports first, for a port leads to one place."""
        old = {endpoint.id: endpoint for endpoint in before}
        moved = [(old[new.id], new) for new in after if new.id in old and not _same_outside(old[new.id], new)]
        for was, now in sorted(moved, key=lambda pair: len(pair[1].ports)):
            self._wires.fabric.republish(self._spec(now), was, now)

    async def _release_later(self, container: Container, endpoints: Sequence[EndpointSpec]) -> None:
        self.release(container, endpoints)

    async def _unname_one(self, container: Container, endpoint: EndpointSpec, rest: Sequence[EndpointSpec]) -> None:
        if self._spec(endpoint).user_defined:
            await self._publisher.drop_endpoint(endpoint.network, endpoint.id)
        if self.resolves((*rest, endpoint)):
            await self._publisher.update_container(self.resolver_view(container, rest))

    async def disconnect(self, container: Container, endpoint: EndpointSpec) -> SandboxPlan:
        """Take one endpoint from a running container; returns what is left, routes and ports in their new places."""
        before = container.live.endpoints
        plan = self._placed(container, [other for other in before if other.id != endpoint.id])
        path = self._context.layout.sandbox(container.id)
        await self._unpublish((endpoint,))
        await self._unname_one(container, endpoint, plan.endpoints)
        await self._wires.run(self._unplug, endpoint, before, plan.endpoints, path)
        await self._take_ports(container, plan.ports, plan.endpoints)
        self._networks.drop_endpoint(endpoint)
        for changed in plan.endpoints:
            self._networks.add_endpoint(changed)
        for address in addresses_of(endpoint):
            self._addresses.release(endpoint.network, address, container.id)
        return plan

    # tearing down

    async def close(self, container: Container) -> None:
        """Unmake the container's network, whatever of it exists. Runs to the end; errors are gathered."""
        endpoints = container.live.endpoints
        failures: list[Exception] = []
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            lambda: self._unpublish(endpoints),  # before somebody else gets the ports
            lambda: self._ports.give_up(container),
            lambda: self._unname(container, endpoints),
            lambda: self._wires.run(self._tear, container, endpoints),
        )
        for step in steps:
            try:
                await step()
            except Exception as error:
                failures.append(error)
        await self._forget(endpoints)
        self.release(container, endpoints)
        if failures:
            raise ExceptionGroup(f"cannot take down all of the network of container {container.name}", failures)

    async def _unpublish(self, endpoints: Iterable[EndpointSpec]) -> None:
        """The first step of a teardown: nobody is led to the container any more."""
        for endpoint in endpoints:
            if endpoint.ports:
                await self._wires.run(self._wires.fabric.unpublish, self._spec(endpoint), endpoint)

    def _tear(self, container: Container, endpoints: Sequence[EndpointSpec]) -> None:
        """On the wiring thread: the published elements go at once, the links with their namespace."""
        self._unwire(endpoints, None)
        if self.namespace(container) is not None:
            self._wires.fabric.remove_sandbox(container.id)

    # after a restart of the engine

    def adopt(self, container: Container) -> None:
        """Note what a running container holds: endpoints, addresses, ports."""
        for endpoint in container.live.endpoints:
            self._networks.add_endpoint(endpoint)
            for address in addresses_of(endpoint):
                self._addresses.hold(endpoint.network, address, container.id)
        self._ports.adopt(container, container.live.ports)

    async def publish_all(self, running: Sequence[Container]) -> None:
        """Make resolver and relay hold exactly what belongs to the running containers."""
        await self._publish_names(running)
        await self._ports.reconcile(running)

    async def _publish_names(self, running: Sequence[Container]) -> None:
        held = await self._publisher.held()
        specs = [spec for spec in self._networks.specs() if spec.user_defined and not spec.config_only]
        wanted = {endpoint.id for container in running for endpoint in container.live.endpoints}
        for network, zone in held.networks.items():
            for stale in [endpoint for endpoint in zone.records if endpoint not in wanted]:
                await self._publisher.drop_endpoint(network, stale)
        named = {container.id for container in running if self.resolves(container.live.endpoints)}
        for identifier in [identifier for identifier in held.containers if identifier not in named]:
            await self._publisher.close_container(identifier)
        for network in [network for network in held.networks if network not in {spec.id for spec in specs}]:
            await self._publisher.drop_network(network)
        for spec in specs:
            await self._publisher.put_network(spec.id, spec.name, tuple(subnet.subnet for subnet in spec.subnets))
        for container in running:
            try:
                await self._name(container, container.live.endpoints, self._context.layout.sandbox(container.id))
            except SealaneError as error:
                _log.warning("container %s has no resolver: %s", container.name, error)

    async def renamed(self, container: Container) -> tuple[EndpointSpec, ...]:
        """After a rename: neighbours resolve the new name at once, and no longer the old one."""
        before = container.live.endpoints
        after = tuple(self._renamed(container, endpoint) for endpoint in before)
        for endpoint in after:
            self._networks.add_endpoint(endpoint)
            await self.publish(container, endpoint)
        await self._wires.run(self._republish, before, after)
        return after

    def _renamed(self, container: Container, endpoint: EndpointSpec) -> EndpointSpec:
        aliases = endpoint.asked.aliases if endpoint.asked else ()
        names = endpoint_names(container.name, aliases, container.id, container.record.process.hostname)
        spec = self._spec(endpoint)
        return replace(
            endpoint,
            container_name=container.name,
            altname=altname(container.name, spec.name),
            names=names if spec.user_defined else (),
        )


def _same_outside(one: EndpointSpec, other: EndpointSpec) -> bool:
    return (one.ports, one.altname) == (other.ports, other.altname)


def addresses_of(endpoint: EndpointSpec) -> tuple[IPAddress, ...]:
    return tuple(interface.ip for interface in (endpoint.ipv4, endpoint.ipv6) if interface is not None)


def static_addresses(endpoint: EndpointSpec) -> frozenset[IPAddress]:
    """The addresses that the client asked for by number."""
    if endpoint.asked is None:
        return frozenset()
    asked = {ip_address(text) for text in (endpoint.asked.ipv4, endpoint.asked.ipv6) if text}
    return frozenset(asked.intersection(addresses_of(endpoint)))


def dns_names(container: Container, endpoint: EndpointSpec) -> EndpointNames:
    """What neighbours resolve for an endpoint."""
    return EndpointNames(
        container=container.id,
        names=endpoint.names,
        ipv4=(endpoint.ipv4.ip,) if endpoint.ipv4 else (),
        ipv6=(endpoint.ipv6.ip,) if endpoint.ipv6 else (),
    )


def _with_ports(endpoints: Sequence[EndpointSpec], ports: Sequence[PublishedPort]) -> tuple[EndpointSpec, ...]:
    """Every port that NAT can carry goes to the endpoint with the default route of its family."""
    placed = []
    for endpoint in endpoints:
        routes = {4: endpoint.default_route_ipv4, 6: endpoint.default_route_ipv6}
        mine = tuple(port for port in ports if routes[port.host_ip.version])
        placed.append(replace(endpoint, ports=mine) if mine != endpoint.ports else endpoint)
    return tuple(placed)


def _resolver_address(text: str) -> IPAddress:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidArgument(f"bad format for dns: {text!r} is not an IP address") from None


def _ndots(options: Iterable[str]) -> int | None:
    for option in itertools.chain(options):
        if option.startswith("ndots:") and option[6:].isdigit():
            return int(option[6:])
    return None
