"""Pools and addresses: nobody gets what somebody holds, whoever is refused is told who has it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sealane.errors import Forbidden, Internal, InvalidArgument
from sealane.network.ipam import (
    DEFAULT_POOLS,
    allocate_address,
    allocate_subnets,
    effective_pools,
    pick_subnet,
    ula_pool,
)
from sealane.network.spec import IpamRequest, NetworkRequest, NetworkSpec, Subnet
from sealane.values import IPAddress, IPNetwork, NetworkId


def network(*subnets: Subnet) -> NetworkSpec:
    return NetworkSpec(id=NetworkId("a" * 64), name="red", created="", driver="bridge", subnets=subnets)


def subnet(text: str, gateway: str = "", ip_range: str = "", **aux: str) -> Subnet:
    return Subnet(
        ip_network(text),
        ip_address(gateway) if gateway else None,
        ip_network(ip_range) if ip_range else None,
        tuple((name, ip_address(address)) for name, address in aux.items()),
    )


def pools_of(
    request: NetworkRequest, taken: tuple[tuple[str, str], ...] = (), routes: tuple[str, ...] = ()
) -> tuple[Subnet, ...]:
    return allocate_subnets(
        request,
        taken=[(ip_network(text), owner) for text, owner in taken],
        host_routes=[ip_network(text) for text in routes],
        pools=(),
        host_id="this host",
    )


def asked(*ipam: IpamRequest, **fields: Any) -> NetworkRequest:
    return NetworkRequest(**{"name": "red", "ipam": ipam, **fields})


# subnets

IPV4_NETWORKS = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda p: IPv4Network(p, strict=False))
NEAR_THE_POOLS = st.sampled_from(
    [
        ip_network(text)
        for text in (
            *("172.16.0.0/12", "172.17.0.0/16", "172.18.3.0/24", "172.20.0.0/14", "172.31.255.255/32"),
            *("192.168.0.0/17", "192.168.16.0/20", "192.168.128.1/32", "0.0.0.0/0", "10.0.0.0/8"),
        )
    ]
)


@given(st.lists(IPV4_NETWORKS | NEAR_THE_POOLS, max_size=40), st.lists(IPV4_NETWORKS | NEAR_THE_POOLS, max_size=40))
def test_a_chosen_subnet_overlaps_nothing(taken: list[IPNetwork], routes: list[IPNetwork]) -> None:
    # A default route, whole or in pieces, is no network of anybody.
    real = [*(net for net in taken if net.prefixlen), *(net for net in routes if net.prefixlen >= 4)]
    try:
        chosen = pick_subnet(4, DEFAULT_POOLS, taken, routes)
    except InvalidArgument:
        for base, size in DEFAULT_POOLS:
            for candidate in base.subnets(new_prefix=size):  # type: ignore[union-attr]
                assert any(candidate.overlaps(net) for net in real)  # type: ignore[arg-type]
        return
    assert not any(chosen.overlaps(net) for net in real)  # type: ignore[arg-type]
    assert any(chosen.subnet_of(base) and chosen.prefixlen == size for base, size in DEFAULT_POOLS)  # type: ignore[arg-type]


def test_subnets_come_in_dockers_order() -> None:
    taken: list[IPNetwork] = []
    while len(taken) < 17:
        taken.append(pick_subnet(4, DEFAULT_POOLS, taken, ()))
    assert [str(net) for net in taken[:2]] == ["172.17.0.0/16", "172.18.0.0/16"]
    assert [str(net) for net in taken[14:]] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]


def test_when_all_pools_are_taken_the_words_say_what_was_tried() -> None:
    with pytest.raises(InvalidArgument) as caught:
        pick_subnet(4, DEFAULT_POOLS, (), [ip_network("172.16.0.0/12"), ip_network("192.168.0.0/16")])
    assert caught.value.message.startswith("all predefined address pools have been fully subnetted")
    assert "192.168.0.0/16 in /20" in caught.value.message


def test_a_vpn_that_takes_all_traffic_leaves_room_for_networks() -> None:
    halves = [ip_network(text) for text in ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "10.8.0.0/24")]
    assert str(pick_subnet(4, DEFAULT_POOLS, (), halves)) == "172.17.0.0/16"
    assert pick_subnet(6, [ula_pool("this host")], (), halves).prefixlen == 64
    assert str(pick_subnet(4, DEFAULT_POOLS, (), [ip_network("172.16.0.0/12")])) == "192.168.0.0/20"


def test_the_hosts_ipv6_prefix_is_local_and_always_the_same() -> None:
    base, size = ula_pool("this host")
    assert (base, size) == ula_pool("this host")
    assert base != ula_pool("another host")[0]
    assert base.prefixlen == 48
    assert base.subnet_of(IPv6Network("fd00::/8"))  # type: ignore[arg-type]


def test_configured_pools_replace_dockers_and_overlapping_ones_are_left_out() -> None:
    own: list[tuple[IPNetwork, int]] = [
        (ip_network("10.2.0.0/16"), 24), (ip_network("10.1.0.0/16"), 28), (ip_network("10.1.4.0/24"), 28),
    ]  # fmt: skip
    chosen = effective_pools(own, "this host")
    assert chosen == (own[1], own[0], ula_pool("this host"))


def test_a_named_subnet_is_checked_against_networks_and_not_against_routes() -> None:
    """As Docker: who names a subnet knows the host's routes."""
    request = asked(IpamRequest("10.5.0.0/24"))
    assert str(pools_of(request, routes=("10.0.0.0/8",))[0].subnet) == "10.5.0.0/24"
    with pytest.raises(Forbidden) as caught:
        pools_of(request, taken=(("10.5.0.128/25", "blue"),))
    assert caught.value.message == (
        "invalid pool request: Pool overlaps with other one on this address space "
        "(10.5.0.0/24 overlaps 10.5.0.128/25 of blue)"
    )
    with pytest.raises(Forbidden, match=r"overlaps 10\.5\.0\.0/24 of network red itself"):
        pools_of(asked(IpamRequest("10.5.0.0/24"), IpamRequest("10.5.0.0/25"), driver="macvlan"))


