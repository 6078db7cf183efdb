"""Names: which container may resolve what, and to which addresses.

``Directory`` is the one table of names: networks, the endpoints on them, and for each network the names its endpoints
answer to. Every change costs the same however many networks and endpoints there are. A lookup is always made through a
``ContainerView``: a container resolves only what lives on its own networks.

Pure: no sockets and no clock. How a question becomes a packet is the business of ``dns``.

Names are compared without regard to ASCII case, network names included; everything else is compared as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, TypeVar

from sealane.errors import NotFound
from sealane.values import ContainerId, EndpointId, IPAddress, IPNetwork, NetworkId, short

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class EndpointNames:
    """The names and addresses of one endpoint. The first name is the one that reverse lookups give."""

    container: ContainerId
    names: tuple[str, ...]
    ipv4: tuple[IPv4Address, ...] = ()
    ipv6: tuple[IPv6Address, ...] = ()

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """All addresses, IPv4 first."""
        return (*self.ipv4, *self.ipv6)


@dataclass(frozen=True, slots=True)
class NetworkZone:
    """Everything that is known of one network. Reverse lookups inside ``subnets`` are never asked of anybody else."""

    network: NetworkId
    name: str
    records: Mapping[EndpointId, EndpointNames] = field(default_factory=dict)
    subnets: tuple[IPNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class Upstream:
    """A name server that was named for one container (``--dns``); it is asked from the container's own namespace."""

    address: IPAddress
    port: int = 53


class Link(NamedTuple):
    """``--link target:alias`` on one network: a name that only the linker knows. Target may not exist yet."""

    alias: str
    target: str
    network: NetworkId


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """What one container may resolve.

    ``networks`` are its user-defined networks, in the order in which they are asked. ``external`` is False when none
    of its networks leads outside: then the host's name servers are not for it. ``upstreams`` None stands for those of
    the host's ``resolv.conf``. ``ndots`` is set only when a person set it; single-label names are then not forwarded.
    """

    container: ContainerId
    networks: tuple[NetworkId, ...] = ()
    links: tuple[Link, ...] = ()
    external: bool = True
    upstreams: tuple[Upstream, ...] | None = None
    ndots: int | None = None


def fold(name: str) -> str:
    """*name* as it is compared: ASCII letters in lower case, no closing dot (RFC 4343: ASCII only)."""
    return name.removesuffix(".").encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")


def endpoint_names(
    name: str, aliases: Iterable[str], container: ContainerId, hostname: str | None = None
) -> tuple[str, ...]:
    """Container name, aliases as given, short id, host name: the first of equals stays (docker-networking §4.2)."""
    wanted = [name, *aliases, short(container), *([hostname] if hostname else [])]
    first: dict[str, str] = {}
    for each in wanted:
        if each:
            first.setdefault(fold(each), each)
    return tuple(first.values())


def _keys(names: Iterable[str]) -> set[str]:
    return {fold(each) for each in names if each}


class _Zone:
    """One network's names by endpoint, by name and by address."""

    __slots__ = ("by_address", "by_name", "folded", "name", "records", "subnets")

    def __init__(self, name: str, subnets: tuple[IPNetwork, ...]) -> None:
        self.name = name
        self.folded = fold(name)
        self.subnets = subnets
        self.records: dict[EndpointId, EndpointNames] = {}
        self.by_name: dict[str, dict[EndpointId, EndpointNames]] = {}
        self.by_address: dict[IPAddress, dict[EndpointId, EndpointNames]] = {}

    def put(self, endpoint: EndpointId, names: EndpointNames) -> None:
        self.drop(endpoint)
        self.records[endpoint] = names
        for key in _keys(names.names):
            self.by_name.setdefault(key, {})[endpoint] = names
        for address in names.addresses:
            self.by_address.setdefault(address, {})[endpoint] = names

    def drop(self, endpoint: EndpointId) -> None:
        names = self.records.pop(endpoint, None)
        if names is None:
            return
        for key in _keys(names.names):
            _discard(self.by_name, key, endpoint)
        for address in names.addresses:
            _discard(self.by_address, address, endpoint)


def _discard(table: dict[_Key, dict[EndpointId, EndpointNames]], key: _Key, endpoint: EndpointId) -> None:
    held = table.get(key)
    if held is not None:
        held.pop(endpoint, None)
        if not held:
            del table[key]


