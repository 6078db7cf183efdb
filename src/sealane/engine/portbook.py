"""Published ports: chosen, held, given back.

The numbers are chosen in ``ports`` (pure). While a container runs, the relay process holds a socket on every
published port, so
that no other program of the host can take it, and carries what NAT cannot: connections to an IPv6 address of the host
for
a container that has none. Everything else is carried by the kernel, from the elements that the fabric writes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from sealane.engine.container import Container
from sealane.engine.context import Context
from sealane.engine.ports import AddressRefused, Allocator, PortTaken, Taken, binding_addresses, wanted_bindings
from sealane.errors import Internal, SealaneError
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.relay.publisher import Listener, RelayPublisher
from sealane.values import ContainerId, IPAddress, NetworkId, PublishedPort, Transport, short

_log = logging.getLogger(__name__)

#: Asks the host whether a port can be bound; the text says who holds it ("" for "free").
PortProbe = Callable[[IPAddress, Transport, int], str]


class PortBook:
    """Which container holds which host port."""

    def __init__(
        self,
        context: Context,
        relay: RelayPublisher,
        probe: PortProbe,
        ephemeral: Callable[[], tuple[int, int]],
        host_ipv6: bool,
    ) -> None:
        self._context = context
        self._relay = relay
        self._probe = probe
        self._ephemeral = ephemeral
        self._host_ipv6 = host_ipv6
        self._held: dict[ContainerId, tuple[Container, tuple[PublishedPort, ...]]] = {}
        self._cursor = 0

    def allocate(
        self, container: Container, endpoints: Sequence[EndpointSpec], networks: Mapping[NetworkId, NetworkSpec]
    ) -> tuple[PublishedPort, ...]:
        """Choose and reserve the ports of a container that is about to run. Raises Internal in Docker's words."""
        request = container.record.request
        bindings = wanted_bindings(request.port_bindings, container.record.process.exposed_ports, request.publish_all)
        carrier = next((e for e in endpoints if e.default_route_ipv4 or e.default_route_ipv6), None)
        if not bindings or carrier is None:
            return ()
        default = self._context.settings.default_bind
        bridge = networks[carrier.network].bridge
        if bridge is not None and bridge.host_binding is not None and not bridge.host_binding.is_unspecified:
            default = bridge.host_binding
        taken = [Taken(port, holder.name) for holder, ports in self._held.values() for port in ports]
        allocator = Allocator(taken, self._ephemeral(), self._cursor, self._probe)
        chosen: list[PublishedPort] = []
        for binding in bindings:
            addresses = binding_addresses(binding.host_ip, default, True, self._host_ipv6)
            try:
                chosen += allocator.allocate(binding, addresses, container.name)
            except (PortTaken, AddressRefused) as error:
                raise _refusal(error, carrier, binding.container_port.transport) from error
        self._cursor = allocator.cursor
        self._held[container.id] = (container, tuple(chosen))
        return tuple(chosen)

    async def take(
        self, container: Container, ports: Sequence[PublishedPort], endpoints: Sequence[EndpointSpec]
    ) -> None:
        """Hold every port on the host, and relay those that NAT cannot carry."""
        puts = [self._relay.put(self._key(container, port), _listener(port, endpoints)) for port in ports]
        results = await asyncio.gather(*puts, return_exceptions=True)
        refusals = [result for result in results if isinstance(result, BaseException)]
        if refusals:
            raise refusals[0]

    async def give_up(self, container: Container) -> None:
        """Let go of every port of a container."""
        held = self._held.pop(container.id, None)
        if held is not None:
            await asyncio.gather(*(self._relay.drop(self._key(container, port)) for port in held[1]))

    def adopt(self, container: Container, ports: tuple[PublishedPort, ...]) -> None:
        """Note the ports of a container that was running when the engine started."""
        if ports:
            self._held[container.id] = (container, ports)

    async def reconcile(self, running: Iterable[Container]) -> None:
        """Make the relay hold exactly the ports of the running containers (recovery)."""
        wanted = {
            self._key(container, port): _listener(port, container.live.endpoints)
            for container in running
            for port in container.live.ports
        }
        for key in [key for key in await self._relay.held() if key not in wanted]:
            await self._relay.drop(key)
        for key, listener in wanted.items():
            try:
                await self._relay.put(key, listener)
            except SealaneError as error:
                _log.warning("cannot hold a published port again: %s", error)

    def _key(self, container: Container, port: PublishedPort) -> str:
        transport = port.container_port.transport.value
        return f"{short(container.id)}/{transport}/{port.host_ip}/{port.host_port}/{port.container_port.number}"


def _refusal(error: PortTaken | AddressRefused, endpoint: EndpointSpec, transport: Transport) -> SealaneError:
    where = f"driver failed programming external connectivity on endpoint {endpoint.container_name} ({endpoint.id})"
    address = f"[{error.address}]" if error.address.version == 6 else str(error.address)
    place = f"{address}:{error.port}"
    if isinstance(error, AddressRefused):
        reason = f"failed to bind host port {place}/{transport.value}: {error.reason}"
    elif error.whole_range:
        reason = f"Bind for {place} failed: all ports are allocated"
    elif error.by_host:
        reason = f"failed to bind host port {place}/{transport.value}: address already in use (held by {error.holder})"
    else:
        reason = f"Bind for {place} failed: port is already allocated (by container {error.holder})"
    return Internal(f"failed to set up container networking: {where}: {reason}")


def _listener(port: PublishedPort, endpoints: Sequence[EndpointSpec]) -> Listener:
    """Held only, when NAT carries it; relayed to the container when the host's side is IPv6."""
    target: tuple[IPAddress, int] | None = None
    if port.host_ip.version == 6:
        carrier = next((e for e in endpoints if e.default_route_ipv6 and e.ipv6), None)
        carrier = carrier or next((e for e in endpoints if e.default_route_ipv4 and e.ipv4), None)
        interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface | None = None
        if carrier is not None:
            interface = carrier.ipv6 if carrier.default_route_ipv6 and carrier.ipv6 else carrier.ipv4
        target = (interface.ip, port.container_port.number) if interface is not None else None
    return Listener(port.host_ip, port.host_port, port.container_port.transport, target)
