"""What our messages make is what ip(8) sees, and what ip(8) makes is what we see."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from kernel.linux.eyes import ip, link, names
from sealane.linux import namespaces
from sealane.linux.netlink import rtnl as messages
from sealane.linux.netlink.socket import Rtnl
from sealane.values import MacAddress

MAC = MacAddress("02:00:00:00:00:01")


def test_a_bridge(ns: Path, rtnl: Rtnl) -> None:
    index = rtnl.add_bridge("br0", mac=MAC, mtu=1400, up=True)
    seen = link(ns, "br0")
    assert (seen["ifindex"], seen["mtu"], seen["address"]) == (index, 1400, str(MAC))
    assert "UP" in seen["flags"]
    assert seen["linkinfo"]["info_kind"] == "bridge"


def test_a_veth_pair_into_another_namespace(ns: Path, other: Path, rtnl: Rtnl) -> None:
    bridge = rtnl.add_bridge("br0", up=True)
    fd = namespaces.open_fd(other)
    try:
        index = rtnl.add_veth("v0", "eth0", peer_ns=fd, peer_mac=MAC, mtu=1300, master=bridge, up=True)
    finally:
        os.close(fd)
    rtnl.set_bridge_port(index, hairpin=True, isolated=True)
    outside, inside = link(ns, "v0"), link(other, "eth0")
    assert (outside["master"], outside["mtu"]) == ("br0", 1300)
    assert (inside["address"], inside["mtu"]) == (str(MAC), 1300)
    port = outside["linkinfo"]["info_slave_data"]
    assert (port["hairpin"], port["isolated"]) == (True, True)
    assert names(ns) == ["lo", "br0", "v0"]


def test_links_are_seen_as_ip_sees_them(ns: Path, other: Path, rtnl: Rtnl) -> None:
    for command in (
        "link add br0 type bridge",
        "link add v0 mtu 1280 master br0 address 02:00:00:00:00:09 type veth peer name v1",
        "link property add dev v0 altname srv1.my-network",
        "link set v0 up",
        "link set v1 address 02:00:00:00:00:0a",
    ):
        ip(ns, command)
    by_name = {item.name: item for item in rtnl.links()}
    assert set(by_name) == {"lo", "br0", "v0", "v1"}
    seen = by_name["v0"]
    assert seen == rtnl.link("v0") == rtnl.link("srv1.my-network") == rtnl.link_by_index(seen.index)
    assert (seen.kind, seen.mtu, seen.up, seen.master) == ("veth", 1280, True, by_name["br0"].index)
    assert (str(seen.mac), seen.altnames) == ("02:00:00:00:00:09", ("srv1.my-network",))
    assert seen.peer_index == by_name["v1"].index
    assert (by_name["br0"].kind, by_name["br0"].up, by_name["lo"].up) == ("bridge", False, True)


def test_macvlan_and_dummy(ns: Path, other: Path, rtnl: Rtnl) -> None:
    parent = rtnl.add_dummy("p0", mac=MAC, mtu=1450, up=True)
    fd = namespaces.open_fd(other)
    try:
        rtnl.add_macvlan("m0", parent, mode="private", ns_fd=fd, mac=MacAddress("02:00:00:00:00:02"))
    finally:
        os.close(fd)
    assert link(ns, "p0")["mtu"] == 1450
    seen = link(other, "m0")
    assert seen["linkinfo"] == {"info_kind": "macvlan", "info_data": seen["linkinfo"]["info_data"]}
    assert seen["linkinfo"]["info_data"]["mode"] == "private"
    assert seen["address"] == "02:00:00:00:00:02"


def test_changing_a_link(ns: Path, rtnl: Rtnl) -> None:
    bridge = rtnl.add_bridge("br0")
    index = rtnl.add_veth("v0", "v1")
    rtnl.set_link(index, up=True, master=bridge, mtu=1333, mac=MAC)
    seen = link(ns, "v0")
    assert (seen["master"], seen["mtu"], seen["address"], "UP" in seen["flags"]) == ("br0", 1333, str(MAC), True)
    rtnl.set_link(index, up=False, master=0)
    rtnl.set_link(index, name="w0")
    seen = link(ns, "w0")
    assert "master" not in seen
    assert "UP" not in seen["flags"]


def test_a_port_without_a_link_local_address(ns: Path, rtnl: Rtnl) -> None:
    rtnl.set_link(rtnl.add_veth("v0", "v1"), up=True, no_link_local=True)
    rtnl.set_link("v1", up=True)
    assert ip(ns, "addr show dev v0")[0]["addr_info"] == []


def test_alternative_names(ns: Path, rtnl: Rtnl) -> None:
    rtnl.add_bridge("br0")
    rtnl.add_altname("br0", "the-red-network.sealane")
    assert link(ns, "br0")["altnames"] == ["the-red-network.sealane"]
    rtnl.del_altname("br0", "the-red-network.sealane")
    assert "altnames" not in link(ns, "br0")


def test_deleting_a_link(ns: Path, rtnl: Rtnl) -> None:
    rtnl.add_veth("v0", "v1")
    rtnl.del_link("v1")
    assert names(ns) == ["lo"]


def test_addresses_both_ways(ns: Path, rtnl: Rtnl) -> None:
    index = rtnl.add_bridge("br0", up=True)
    rtnl.add_address("br0", ip_interface("10.1.0.1/24"))
    rtnl.add_address(index, ip_interface("fd00:1::1/64"))
    seen = {a["local"]: a for a in ip(ns, "addr show dev br0")[0]["addr_info"]}
    assert (seen["10.1.0.1"]["prefixlen"], seen["10.1.0.1"]["broadcast"]) == (24, "10.1.0.255")
    assert seen["fd00:1::1"].get("nodad") is True
    ip(ns, "addr add 192.0.2.7/32 dev br0")
    ours = {str(address.interface) for address in rtnl.addresses(index)}
    assert {"10.1.0.1/24", "fd00:1::1/64", "192.0.2.7/32"} <= ours
    rtnl.del_address(index, ip_interface("10.1.0.1/24"))
    assert "10.1.0.1" not in {a["local"] for a in ip(ns, "addr show dev br0")[0]["addr_info"]}


def test_routes_both_ways(ns: Path, rtnl: Rtnl) -> None:
    index = rtnl.add_bridge("br0", up=True)
    rtnl.set_link(rtnl.add_veth("v0", "v1", master=index), up=True)
    rtnl.set_link("v1", up=True)  # the bridge has a carrier
    rtnl.add_address(index, ip_interface("10.1.0.2/24"))
    rtnl.add_address(index, ip_interface("fd00:1::2/64"))
    made = [
        messages.Route(dst=None, gateway=ip_address("10.1.0.1"), index=index),
        messages.Route(dst=ip_network("198.51.100.0/24"), gateway=ip_address("10.1.0.9"), index=index, metric=7),
        messages.Route(dst=ip_network("203.0.113.0/24"), index=index),
        messages.Route(dst=None, gateway=ip_address("fd00:1::1"), index=index, family=messages.AF_INET6),
    ]
    for route in made:
        rtnl.add_route(route)
    seen = {route["dst"]: route for route in ip(ns, "route")}
    assert seen["default"]["gateway"] == "10.1.0.1"
    assert (seen["198.51.100.0/24"]["gateway"], seen["198.51.100.0/24"]["metric"]) == ("10.1.0.9", 7)
    assert seen["203.0.113.0/24"]["scope"] == "link"
    assert [r["gateway"] for r in ip(ns, "-6 route") if r["dst"] == "default"] == ["fd00:1::1"]
    ours = {(str(route.dst), str(route.gateway)) for route in rtnl.routes()}
    assert {("None", "10.1.0.1"), ("None", "fd00:1::1"), ("10.1.0.0/24", "None")} <= ours
    ip(ns, "route add 192.0.2.0/24 via 10.1.0.5 table 77")
    assert ("192.0.2.0/24", "10.1.0.5") in {(str(r.dst), str(r.gateway)) for r in rtnl.routes(table=None)}
    assert ("192.0.2.0/24", "10.1.0.5") not in {(str(r.dst), str(r.gateway)) for r in rtnl.routes()}
    for route in made:
        rtnl.del_route(route)
    assert all(route["dst"] != "default" for route in ip(ns, "route"))


def test_neighbours(ns: Path, rtnl: Rtnl) -> None:
    index = rtnl.add_bridge("br0", up=True)
    rtnl.add_neighbour(index, ip_address("10.1.0.9"), MAC)
    (seen,) = ip(ns, "neigh show dev br0")
    assert (seen["dst"], seen["lladdr"], seen["state"]) == ("10.1.0.9", str(MAC), ["PERMANENT"])
    assert (ip_address("10.1.0.9"), MAC) in {(n.address, n.mac) for n in rtnl.neighbours()}


@pytest.mark.parametrize(
    ("ask", "number", "words"),
    [
        (lambda rtnl: rtnl.link("nosuch"), errno.ENODEV, "link nosuch: No such device"),
        (lambda rtnl: rtnl.add_bridge("lo"), errno.EEXIST, "bridge lo: File exists"),
        (
            lambda rtnl: rtnl.add_address("lo", ip_interface("127.0.0.1/8")),
            errno.EEXIST,
            "address 127.0.0.1/8: File exists",
        ),
        (lambda rtnl: rtnl.set_link("lo", mtu=2**31 + 5), errno.EINVAL, "link 1: Invalid argument ("),
        (
            lambda rtnl: rtnl.add_route(messages.Route(dst=None, gateway=ip_address("10.9.9.9"))),
            errno.ENETUNREACH,
            "route default via 10.9.9.9: Network is unreachable (Nexthop has invalid gateway)",
        ),
    ],
    ids=["no link", "exists", "address", "explained", "gateway"],
)
def test_refusals_name_the_object_and_the_kernels_reason(rtnl: Rtnl, ask: Any, number: int, words: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        ask(rtnl)
    assert caught.value.errno == number
    assert str(caught.value.strerror).startswith(words)


def test_a_batch_goes_on_after_a_refusal_and_tells_the_first(ns: Path, rtnl: Rtnl) -> None:
    wanted = [messages.new_bridge("br0"), messages.new_bridge("lo"), messages.new_bridge("br1"), messages.del_link(999)]
    with pytest.raises(OSError, match="bridge lo: File exists"):
        rtnl.batch(wanted)
    assert names(ns) == ["lo", "br0", "br1"]
    rtnl.batch([])


def test_a_dump_of_many_things(rtnl: Rtnl) -> None:
    index = rtnl.add_bridge("br0", up=True)
    wanted = [ip_interface(f"10.{number // 250}.{number % 250}.1/32") for number in range(2000)]
    rtnl.batch([messages.new_address(index, interface) for interface in wanted[:100]])
    for start in range(100, 2000, 100):
        rtnl.batch([messages.new_address(index, interface) for interface in wanted[start : start + 100]])
    seen = {address.interface for address in rtnl.addresses(index)}
    assert set(wanted) <= seen


def test_sockets_stay_in_their_namespace_whatever_other_threads_do(ns: Path, other: Path) -> None:
    """Seen with another library: a socket meant for a container landed in the host's namespace."""
    own = namespaces.inode(Path("/proc/thread-self/ns/net"))

    def make(number: int) -> None:
        place = (ns, other)[number % 2]
        with Rtnl.open_in(place) as rtnl:
            rtnl.add_bridge(f"{place.name}{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(60)))
    for place, rest in ((ns, 0), (other, 1)):
        assert sorted(names(place)) == sorted(["lo", *(f"{place.name}{n}" for n in range(60) if n % 2 == rest)])
    assert namespaces.inode(Path("/proc/thread-self/ns/net")) == own


def test_one_socket_can_be_shared_by_threads(ns: Path, rtnl: Rtnl) -> None:
    with ThreadPoolExecutor(8) as pool:
        indexes = list(pool.map(lambda number: rtnl.add_bridge(f"br{number}"), range(40)))
    assert len(set(indexes)) == 40
    assert {item.name: item.index for item in rtnl.links() if item.name != "lo"} == {
        f"br{number}": index for number, index in enumerate(indexes)
    }


def test_closing_twice(ns: Path) -> None:
    rtnl = Rtnl.open_in(ns)
    rtnl.close()
    rtnl.close()
