"""What is refused before anything is made, in the words of Docker Engine 26.1 (compared with it by hand) or 28."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import Forbidden, Internal, InvalidArgument, NotFound, SealaneError, Unsupported
from sealane.network.spec import IpamRequest, NetworkRequest
from sealane.network.validate import check_conflicts, settle_network, validate_network
from sealane.values import NetworkId

CONFIG = "invalid network config:\n"
NET = "10.211.2.0/24"
BRIDGE = "com.docker.network.bridge."


def request(*ipam: IpamRequest, **fields: Any) -> NetworkRequest:
    return NetworkRequest(**{"name": "red", "ipam": ipam, **fields})


def pool(subnet: str = NET, ip_range: str = "", gateway: str = "", **aux: str) -> IpamRequest:
    return IpamRequest(subnet, ip_range, gateway, tuple(aux.items()))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (pool("10.1.2.3/24"), "invalid subnet 10.1.2.3/24: it should be 10.1.2.0/24"),
        (pool("10.1.2.0"), "invalid subnet 10.1.2.0: invalid CIDR block notation"),
        (pool("10.1.2.0/33"), "invalid subnet 10.1.2.0/33: invalid CIDR block notation"),
        (pool("10.1.02.0/24"), "invalid subnet 10.1.02.0/24: invalid CIDR block notation"),
        (pool("10.1.0.0/255.255.0.0"), "invalid subnet 10.1.0.0/255.255.0.0: invalid CIDR block notation"),
        (pool("rubbish"), "invalid subnet rubbish: invalid CIDR block notation"),
        (pool(gateway="x"), "invalid gateway x: invalid address"),
        (pool(gateway="10.211.2.1/24"), "invalid gateway 10.211.2.1/24: invalid address"),
        (pool(gateway="10.9.9.1"), f"invalid gateway 10.9.9.1: parent subnet {NET} doesn't contain this address"),
        (pool(gateway="fd00::1"), "invalid gateway fd00::1: parent subnet is an IPv4 block"),
        (pool(ip_range="zz"), "invalid ip-range zz: invalid CIDR block notation"),
        (pool(ip_range="10.9.0.0/25"), f"invalid ip-range 10.9.0.0/25: parent subnet {NET} doesn't contain ip-range"),
        (pool(ip_range="10.211.2.5/25"), "invalid ip-range 10.211.2.5/25: it should be 10.211.2.0/25"),
        (pool(ip_range="fd00::/64"), "invalid ip-range fd00::/64: parent subnet is an IPv4 block"),
        (
            pool(ip_range="10.211.2.0/16"),
            (
                f"* invalid ip-range 10.211.2.0/16: CIDR block is bigger than its parent subnet {NET}\n"
                "* invalid ip-range 10.211.2.0/16: it should be 10.211.0.0/16"
            ),
        ),
        (pool(a="x"), "invalid auxiliary address a: invalid address"),
        (pool(a="10.9.9.9"), f"invalid auxiliary address a: parent subnet {NET} doesn't contain this address"),
        (
            pool("10.211.2.7/24", "zz", "x", b="x", a="9.9.9.9"),
            (
                "* invalid subnet 10.211.2.7/24: it should be 10.211.2.0/24\n"
                "* invalid ip-range zz: invalid CIDR block notation\n"
                "* invalid gateway x: invalid address\n"
                "* invalid auxiliary address b: invalid address\n"
                "* invalid auxiliary address a: parent subnet 10.211.2.7/24 doesn't contain this address"
            ),
        ),
    ],
)
def test_addresses_of_a_network(entry: IpamRequest, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validate_network(request(entry))
    assert caught.value.message == CONFIG + words


def test_problems_of_all_pools_are_told_at_once() -> None:
    with pytest.raises(InvalidArgument) as caught:
        validate_network(request(pool("x/1"), pool("fd00::5/64", gateway="fd01::1"), ipv6=True))
    assert caught.value.message == (
        f"{CONFIG}* invalid subnet x/1: invalid CIDR block notation\n"
        "* invalid subnet fd00::5/64: it should be fd00::/64\n"
        "* invalid gateway fd01::1: parent subnet fd00::5/64 doesn't contain this address"
    )


def test_an_ipv6_pool_of_a_network_without_ipv6_is_shown_and_not_checked() -> None:
    validate_network(request(pool("fd00:1::/64", gateway="10.1.1.1")))


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"name": " "}, InvalidArgument, "invalid name: name is empty"),
        ({"driver": "nope"}, NotFound, 'could not find plugin nope in v1 plugin registry: plugin "nope" not found'),
        ({"driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
        ({"driver": "null"}, Forbidden, 'only one instance of "null" network is allowed'),
        ({"driver": "overlay"}, Forbidden, "This node is not a swarm manager."),
        ({"driver": "ipvlan"}, Unsupported, "network driver ipvlan is not served by Sealane"),
        ({"ipv4": False}, InvalidArgument, "IPv4 or IPv6 must be enabled"),
        ({"scope": "swarm"}, Forbidden, "cannot create a swarm scoped network when swarm is not active"),
        ({"ingress": True}, Forbidden, "Ingress network can only be global scope network"),
        ({"ipam_driver": "nope"}, InvalidArgument, 'invalid ipam driver: "nope"'),
        ({"ipam_driver": "null"}, InvalidArgument, "ipv4 pool is empty"),
        ({"ipam": (pool(), pool("10.212.2.0/24"))}, Forbidden, "bridge driver doesn't support multiple subnets"),
        ({"ipam": (pool("fe80::/64"),), "ipv6": True}, InvalidArgument, "'fe80::/64' clashes with the Link-Local"),
        ({"ipam": (pool("ff02::/64"),), "ipv6": True}, InvalidArgument, "multicast subnet 'ff02::/64' is not allowed"),
        (
            {"config_only": True, "internal": True},
            Forbidden,
            (
                "configuration network can only contain network specific fields. Network operator fields like "
                "[ ingress | internal | attachable | scope ] are not supported."
            ),
        ),
        (
            {"config_only": True, "config_from": "x"},
            Forbidden,
            "a configuration network cannot depend on another configuration network",
        ),
        (
            {"config_from": "x", "ipam": (pool(),)},
            Forbidden,
            "user-specified configurations are not supported if the network depends on a configuration network",
        ),
        (
            {"config_from": "x", "options": {"a": "b"}},
            Forbidden,
            "network driver options are not supported if the network depends on a configuration network",
        ),
        (
            {"options": {BRIDGE + "gateway_mode_ipv4": "isolated"}},
            Internal,
            "gateway mode 'isolated' can only be used for an internal network",
        ),
    ],
)
def test_networks_that_are_refused(fields: dict[str, Any], error: type[SealaneError], words: str) -> None:
    with pytest.raises(error) as caught:
        validate_network(request(**fields))
    assert caught.value.message.startswith(words)


def test_one_bridge_serves_one_network() -> None:
    asked = request(options={BRIDGE + "name": "mine0"})
    one, other, own = (settle_network(asked, NetworkId(letter * 64), "", ()) for letter in "abc")
    with pytest.raises(Forbidden) as caught:
        check_conflicts(one, [other])
    assert caught.value.message == (
        f"cannot create network {one.id} (mine0): conflicts with network {other.id} (mine0): networks have same bridge "
        "name"
    )
    check_conflicts(one, [one])  # itself, seen again
    check_conflicts(settle_network(request(), own.id, "", ()), [other])
    check_conflicts(replace(own, bridge=None), [other])


WORDS = st.sampled_from(
    ["", "10.0.0.0/8", "10.0.0.1", "10.0.0.5/24", "fd00::/64", "::1", "0.0.0.0/0", "x", "1/2/3", "10.0.0.0/-1", "/"]
) | st.text(max_size=12)
ENTRIES = st.builds(
    IpamRequest, WORDS, WORDS, WORDS, st.lists(st.tuples(st.text(max_size=3), WORDS), max_size=2).map(tuple)
)
OPTIONS = st.dictionaries(
    st.sampled_from(
        [BRIDGE + word for word in ("name", "enable_icc", "host_binding_ipv4", "gateway_mode_ipv6")]
        + ["com.docker.network.driver.mtu", "com.docker.network.enable_ipv6", "parent", "macvlan_mode"]
    ),
    WORDS,
    max_size=3,
)


@given(
    st.builds(
        NetworkRequest,
        name=st.text(max_size=5),
        driver=st.sampled_from(["bridge", "macvlan", "null", "host", "overlay", "x"]),
        ipv6=st.none() | st.booleans(),
        ipam=st.lists(ENTRIES, max_size=3).map(tuple),
        options=OPTIONS,
    )
)
def test_whatever_is_asked_is_checked_or_refused_in_words(asked: NetworkRequest) -> None:
    try:
        validate_network(asked)
    except SealaneError:
        return  # any other error ends the test
    settled = settle_network(asked, NetworkId("a" * 64), "", ())
    assert (settled.bridge is not None, settled.macvlan is not None) == (
        asked.driver == "bridge",
        asked.driver == "macvlan",
    )
