"""The verbs on networks: create, remove, list, prune, show what they hold in the kernel.

Contract: everything is checked before anything is made; a network is in the kernel before the record is committed,
and taken
back out of it when the commit fails; removal commits first, so that a kill in between leaves a link without a record,
which
recovery removes. One lock orders creation and removal: subnets are chosen against all others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sealane.dns.publisher import Publisher
from sealane.engine.addresses import AddressBook
from sealane.engine.context import Context
from sealane.engine.directory import Directory
from sealane.engine.events import Events
from sealane.engine.model import KernelObject, NetworkView, Pruned
from sealane.engine.times import rfc3339_nano
from sealane.engine.undo import Undo, to_the_end
from sealane.engine.wires import Wires
from sealane.errors import Conflict, Forbidden, InvalidArgument, NotFound
from sealane.network.ipam import allocate_subnets
from sealane.network.spec import PREDEFINED, EndpointSpec, IpamRequest, NetworkRequest, NetworkSpec, Subnet
from sealane.network.validate import settle_network, validate_network
from sealane.store.codec import encode
from sealane.store.database import Database
from sealane.values import EndpointId, IPAddress, NetworkId, short


class Networks:
    """Every network of this engine, and the settled endpoints on each."""

    def __init__(
        self,
        context: Context,
        database: Database,
        events: Events,
        wires: Wires,
        publisher: Publisher,
        addresses: AddressBook,
    ) -> None:
        self._context = context
        self._database = database
        self._events = events
        self._wires = wires
        self._publisher = publisher
        self._addresses = addresses
        self._directory: Directory[NetworkSpec] = Directory()
        self._endpoints: dict[NetworkId, dict[EndpointId, EndpointSpec]] = {}
        self._lock = asyncio.Lock()
        self._pruning = False
        #: Networks that a starting container is about to join: they are in use although no endpoint exists yet.
        self._joining: dict[NetworkId, int] = {}

    # looking up

    def adopt(self, spec: NetworkSpec) -> None:
        """File a network that already exists (recovery)."""
        self._directory.file(spec.id, spec.name, spec)
        self._endpoints.setdefault(spec.id, {})

    def resolve(self, reference: str) -> NetworkSpec:
        """By full id, name or id prefix. Raises NotFound, or InvalidArgument for an ambiguous prefix."""
        try:
            spec = self._directory.find("bridge" if reference == "default" else reference)
        except InvalidArgument:
            matches = sum(1 for spec in self._directory if spec.id.startswith(reference))
            raise InvalidArgument(
                f"network {reference} is ambiguous ({matches} matches found based on ID prefix)"
            ) from None
        if spec is None:
            raise NotFound(f"network {reference} not found")
        return spec

    def get(self, identifier: NetworkId) -> NetworkSpec | None:
        return self._directory.get(identifier)

    def specs(self) -> list[NetworkSpec]:
        return list(self._directory)

    def by_id(self) -> Mapping[NetworkId, NetworkSpec]:
        return {spec.id: spec for spec in self._directory}

    def view(self, reference: str) -> NetworkView:
        return self._view(self.resolve(reference))

    def views(self) -> list[NetworkView]:
        return [self._view(spec) for spec in self._directory]

    def _view(self, spec: NetworkSpec) -> NetworkView:
        return NetworkView(spec, tuple(self._endpoints[spec.id].values()), self._in_use(spec))

    def _in_use(self, spec: NetworkSpec) -> dict[str, tuple[int, int]]:
        held = self._addresses.in_use(spec)
        usage = {}
        for subnet in spec.subnets:
            reserved = (1 if subnet.subnet.version == 6 else 2) + len(subnet.aux) + (subnet.gateway is not None)
            used = reserved + sum(1 for address in held if address in subnet.subnet)
            pool = subnet.ip_range or subnet.subnet
            in_pool = used if subnet.ip_range is None else sum(1 for address in held if address in pool)
            usage[str(subnet.subnet)] = (used, max(0, pool.num_addresses - in_pool))
        return usage

    # endpoints, kept by those who connect

    @contextlib.contextmanager
    def joining(self, networks: Iterable[NetworkId | None]) -> Iterator[None]:
        """While a container is being connected to *networks*, none of them is removed."""
        found = [network for network in networks if network is not None]
        for network in found:
            self._joining[network] = self._joining.get(network, 0) + 1
        try:
            yield
        finally:
            for network in found:
                self._joining[network] -= 1
                if not self._joining[network]:
                    del self._joining[network]

    def add_endpoint(self, endpoint: EndpointSpec) -> None:
        self._endpoints[endpoint.network][endpoint.id] = endpoint

    def drop_endpoint(self, endpoint: EndpointSpec) -> None:
        self._endpoints.get(endpoint.network, {}).pop(endpoint.id, None)

    def endpoints(self, network: NetworkId) -> Iterable[EndpointSpec]:
        return self._endpoints[network].values()

    def all_endpoints(self) -> list[EndpointSpec]:
        return [endpoint for endpoints in self._endpoints.values() for endpoint in endpoints.values()]

    def any_user_defined(self, endpoints: Iterable[EndpointSpec]) -> bool:
        """True when one of the endpoints is on a network that gives names."""
        specs = (self._directory.get(endpoint.network) for endpoint in endpoints)
        return any(spec is not None and spec.user_defined for spec in specs)

    def default_gateway(self) -> IPAddress | None:
        """The default bridge's own address: what ``host-gateway`` means when nothing else was configured."""
        spec = self._directory.named("bridge")
        return next((subnet.gateway for subnet in spec.subnets), None) if spec is not None else None

    # verbs

    async def create(self, request: NetworkRequest) -> tuple[NetworkId, str]:
        """Make a network; returns its id and a warning ("" for none)."""
        self._check_create(request)
        async with self._lock, Undo() as undo:
            spec, request = await self._settle(request)
            if not spec.config_only:
                await undo.do(
                    self._wires.run(self._wires.fabric.create_network, spec),
                    f"network {spec.name}",
                    lambda: self._wires.run(self._wires.fabric.remove_network, spec),
                )
                undo.add(f"names of {spec.name}", lambda: self._publisher.drop_network(spec.id))
                await self._publisher.put_network(spec.id, spec.name, tuple(s.subnet for s in spec.subnets))
            self._database.put_object("network", spec.id, spec.name, encode(spec))
            self.adopt(spec)
        self._emit("create", spec)
        return spec.id, ""

    async def dry_run(self, request: NetworkRequest) -> list[KernelObject]:
        """What ``create`` would put into the kernel; nothing is changed."""
        self._check_create(request)
        async with self._lock:
            spec, _ = await self._settle(request)
        return self._describe(spec, ())

    async def kernel(self, reference: str) -> list[KernelObject]:
        """Everything that the network holds in the kernel, with the command that would show or make it."""
        spec = self.resolve(reference)
        return self._describe(spec, tuple(self._endpoints[spec.id].values()))

    def _describe(self, spec: NetworkSpec, endpoints: tuple[EndpointSpec, ...]) -> list[KernelObject]:
        objects = self._wires.fabric.describe_network(spec, endpoints)
        return [KernelObject(item.kind, str(item.name), item.describe, item.command) for item in objects]

    def _check_create(self, request: NetworkRequest) -> None:
        if request.name in (*PREDEFINED, "default"):
            raise Forbidden(f"operation is not permitted on predefined {request.name} network ")
        if request.scope == "swarm":
            raise Forbidden("cannot create a swarm scoped network when swarm is not active")
        validate_network(request)
        if self._directory.named(request.name) is not None:
            raise Conflict(f"network with name {request.name} already exists")

    async def _settle(self, request: NetworkRequest) -> tuple[NetworkSpec, NetworkRequest]:
        """Under the lock: choose the subnets. The name is checked again, for another create may have come first."""
        if self._directory.named(request.name) is not None:
            raise Conflict(f"network with name {request.name} already exists")
        if request.config_from:
            request = self._from_config(request)
        identifier = NetworkId(self._context.new_id())
        subnets: tuple[Subnet, ...] = ()
        if not request.config_only:
            subnets = await self.choose_subnets(request)
        return settle_network(request, identifier, rfc3339_nano(self._context.clock.now_ns()), subnets), request

    async def choose_subnets(self, request: NetworkRequest) -> tuple[Subnet, ...]:
        """The pools of a new network: apart from every other network's, and from every route of the host."""
        taken = [
            (subnet.subnet, f"network {spec.name}")
            for spec in self._directory
            if not spec.config_only
            for subnet in spec.subnets
        ]
        routes = await self._wires.run(self._wires.fabric.host_networks)
        return allocate_subnets(
            request,
            taken=taken,
            host_routes=routes,
            pools=self._context.settings.default_pools,
            host_id=self._context.host_id,
        )

    def _from_config(self, request: NetworkRequest) -> NetworkRequest:
        source = self._directory.named(request.config_from)
        if source is None or not source.config_only:
            raise NotFound(f'configuration network "{request.config_from}" does not exist')
        return NetworkRequest(
            name=request.name,
            driver=request.driver,
            internal=request.internal,
            attachable=request.attachable,
            config_from=request.config_from,
            ipv4=source.ipv4,
            ipv6=source.ipv6,
            ipam_driver=source.ipam_driver,
            ipam_options=source.ipam_options,
            ipam=tuple(_asked_again(subnet) for subnet in source.subnets),
            options=source.options,
            labels=source.labels,
        )

    async def remove(self, reference: str) -> None:
        """Remove a network that nobody uses."""
        spec = self.resolve(reference)
        if spec.predefined:
            raise Forbidden(f"{spec.name} is a pre-defined network and cannot be removed")
        async with self._lock:
            if self._directory.get(spec.id) is None:
                raise NotFound(f"network {reference} not found")
            self._check_unused(spec)
            self._database.delete_object("network", spec.id)
            self._directory.forget(spec.id)
            self._endpoints.pop(spec.id, None)
            self._addresses.forget_network(spec.id)
            if not spec.config_only:
                await to_the_end(self._unmake(spec))
        if not spec.config_only:
            self._emit("destroy", spec)

    async def _unmake(self, spec: NetworkSpec) -> None:
        try:
            await self._wires.run(self._wires.fabric.remove_network, spec)
        finally:
            await self._publisher.drop_network(spec.id)

    def _check_unused(self, spec: NetworkSpec) -> None:
        if any(other.config_from == spec.name for other in self._directory) and spec.config_only:
            raise Forbidden(f'error while removing network: configuration network "{spec.name}" is in use')
        users = [f'name:"{e.container_name}" id:"{short(e.id)}"' for e in self._endpoints[spec.id].values()]
        if users or self._joining.get(spec.id):
            who = ", ".join(users) or "a container that is being started"
            raise Forbidden(f"error while removing network: network {spec.name} has active endpoints ({who})")

    async def prune(self, keep: Callable[[NetworkSpec], bool]) -> Pruned:
        """Remove every network without endpoints that *keep* does not want."""
        if self._pruning:
            raise Conflict("a prune operation is already running")
        self._pruning = True
        try:
            removed = []
            for spec in list(self._directory):
                if spec.predefined or spec.config_only or self._endpoints[spec.id] or keep(spec):
                    continue
                try:
                    await self.remove(spec.id)
                except (Forbidden, NotFound):
                    continue  # it came into use, or somebody else removed it
                removed.append(spec.name)
        finally:
            self._pruning = False
        self._events.emit("network", "prune", "", {"reclaimed": "0"})
        return Pruned(tuple(removed))

    # the networks that always exist

    async def ensure_predefined(self) -> None:
        """Make bridge, host and none when the store does not have them yet."""
        for name in ("none", "host", "bridge"):
            if self._directory.named(name) is None:
                spec = await self._settle_predefined(name)
                self._database.put_object("network", spec.id, spec.name, encode(spec))
                self.adopt(spec)

    async def move_bridge(self) -> None:
        """When the default bridge has to be made again and its subnet has gone to somebody else meanwhile: choose anew.

        To be called before the kernel is looked at; a bridge that is there, or was given its subnet, is left alone.
        """
        spec = self._directory.named("bridge")
        settings = self._context.settings
        if spec is None or settings.bridge_subnet or self._endpoints[spec.id]:
            return
        if Path("/sys/class/net", settings.bridge_name).exists():
            return
        routes = await self._wires.run(self._wires.fabric.host_networks)
        if any(route.overlaps(subnet.subnet) for route in routes if route.prefixlen for subnet in spec.subnets):
            fresh = await self._settle_predefined("bridge")
            moved = replace(spec, subnets=fresh.subnets)
            self._database.put_object("network", moved.id, moved.name, encode(moved))
            self.adopt(moved)

    async def _settle_predefined(self, name: str) -> NetworkSpec:
        settings = self._context.settings
        created = rfc3339_nano(self._context.clock.now_ns())
        identifier = NetworkId(self._context.new_id())
        if name != "bridge":
            request = NetworkRequest(name=name, driver="null" if name == "none" else name)
            return settle_network(request, identifier, created, ())
        wanted = IpamRequest(subnet=str(settings.bridge_subnet)) if settings.bridge_subnet else None
        request = NetworkRequest(
            name=name,
            ipv6=settings.bridge_ipv6,
            ipam=(wanted,) if wanted else (),
            options={
                "com.docker.network.bridge.default_bridge": "true",
                "com.docker.network.bridge.enable_icc": "true",
                "com.docker.network.bridge.enable_ip_masquerade": "true",
                "com.docker.network.bridge.host_binding_ipv4": str(settings.default_bind or "0.0.0.0"),
                "com.docker.network.bridge.name": settings.bridge_name,
                "com.docker.network.driver.mtu": str(settings.mtu or 1500),
            },
        )
        return settle_network(request, identifier, created, await self.choose_subnets(request))

    def _emit(self, action: str, spec: NetworkSpec) -> None:
        self._events.emit("network", action, spec.id, {"name": spec.name, "type": spec.driver})


def _asked_again(subnet: Subnet) -> IpamRequest:
    return IpamRequest(
        subnet=str(subnet.subnet),
        ip_range=str(subnet.ip_range or ""),
        gateway=str(subnet.gateway or ""),
        aux=tuple((name, str(address)) for name, address in subnet.aux),
    )
