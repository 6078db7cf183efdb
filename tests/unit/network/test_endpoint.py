"""From what a client asked of one attachment to the settled endpoint; who gives the default route."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import Forbidden, InvalidArgument, SealaneError
from sealane.network.endpoint import altname, check_endpoint, choose_default_routes, random_mac
from sealane.network.options import ENDPOINT_IFNAME, ENDPOINT_SYSCTLS
from sealane.network.spec import EndpointRequest, EndpointSpec, NetworkSpec
from sealane.values import IfName
from unit.network.specs import net, plug

SETTINGS = "invalid endpoint settings:\n"


def wish(**fields: Any) -> EndpointRequest:
    return EndpointRequest(**{"network": "red", **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ipv4": "x"}, "invalid IPv4 address: x"),
        ({"ipv4": "fd00::1"}, "invalid IPv4 address: fd00::1"),
        ({"ipv6": "10.1.0.7"}, "invalid IPv6 address: 10.1.0.7"),
        ({"ipv4": "10.9.9.9"}, "no configured subnet contains IP address 10.9.9.9"),
        ({"link_local": ("169.254.1.1", "x")}, "invalid link-local IP address: x"),
        (
            {"ipv4": "y", "ipv6": "z", "link_local": ("x",)},
            "* invalid IPv4 address: y\n* invalid IPv6 address: z\n* invalid link-local IP address: x",
        ),
    ],
)
def test_settings_that_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_endpoint(wish(**fields), net("red"))
    assert caught.value.message == SETTINGS + words


def test_the_default_network_gives_no_addresses_and_no_aliases() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_endpoint(wish(ipv4="10.1.0.7", aliases=("db",)), net("bridge"))
    assert caught.value.message == (
        f"{SETTINGS}* user-specified IP address is supported on user-defined networks only\n"
        "* network-scoped aliases are only supported for user-defined networks"
    )


@pytest.mark.parametrize("mac", ["zz", "02:42:ac:11:00", "01:00:5e:00:00:01", "00:00:00:00:00:00"])
def test_mac_addresses_that_no_interface_can_have(mac: str) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid MAC address: {mac}"):
        check_endpoint(wish(mac=mac), net("red"))


def test_an_endpoint_as_settled() -> None:
    red = net("my-network", ipv6=True)
    made = plug(red, "srv1", 2)
    assert str(made.ipv4) == "10.1.0.2/24"
    assert str(made.ipv6) == "fd00:1::2/64"
    assert (str(made.gateway_ipv4), str(made.gateway_ipv6)) == ("10.1.0.1", "fd00:1::1")
    assert made.host_ifname == "sl" + made.id[:13]
    assert made.altname == "srv1.my-network"
    assert str(made.mac) == "02:42:0a:01:00:02"
    assert made.default_route_ipv4
    assert made.default_route_ipv6


def test_what_was_asked_for_is_had() -> None:
    red = net("red", ipv6=True)
    asked = wish(
        ipv4="10.1.0.77",
        ipv6="fd00:1::77",
        mac="02-00-00-00-00-77",
        driver_opts={ENDPOINT_IFNAME: "wan0", ENDPOINT_SYSCTLS: "net.ipv4.conf.IFNAME.log_martians=1"},
        gw_priority=5,
    )
    made = plug(red, "srv1", 3, asked=asked)
    assert (str(made.ipv4), str(made.ipv6), str(made.mac)) == ("10.1.0.77/24", "fd00:1::77/64", "02:00:00:00:00:77")
    assert made.ifname == "wan0"
    assert made.sysctls == (("net.ipv4.conf.wan0.log_martians", "1"),)
    assert made.gw_priority == 5
    with pytest.raises(Forbidden, match=r"Address already in use \(10.1.0.1 belongs to"):
        plug(red, "srv2", 2, asked=wish(ipv4="10.1.0.1"))


def test_interfaces_get_the_lowest_free_number_with_their_networks_prefix() -> None:
    red, other = net("red"), net("blue", 2, **{"com.docker.network.container_iface_prefix": "net"})
    first = plug(red)
    second = plug(net("green", 3), beside=[first])
    third = plug(other, beside=[first, second])
    assert [endpoint.ifname for endpoint in (first, second, third)] == ["eth0", "eth1", "net0"]
    assert plug(red, beside=[second, third]).ifname == "eth0"
    with pytest.raises(InvalidArgument, match="interface name eth1 is already used"):
        plug(red, asked=wish(driver_opts={ENDPOINT_IFNAME: "eth1"}), beside=[second])


@given(st.binary(min_size=6, max_size=6))
def test_random_mac_addresses_are_local_and_of_one_interface(entropy: bytes) -> None:
    first = random_mac(entropy).octets[0]
    assert first & 0b11 == 0b10


@given(st.text(), st.text())
def test_readable_names_fit_the_kernel(container: str, network: str) -> None:
    name = altname(container, network)
    assert len(name.encode()) <= 127
    assert not any(c.isspace() or c in "/:" or not c.isprintable() for c in name)


# default routes


def routed(endpoints: tuple[EndpointSpec, ...], *networks: NetworkSpec) -> tuple[list[str], list[str]]:
    """The interfaces that carry the default routes of IPv4 and of IPv6."""
    chosen = choose_default_routes(endpoints, {network.id: network for network in networks})
    return (
        [endpoint.ifname for endpoint in chosen if endpoint.default_route_ipv4],
        [endpoint.ifname for endpoint in chosen if endpoint.default_route_ipv6],
    )


def test_the_networks_name_decides_and_a_network_of_both_families_comes_first() -> None:
    beta, alpha, dual = net("beta"), net("alpha", 2), net("zeta", 3, ipv6=True)
    one = plug(beta)
    two = plug(alpha, beside=[one])
    three = plug(dual, beside=[one, two])
    assert routed((one, two), beta, alpha) == (["eth1"], [])
    assert routed((one, two, three), beta, alpha, dual) == (["eth2"], ["eth2"])


def test_priority_comes_before_everything() -> None:
    beta, alpha = net("beta"), net("alpha", 2)
    one = replace(plug(beta), gw_priority=1)
    assert routed((one, plug(alpha, beside=[one])), beta, alpha) == (["eth0"], [])


def test_internal_networks_give_no_route_and_families_are_chosen_apart() -> None:
    inner, six, four = net("a", internal=True), net("b", 2, ipv6=True, ipv4=False), net("c", 3)
    one = plug(inner)
    two = plug(six, beside=[one])
    three = plug(four, beside=[one, two])
    assert routed((one,), inner) == ([], [])
    assert routed((one, two, three), inner, six, four) == (["eth2"], ["eth1"])


def test_a_route_that_was_carried_is_given_up() -> None:
    beta, alpha = net("beta"), net("alpha", 2)
    one = plug(beta)
    assert one.default_route_ipv4
    assert routed((one, plug(alpha, beside=[one])), beta, alpha) == (["eth1"], [])


def test_an_auxiliary_address_may_name_the_gateway() -> None:
    red = net("red")
    pool = replace(red.subnets[0], aux=(("DefaultGatewayIPv4", IPv4Address("10.1.0.254")),))
    assert str(plug(replace(red, subnets=(pool,))).gateway_ipv4) == "10.1.0.254"


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.integers(-1, 1)), min_size=1, max_size=4))
def test_there_is_one_default_route_of_each_family_that_has_a_gateway(kinds: list[tuple[int, bool, bool, int]]) -> None:
    networks, endpoints = [], []
    for number, (letter, ipv6, internal, priority) in enumerate(kinds, 1):
        network = net("abc"[letter] + str(number), number, ipv6=ipv6, internal=internal)
        networks.append(network)
        endpoints.append(replace(plug(network, beside=endpoints), gw_priority=priority))
    four, six = routed(tuple(endpoints), *networks)
    assert len(four) == any(not internal for _, _, internal, _ in kinds)
    assert len(six) == any(ipv6 and not internal for _, ipv6, internal, _ in kinds)


TEXTS = st.sampled_from(["", "10.1.0.9", "fd00:1::9", "10.1.0.0", "::", "1.2", "x"]) | st.text(max_size=9)


@given(
    st.builds(
        EndpointRequest,
        network=st.just("red"),
        ipv4=TEXTS,
        ipv6=TEXTS,
        mac=TEXTS,
        link_local=st.lists(TEXTS, max_size=2).map(tuple),
        driver_opts=st.dictionaries(st.sampled_from([ENDPOINT_IFNAME, ENDPOINT_SYSCTLS, "x"]), TEXTS),
    )
)
def test_whatever_is_asked_is_settled_or_refused_in_words(asked: EndpointRequest) -> None:
    red = net("red", ipv6=True)
    try:
        made = plug(red, asked=asked)
    except SealaneError:
        return  # any other error ends the test
    assert made.ipv4 is not None
    assert made.ipv6 is not None
    if asked.ipv4:
        assert made.ipv4.ip == IPv4Address(asked.ipv4)
    if asked.ipv6:
        assert made.ipv6.ip == IPv6Address(asked.ipv6)
    assert IfName(made.ifname) != "lo"
