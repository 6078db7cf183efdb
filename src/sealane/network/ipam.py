"""Address pools of networks and addresses of endpoints: functions on what is taken, without any state.

Rules (moby, ``ipamutils`` and ``ipams/defaultipam``), and where Sealane goes further:

* Default pools are Docker's: 172.17.0.0/16 up to 172.31.0.0/16 as /16, then 192.168.0.0/16 as /20.
* A subnet chosen by us overlaps no other network and NO route or on-link network of the host (Docker looks only at
  on-link IPv4 networks).
* IPv6 without a pool is a /64 of a /48 of fd00::/8 derived from the host's id: the same on every start (RFC 4193).
* Addresses: the lowest that is free. Static addresses of stopped containers are in *taken*, so nobody else gets them.
* Exhaustion and conflicts say who holds what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_address, ip_network
from typing import Final

from sealane.errors import Forbidden, Internal, InvalidArgument
from sealane.network.options import families
from sealane.network.spec import IpamRequest, NetworkRequest, NetworkSpec, Subnet
from sealane.values import IPAddress, IPInterface, IPNetwork

#: Docker's local pools as (base, size): each base is cut into subnets of that prefix length.
DEFAULT_POOLS: Final[tuple[tuple[IPNetwork, int], ...]] = (
    (IPv4Network("172.17.0.0/16"), 16),
    (IPv4Network("172.18.0.0/16"), 16),
    (IPv4Network("172.19.0.0/16"), 16),
    (IPv4Network("172.20.0.0/14"), 16),
    (IPv4Network("172.24.0.0/14"), 16),
    (IPv4Network("172.28.0.0/14"), 16),
    (IPv4Network("192.168.0.0/16"), 20),
)
#: VPNs cut the default route into halves or smaller pieces (0.0.0.0/1, 128.0.0.0/1, 8000::/1), which come before the
#: host's own; routes this wide are no network of anybody.
WIDEST_ROUTE: Final = 4
OVERLAP: Final = "invalid pool request: Pool overlaps with other one on this address space"

Pools = Sequence[tuple[IPNetwork, int]]


def ula_pool(host_id: str) -> tuple[IPNetwork, int]:
    """The host's own /48 of fd00::/8 and the size of its subnets. The 40 bits come from a hash of *host_id*."""
    bits = hashlib.sha256(host_id.encode()).digest()[:5]
    return IPv6Network((b"\xfd" + bits + bytes(10), 48)), 64


def effective_pools(pools: Pools, host_id: str) -> tuple[tuple[IPNetwork, int], ...]:
    """*pools* or, for a family that has none, the default; in numerical order, later ones that overlap left out."""
    chosen: list[tuple[IPNetwork, int]] = list(pools) or list(DEFAULT_POOLS)
    if not any(base.version == 6 for base, _ in chosen):
        chosen.append(ula_pool(host_id))
    chosen.sort(key=lambda pool: (pool[0].version, int(pool[0].network_address), pool[0].prefixlen))
    kept: list[tuple[IPNetwork, int]] = []
    for base, size in chosen:
        if not kept or not _overlap(kept[-1][0], base):
            kept.append((base, size))
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class _Spans:
    """Taken networks of one family as numbers, because a search looks at thousands of candidates."""

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, version: int, networks: Iterable[IPNetwork]) -> _Spans:
        # A default route (prefix length 0) is no network of anybody.
        return cls(
            tuple(
                (int(net.network_address), int(net.broadcast_address))
                for net in networks
                if net.version == version and net.prefixlen
            )
        )

    def blocking(self, first: int, last: int) -> int | None:
        """The last address of a span that overlaps, or None."""
        ends = [end for start, end in self.spans if start <= last and first <= end]
        return max(ends) if ends else None