class Directory:
    """All names of all networks. ``generation`` grows with every change, so that copies know when they are old."""

    def __init__(self) -> None:
        self.generation = 0
        self._zones: dict[NetworkId, _Zone] = {}
        # (IP version, prefix length) -> network number -> how many networks have it: one probe per prefix length in use
        self._subnets: dict[tuple[int, int], Counter[int]] = {}

    def put_network(self, network: NetworkId, name: str, subnets: tuple[IPNetwork, ...] = ()) -> None:
        """Add a network, or rename it and replace its subnets; its endpoints stay."""
        self.generation += 1
        zone = self._zones.get(network)
        if zone is None:
            zone = self._zones[network] = _Zone(name, ())
        self._count(zone.subnets, -1)
        zone.name, zone.folded, zone.subnets = name, fold(name), subnets
        self._count(subnets, +1)

    def drop_network(self, network: NetworkId) -> None:
        """Forget a network and all its endpoints; unknown ones are forgotten already."""
        self.generation += 1
        zone = self._zones.pop(network, None)
        if zone is not None:
            self._count(zone.subnets, -1)

    def put_endpoint(self, network: NetworkId, endpoint: EndpointId, names: EndpointNames) -> None:
        """Add or replace the names of one endpoint. Raises NotFound when the network is unknown."""
        zone = self._zones.get(network)
        if zone is None:
            raise NotFound(f"network {network} not found: the resolver has not been told of it")
        self.generation += 1
        zone.put(endpoint, names)

    def drop_endpoint(self, network: NetworkId, endpoint: EndpointId) -> None:
        """Forget one endpoint; unknown ones are forgotten already."""
        self.generation += 1
        zone = self._zones.get(network)
        if zone is not None:
            zone.drop(endpoint)

    def zones(self) -> dict[NetworkId, NetworkZone]:
        """A copy of everything held."""
        return {
            network: NetworkZone(network, zone.name, dict(zone.records), zone.subnets)
            for network, zone in self._zones.items()
        }

    def find(self, view: ContainerView, name: str) -> tuple[EndpointNames, ...] | None:
        """The endpoints that *name* stands for in the eyes of one container; None when it knows no such name.

        First the whole name on each network in the view's order, then ``name.network`` with the shortest network name
        first. The first network that knows the name wins; addresses are not merged across networks.
        """
        key = fold(name)
        own = [(network, zone) for network in view.networks if (zone := self._zones.get(network)) is not None]
        for network, zone in own:
            if found := self._on(view, network, zone, key):
                return found
        suffixed = [(network, zone) for network, zone in own if key.endswith(f".{zone.folded}")]
        for network, zone in sorted(suffixed, key=lambda pair: pair[1].folded.count(".")):
            if found := self._on(view, network, zone, key.removesuffix(f".{zone.folded}")):
                return found
        return None

    def pointer(self, view: ContainerView, address: IPAddress) -> str | None:
        """``name.network`` of the endpoint that has *address* on one of the container's networks."""
        for network in view.networks:
            zone = self._zones.get(network)
            held = zone.by_address.get(address) if zone is not None else None
            if zone is not None and held:
                names = next(iter(held.values())).names
                if names:
                    return f"{names[0]}.{zone.name}"
        return None

    def owns(self, address: IPAddress) -> bool:
        """True when *address* lies in a subnet of any network of ours."""
        number = int(address)
        for (version, prefix), held in self._subnets.items():
            shift = (32 if version == 4 else 128) - prefix
            if version == address.version and held[number >> shift << shift] > 0:
                return True
        return False

    def _on(self, view: ContainerView, network: NetworkId, zone: _Zone, key: str) -> tuple[EndpointNames, ...]:
        """Endpoints called *key* on one network. A link whose target is away hides the name there (Docker does so)."""
        for link in view.links:
            if link.network == network and fold(link.alias) == key:
                return tuple(zone.by_name.get(fold(link.target), {}).values())
        return tuple(zone.by_name.get(key, {}).values())

    def _count(self, subnets: tuple[IPNetwork, ...], by: int) -> None:
        for subnet in subnets:
            counter = self._subnets.setdefault((subnet.version, subnet.prefixlen), Counter())
            number = int(subnet.network_address)
            counter[number] += by
            if counter[number] <= 0:
                del counter[number]
            if not counter:
                del self._subnets[subnet.version, subnet.prefixlen]