def test_both_families_and_only_those_that_are_on() -> None:
    both = pools_of(asked(ipv6=True), routes=("172.17.0.0/16",))
    assert [str(pool.subnet) for pool in both[:1]] == ["172.18.0.0/16"]
    assert both[1].subnet.prefixlen == 64
    assert [pool.gateway for pool in both] == [pool.subnet.network_address + 1 for pool in both]
    assert all(pool.automatic for pool in both)
    only6 = pools_of(asked(IpamRequest("fd00:5::/64"), ipv4=False, ipv6=True))
    assert [(str(pool.subnet), str(pool.gateway), pool.automatic) for pool in only6] == [
        ("fd00:5::/64", "fd00:5::1", False)
    ]
    assert pools_of(asked(driver="host")) == pools_of(asked(driver="null")) == ()


def test_a_size_alone_chooses_among_the_pools() -> None:
    assert str(pools_of(asked(IpamRequest("0.0.0.0/24")), routes=("172.17.0.0/25",))[0].subnet) == "172.17.1.0/24"


def test_gateways_and_auxiliary_addresses() -> None:
    pool = pools_of(asked(IpamRequest("10.5.0.0/24", aux=(("a", "10.5.0.1"), ("b", "10.5.0.3")))))[0]
    assert str(pool.gateway) == "10.5.0.2"
    named = pools_of(asked(IpamRequest("10.5.0.0/24", gateway="10.5.0.9", aux=(("DefaultGatewayIPv4", "10.5.0.9"),))))
    assert str(named[0].gateway) == "10.5.0.9"
    assert pools_of(asked(IpamRequest("10.5.0.0/24"), driver="macvlan"))[0].gateway is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            IpamRequest("10.5.0.0/24", gateway="10.5.0.9", aux=(("a", "10.5.0.9"),)),
            "failed to allocate secondary ip address (a:10.5.0.9): Address already in use (it is the gateway)",
        ),
        (
            IpamRequest("10.5.0.0/24", aux=(("a", "10.5.0.9"), ("b", "10.5.0.9"))),
            (
                "failed to allocate secondary ip address (b:10.5.0.9): Address already in use "
                "(it is the auxiliary address a)"
            ),
        ),
        (
            IpamRequest("10.5.0.0/24", gateway="10.5.0.0"),
            "failed to allocate gateway (10.5.0.0): Address already in use (it is no host address of 10.5.0.0/24)",
        ),
        (
            IpamRequest("10.5.0.0/24", gateway="10.5.0.255"),
            "failed to allocate gateway (10.5.0.255): Address already in use (it is no host address of 10.5.0.0/24)",
        ),
    ],
)
def test_gateways_that_cannot_be_had(entry: IpamRequest, words: str) -> None:
    with pytest.raises(Internal) as caught:
        pools_of(asked(entry))
    assert caught.value.message == words


# addresses

SMALL = st.integers(24, 32).map(lambda size: IPv4Network((0x0A050000, size))) | st.integers(120, 128).map(
    lambda size: IPv6Network((0xFD05 << 112, size))
)