def pick_subnet(
    version: int, pools: Pools, taken: Iterable[IPNetwork], host_routes: Iterable[IPNetwork], size: int | None = None
) -> IPNetwork:
    """The first free subnet of the pools, of prefix length *size* when one was asked for.

    Raises InvalidArgument with Docker's text when there is none.
    """
    spans = _Spans.of(version, (*taken, *(route for route in host_routes if route.prefixlen >= WIDEST_ROUTE)))
    bits = 32 if version == 4 else 128
    considered = [(base, size or cut) for base, cut in pools if base.version == version]
    for base, cut in considered:
        if cut < base.prefixlen:
            continue
        step = 1 << (bits - cut)
        first, end = int(base.network_address), int(base.broadcast_address)
        while first + step - 1 <= end:
            blocked = spans.blocking(first, first + step - 1)
            if blocked is None:
                return IPv4Network((first, cut)) if version == 4 else IPv6Network((first, cut))
            first = (blocked // step + 1) * step  # the next candidate behind what is in the way
    tried = ", ".join(f"{base} in /{cut}" for base, cut in considered)
    raise InvalidArgument(
        f"all predefined address pools have been fully subnetted (IPv{version}: every subnet of {tried or 'no pool'} "
        "is held by a network or by a route of the host; remove a network or name a --subnet)"
    )


def allocate_subnets(
    request: NetworkRequest,
    *,
    taken: Iterable[tuple[IPNetwork, str]],
    host_routes: Iterable[IPNetwork],
    pools: Pools,
    host_id: str,
) -> tuple[Subnet, ...]:
    """The pools of a new network, IPv4 first. *taken* holds every other network's subnets with the holder's name.

    *host_routes* matter only where we choose: a subnet that the client names is checked against networks alone, as in
    Docker. Raises Forbidden for an overlap (naming the holder), InvalidArgument when the pools are exhausted, Internal
    when gateway and auxiliary addresses collide.
    """
    if request.driver in ("host", "null") or request.ipam_driver == "null":
        return ()
    held = list(taken)
    routes = list(host_routes)
    cut = effective_pools(pools, host_id)
    chosen: list[Subnet] = []
    for version, enabled in zip((4, 6), families(request), strict=True):
        if not enabled:
            continue
        entries = [entry for entry in request.ipam if _version(entry) == version]
        for entry in entries or [IpamRequest()]:
            nets = [net for net, _ in held]
            subnet = _settle_subnet(entry, version, cut, held, nets, routes)
            chosen.append(_settle_addresses(subnet, entry, request))
            held.append((subnet, f"network {request.name} itself"))
    return tuple(chosen)


def _version(entry: IpamRequest) -> int:
    for text in (entry.subnet, entry.ip_range, entry.gateway):
        if text:
            return 6 if ":" in text else 4
    return 4


def _settle_subnet(
    entry: IpamRequest,
    version: int,
    pools: Pools,
    held: Sequence[tuple[IPNetwork, str]],
    nets: Sequence[IPNetwork],
    routes: Sequence[IPNetwork],
) -> IPNetwork:
    if not entry.subnet:
        return pick_subnet(version, pools, nets, routes)
    asked = ip_network(entry.subnet)
    if asked.network_address.is_unspecified:  # "any subnet of this size" (Docker's preferred size)
        return pick_subnet(version, pools, nets, routes, asked.prefixlen)
    for net, holder in held:
        if _overlap(net, asked):
            raise Forbidden(f"{OVERLAP} ({asked} overlaps {net} of {holder})")
    return asked


def _settle_addresses(subnet: IPNetwork, entry: IpamRequest, request: NetworkRequest) -> Subnet:
    ip_range = ip_network(entry.ip_range) if entry.ip_range else None
    aux = tuple((name, ip_address(text)) for name, text in entry.aux)
    settled = Subnet(subnet, None, ip_range, aux, automatic=not entry.subnet)
    held: dict[IPAddress, str] = {}
    gateway = ip_address(entry.gateway) if entry.gateway else None
    if gateway is not None:
        _hold(f"gateway ({gateway})", gateway, "the gateway", subnet, held)
    for name, address in aux:
        # Auxiliary addresses that name the container's gateway may well be the bridge's own.
        if address != gateway or not name.startswith("DefaultGateway"):
            _hold(f"secondary ip address ({name}:{address})", address, f"the auxiliary address {name}", subnet, held)
    if gateway is None and request.driver != "macvlan":  # whose router is the client's business: none is made up
        gateway = next(_free(settled, held), None)
    return replace(settled, gateway=gateway)


def _hold(what: str, address: IPAddress, owner: str, subnet: IPNetwork, held: dict[IPAddress, str]) -> None:
    """Note that *owner* has *address*. Raises Internal, as Docker, when it cannot be had."""
    if not _usable(subnet, int(address)):
        raise Internal(f"failed to allocate {what}: Address already in use (it is no host address of {subnet})")
    if address in held:
        raise Internal(f"failed to allocate {what}: Address already in use (it is {held[address]})")
    held[address] = owner


def allocate_address(
    network: NetworkSpec, version: int, wanted: IPAddress | None, taken: Mapping[IPAddress, str]
) -> IPInterface | None:
    """An address for an endpoint of *network*: *wanted*, else the lowest that is free. None without such a pool.

    *taken* maps every address that cannot be given to who holds it, in words for a person. Raises Forbidden when
    *wanted* is held, InvalidArgument when it lies outside the pools or cannot be an endpoint's, Internal (Docker
    answers 500) when the pools are full.
    """
    pools = [subnet for subnet in network.subnets if subnet.subnet.version == version]
    if wanted is not None:
        return _static(network, pools, wanted, taken)
    if not pools:
        return None
    for pool in pools:
        address = next(_free(pool, taken), None)
        if address is not None:
            return interface(address, pool.subnet.prefixlen)
    sizes = ", ".join(_usage(pool, taken) for pool in pools)
    raise Internal(
        f"no available IPv{version} addresses on this network's address pools: {network.name} ({network.id}): {sizes}"
    )


def _static(
    network: NetworkSpec, pools: Sequence[Subnet], wanted: IPAddress, taken: Mapping[IPAddress, str]
) -> IPInterface:
    for pool in pools:
        if wanted not in pool.subnet:
            continue
        holder = taken.get(wanted) or _reserved_for(pool, wanted)
        if holder:
            raise Forbidden(f"Address already in use ({wanted} belongs to {holder})")
        if not _usable(pool.subnet, int(wanted)):
            raise InvalidArgument(f"requested address is out of range ({wanted} is no host address of {pool.subnet})")
        return interface(wanted, pool.subnet.prefixlen)
    raise InvalidArgument(
        f"invalid address {wanted}: It does not belong to any of this network's subnets (network {network.name})"
    )


def _reserved_for(pool: Subnet, address: IPAddress) -> str:
    if address == pool.gateway:
        return "the gateway"
    return next((f"the auxiliary address {name}" for name, aux in pool.aux if aux == address), "")


def _usable(subnet: IPNetwork, number: int) -> bool:
    """False for the network and broadcast address, and for IPv6's subnet-router anycast address."""
    if subnet.version == 4:
        if subnet.prefixlen >= 31:  # RFC 3021
            return True
        return int(subnet.network_address) < number < int(subnet.broadcast_address)
    return subnet.prefixlen >= 127 or number != int(subnet.network_address)


def _free(pool: Subnet, taken: Mapping[IPAddress, str]) -> Iterator[IPAddress]:
    """Free addresses of the dynamic range, lowest first."""
    held = {int(address) for address in taken}
    held.update(int(address) for _, address in pool.aux)
    if pool.gateway is not None:
        held.add(int(pool.gateway))
    dynamic = pool.ip_range or pool.subnet
    kind = type(dynamic.network_address)
    number, last = int(dynamic.network_address), int(dynamic.broadcast_address)
    while number <= last:
        if number not in held and _usable(pool.subnet, number):
            yield kind(number)
        number += 1


def _usage(pool: Subnet, taken: Mapping[IPAddress, str]) -> str:
    dynamic = pool.ip_range or pool.subnet
    holders = sorted({holder for address, holder in taken.items() if address in dynamic})
    some = ", ".join(holders[:3]) + (f" and {len(holders) - 3} more" if len(holders) > 3 else "")
    return f"{dynamic} is full, held by {some}" if some else f"{dynamic} is full"


def interface(address: IPAddress, prefixlen: int) -> IPInterface:
    """*address* with a prefix length."""
    if isinstance(address, IPv4Address):
        return IPv4Interface((address, prefixlen))
    return IPv6Interface((address, prefixlen))


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    if isinstance(one, IPv6Network) and isinstance(other, IPv6Network):
        return one.overlaps(other)
    return False
