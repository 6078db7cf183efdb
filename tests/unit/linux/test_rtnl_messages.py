"""rtnetlink requests and answers as bytes. tests/kernel/linux/test_netlink.py compares them with what ip(8) sees."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.linux.netlink import rtnl
from sealane.linux.netlink.codec import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, attributes
from sealane.values import IPInterface, MacAddress

MAC = MacAddress("02:42:0a:01:00:02")


@pytest.mark.parametrize(
    ("request_", "kind", "body"),
    [
        (
            rtnl.new_bridge("br0", mac=MAC, mtu=1400, up=True),
            rtnl.RTM_NEWLINK,
            (
                "00000000 00000000 01000000 01000000 "  # any index; flags and change: IFF_UP
                "08000300 62723000 "  # IFLA_IFNAME br0
                "0a000100 02420a01 00020000 "  # IFLA_ADDRESS
                "08000400 78050000 "  # IFLA_MTU
                "10001280 0b000100 62726964 67650000"
            ),  # IFLA_LINKINFO { IFLA_INFO_KIND bridge }
        ),
        (
            rtnl.set_bridge_port(5, hairpin=True),
            rtnl.RTM_NEWLINK,
            (
                "00000000 05000000 00000000 00000000 1c001280 0b000400 62726964 67650000 0c000580 05000400 01000000"
            ),  # IFLA_BRPORT_MODE 1
        ),
        (
            rtnl.altname(3, "srv1.net"),
            rtnl.RTM_NEWLINKPROP,
            "00000000 03000000 00000000 00000000 14003480 0d003500 73727631 2e6e6574 00000000",
        ),
        (rtnl.del_link(9), rtnl.RTM_DELLINK, "00000000 09000000 00000000 00000000"),
        (
            rtnl.new_address(2, ip_interface("10.1.0.2/24")),
            rtnl.RTM_NEWADDR,
            (
                "02180000 02000000 "  # AF_INET, /24
                "08000200 0a010002 08000100 0a010002 08000400 0a0100ff"
            ),  # local, address, broadcast
        ),
        (
            rtnl.new_address(2, ip_interface("fd00::2/64")),
            rtnl.RTM_NEWADDR,
            (
                "0a400000 02000000 "
                "14000200 fd000000 00000000 00000000 00000002 14000100 fd000000 00000000 00000000 00000002 "
                "08000800 02000000"
            ),  # IFA_FLAGS: no duplicate address detection
        ),
        (
            rtnl.new_route(rtnl.Route(dst=None, gateway=IPv4Address("10.1.0.1"), index=2)),
            rtnl.RTM_NEWROUTE,
            (
                "02000000 fe040001 00000000 "  # AF_INET, /0, main table, static, universe, unicast
                "08000500 0a010001 08000400 02000000"
            ),
        ),
    ],
    ids=lambda value: value.about if isinstance(value, rtnl.Request) else None,
)
def test_requests_as_bytes(request_: rtnl.Request, kind: int, body: str) -> None:
    assert request_.kind == kind
    assert request_.body.hex(" ", 4) == body


def test_new_things_must_not_exist_unless_they_replace() -> None:
    made = rtnl.new_bridge("br0").flags
    assert made & (NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL) == NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    address = ip_interface("10.0.0.1/8")
    assert rtnl.new_address(1, address, replace=True).flags & (NLM_F_EXCL | NLM_F_REPLACE) == NLM_F_REPLACE
    assert rtnl.set_link(1, up=True).flags & (NLM_F_CREATE | NLM_F_EXCL) == 0


@given(
    st.integers(1, 2**31 - 1),
    st.builds(IPv4Interface, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)))
    | st.builds(IPv6Interface, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128))),
)
def test_addresses_come_back(index: int, interface: IPInterface) -> None:
    found = rtnl.parse_address(rtnl.new_address(index, interface).body)
    assert (found.index, found.interface) == (index, interface)


@given(
    st.sampled_from([None, "10.0.0.0/8", "192.168.4.0/24", "203.0.113.7/32"]),
    st.sampled_from([None, "10.0.0.1"]),
    st.sampled_from([None, 4]),
    st.integers(0, 1000),
)
def test_routes_come_back(dst: str | None, gateway: str | None, index: int | None, metric: int) -> None:
    asked = rtnl.Route(
        dst=ip_network(dst) if dst else None,
        gateway=ip_address(gateway) if gateway else None,
        index=index,
        metric=metric,
        prefsrc=ip_address("10.0.0.9"),
    )
    found = rtnl.parse_route(rtnl.new_route(asked).body)
    assert found is not None
    assert (found.dst, found.gateway, found.index, found.metric, found.prefsrc) == (
        asked.dst, asked.gateway, asked.index, asked.metric, asked.prefsrc,
    )  # fmt: skip


def test_ipv6_routes_without_anything_are_of_their_family() -> None:
    found = rtnl.parse_route(rtnl.new_route(rtnl.Route(dst=ip_network("fd00::/8"), index=1)).body)
    assert found is not None
    assert str(found.dst) == "fd00::/8"
    assert found.family == rtnl.AF_INET6


def test_what_is_no_unicast_route_is_passed_over() -> None:
    local = bytearray(rtnl.new_route(rtnl.Route(dst=ip_network("10.0.0.0/8"), index=1)).body)
    local[7] = 2  # RTN_LOCAL
    assert rtnl.parse_route(bytes(local)) is None


def test_links_come_back() -> None:
    """Asked for and answered in one format."""
    found = rtnl.parse_link(rtnl.set_link(7, up=True, mac=MAC, mtu=1400, master=3, name="eth7").body)
    assert found == rtnl.Link(index=7, name="eth7", mac=MAC, mtu=1400, up=True, master=3)
    assert rtnl.parse_link(rtnl.altname(7, "srv1.net").body).altnames == ("srv1.net",)
    assert dict(rtnl.parse_link(rtnl.set_bridge_port(7, hairpin=True, isolated=False).body).port) == {
        "hairpin": 1,
        "isolated": 0,
    }


def test_a_veth_carries_its_peer() -> None:
    body = rtnl.new_veth("a", "b", peer_ns=5, mac=MAC, master=2).body
    assert rtnl.parse_link(body).kind == "veth"
    assert rtnl.parse_link(body).master == 2
    assert b"b\0" in attributes(body, 16)[18]  # in IFLA_LINKINFO


def test_long_names_are_asked_for_as_alternative_names() -> None:
    assert 3 in attributes(rtnl.get_link(name="x" * 15).body, 16)
    assert 53 in attributes(rtnl.get_link(name="x" * 16).body, 16)


def test_entries_of_a_bridges_table_are_no_neighbours() -> None:
    made = rtnl.new_neighbour(4, ip_address("10.0.0.2"), MAC)
    assert rtnl.parse_neighbour(made.body) == rtnl.Neighbour(4, ip_address("10.0.0.2"), MAC, 0x80)
    assert rtnl.parse_neighbour(bytes((rtnl.AF_BRIDGE,)) + made.body[1:]) is None