@st.composite
def small_pools(draw: st.DrawFn) -> Subnet:
    """A pool of at most 256 addresses, perhaps with a gateway, a range and auxiliary addresses."""
    whole: IPNetwork = draw(SMALL)
    inside = st.integers(0, whole.num_addresses - 1).map(lambda number: whole.network_address + number)
    size = draw(st.none() | st.integers(whole.prefixlen, whole.max_prefixlen))
    start = draw(inside)
    ip_range = None if size is None else ip_network(f"{start}/{size}", strict=False)
    aux = tuple((f"a{number}", address) for number, address in enumerate(draw(st.lists(inside, max_size=4))))
    return Subnet(whole, draw(st.none() | inside), ip_range, aux)


@given(small_pools(), st.lists(st.integers(0, 255), max_size=30))
def test_until_the_pool_is_full_everybody_gets_an_address_of_their_own(pool: Subnet, static: list[int]) -> None:
    """Addresses of stopped containers are in *taken*, so they count as anybody's."""
    red = network(pool)
    reserved = {pool.gateway, *(address for _, address in pool.aux)}
    taken: dict[IPAddress, str] = {
        pool.subnet.network_address + number: "stopped" for number in static if number < pool.subnet.num_addresses
    }
    edges = {pool.subnet.network_address, pool.subnet.broadcast_address}
    pair = pool.subnet.num_addresses <= 2  # RFC 3021, RFC 6164: both are for hosts
    dynamic = pool.ip_range or pool.subnet
    while True:
        try:
            own = allocate_address(red, pool.subnet.version, None, taken)
        except Internal as error:
            full = error.message
            break
        assert own is not None
        assert own.network == pool.subnet
        assert own.ip in dynamic
        assert own.ip not in taken
        assert own.ip not in reserved
        assert pair or own.ip != pool.subnet.network_address
        taken[own.ip] = f"c{len(taken)}"
    assert full.startswith(f"no available IPv{pool.subnet.version} addresses on this network's address pools: red (")
    left = {a for a in dynamic if a not in taken and a not in reserved}
    assert left <= (set() if pair else edges)  # nothing that could have been given was kept


@given(small_pools(), st.integers(0, 255))
def test_an_address_that_was_asked_for_is_had_once(pool: Subnet, number: int) -> None:
    assume(number < pool.subnet.num_addresses)
    wanted, red = pool.subnet.network_address + number, network(pool)
    if wanted == pool.gateway or wanted in [address for _, address in pool.aux]:
        with pytest.raises(Forbidden, match=r"belongs to the (gateway|auxiliary address)"):
            allocate_address(red, wanted.version, wanted, {})
        return
    edge = wanted == pool.subnet.network_address or (wanted.version == 4 and wanted == pool.subnet.broadcast_address)
    if edge and pool.subnet.num_addresses > 2:
        with pytest.raises(InvalidArgument, match="requested address is out of range"):
            allocate_address(red, wanted.version, wanted, {})
        return
    own = allocate_address(red, wanted.version, wanted, {})
    assert own is not None
    assert own.ip == wanted
    with pytest.raises(Forbidden) as caught:
        allocate_address(red, wanted.version, wanted, {wanted: "container srv1"})
    assert caught.value.message == f"Address already in use ({wanted} belongs to container srv1)"


def test_the_lowest_free_address_comes_first_and_a_range_limits_only_dynamic_ones() -> None:
    red = network(subnet("10.5.0.0/24", gateway="10.5.0.1", ip_range="10.5.0.128/25", a="10.5.0.128"))
    assert str(allocate_address(red, 4, None, {})) == "10.5.0.129/24"
    assert str(allocate_address(red, 4, IPv4Address("10.5.0.7"), {})) == "10.5.0.7/24"


def test_a_second_pool_is_used_when_the_first_is_full() -> None:
    red = network(subnet("10.5.0.0/30", gateway="10.5.0.1"), subnet("10.6.0.0/24", gateway="10.6.0.1"))
    assert str(allocate_address(red, 4, None, {IPv4Address("10.5.0.2"): "srv1"})) == "10.6.0.2/24"


def test_who_is_refused_hears_who_holds_everything() -> None:
    red = network(subnet("10.5.0.0/29", gateway="10.5.0.1"))
    taken: dict[IPAddress, str] = {IPv4Address(f"10.5.0.{n}"): f"container srv{n}" for n in range(2, 7)}
    with pytest.raises(Internal) as caught:
        allocate_address(red, 4, None, taken)
    assert caught.value.message.endswith(
        "10.5.0.0/29 is full, held by container srv2, container srv3, container srv4 and 2 more"
    )


def test_addresses_of_nowhere() -> None:
    red = network(subnet("10.5.0.0/24"))
    with pytest.raises(InvalidArgument, match="It does not belong to any of this network's subnets"):
        allocate_address(red, 4, IPv4Address("10.6.0.1"), {})
    assert allocate_address(red, 6, None, {}) is None
    with pytest.raises(InvalidArgument):
        allocate_address(red, 6, IPv6Address("fd00::1"), {})
