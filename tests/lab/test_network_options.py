"""Item 10, second half: what a network can be told, and what the kernel then holds."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest

from lab.marks import ours
from support import running
from support.drawing import Box, Cli, Lab, none_reaches
from support.poll import until
from support.registry import free_port

SUBNET = "10.213.0.0/16"


def _bridge(cli: Cli, name: str) -> dict[str, Any]:
    """The Linux bridge of a network, as ``ip`` shows it."""
    (network,) = cli("network", "inspect", name).json
    (link,) = running.run(["ip", "-details", "-json", "address", "show", f"sl-{network['Id'][:12]}"]).json
    return dict(link)


def _addresses(link: dict[str, Any]) -> set[str]:
    return {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global"}


def test_subnet_gateway_and_range(lab: Lab, cli: Cli) -> None:
    lab.network("red", "--subnet", SUBNET, "--gateway", "10.213.0.254", "--ip-range", "10.213.7.0/24",
                "--aux-address", "router=10.213.7.0", "--aux-address", "printer=10.213.7.1")  # fmt: skip
    assert lab.subnet("red") == {
        "Subnet": SUBNET,
        "IPRange": "10.213.7.0/24",
        "Gateway": "10.213.0.254",
        "AuxiliaryAddresses": {"router": "10.213.7.0", "printer": "10.213.7.1"},
    }
    assert _addresses(_bridge(cli, "red")) == {"10.213.0.254/16"}
    first, second = lab.container("aa", "red"), lab.container("bb", "red")
    assert [box.address() for box in (first, second)] == [IPv4Address("10.213.7.2"), IPv4Address("10.213.7.3")]
    (route,) = (r for r in first.kernel("route") if r["dst"] == "default")
    assert route["gateway"] == "10.213.0.254"
    assert lab.container("cc", "red", options=("--ip", "10.213.200.1")).address() == IPv4Address("10.213.200.1")
    assert first.pings("10.213.200.1")


def test_a_static_address_is_kept_for_its_container(lab: Lab, cli: Cli) -> None:
    lab.network("red", "--subnet", "10.213.0.0/29")
    mine = lab.container("mine", "red", options=("--ip", "10.213.0.2"))
    cli("stop", "-t", "0", "mine")
    others = [lab.container(f"box{n}", "red") for n in range(4)]
    assert {str(box.address()) for box in others} == {f"10.213.0.{n}" for n in (3, 4, 5, 6)}, "never the one of mine"
    said = cli.refuses("run", "-d", "--name", "late", "--network", "red", "busybox", "true", code=125)
    assert "no available IPv4 addresses on this network's address pools: red" in said
    cli("start", "mine")
    assert mine.address() == IPv4Address("10.213.0.2")
    assert mine.pings("10.213.0.6")
    said = cli.refuses("run", "-d", "--network", "red", "--ip", "10.213.0.2", "busybox", "true", code=125)
    assert "Address already in use" in said
    assert "mine" in said, "the holder is named"


def test_connect_with_an_address(lab: Lab, cli: Cli) -> None:
    lab.network("red", "--subnet", SUBNET, "--ipv6", "--subnet", "fd00:213::/64")
    a = lab.container("aa")
    cli("network", "connect", "--ip", "10.213.1.1", "--ip6", "fd00:213::77", "red", "aa")
    assert a.address("red") == IPv4Address("10.213.1.1")
    assert a.address6("red") == IPv6Address("fd00:213::77")
    b = lab.container("bb", "red")
    assert b.resolves("aa") == {"10.213.1.1"}
    assert b.resolves6("aa") == {"fd00:213::77"}
    assert b.reverse("fd00:213::77") == "aa.red"
    assert b.pings("fd00:213::77")
    cli("restart", "-t", "0", "aa")
    assert a.address("red") == IPv4Address("10.213.1.1")


def test_ipv6_by_itself_is_ula(lab: Lab, cli: Cli) -> None:
    lab.network("six", "--ipv6")
    four, six = lab.engine.http("GET", "/networks/six").json["IPAM"]["Config"]
    pool = ip_network(six["Subnet"])
    assert pool.subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
    assert pool.prefixlen == 64
    a, b = lab.container("aa", "six"), lab.container("bb", "six")
    assert (a.address(), a.address6()) == (ip_network(four["Subnet"])[2], pool[2])
    assert b.resolves6("aa") == {str(a.address6())}
    assert b.pings(a.address6())
    assert b.run("ping", "-6", "-c1", "aa").out.startswith(f"PING aa ({a.address6()})")
    (route,) = (r for r in a.kernel("-6", "route") if r["dst"] == "default")
    assert route["gateway"] == str(pool[1])


def test_a_network_of_ipv6_alone(lab: Lab, cli: Cli) -> None:
    lab.network("six", "--ipv6", "--ipv4=false")
    a, b = lab.container("aa", "six"), lab.container("bb", "six")
    assert a.on()["IPAddress"] == ""
    assert b.resolves("aa") == set()
    assert b.resolves6("aa") == {str(a.address6())}
    a.serve(80, "six")
    assert b.ask(a.address6(), 80) == "six"


def test_mtu(lab: Lab, cli: Cli) -> None:
    lab.network("red", "-o", "com.docker.network.driver.mtu=1400")
    a = lab.container("aa", "red")
    assert [link["mtu"] for link in a.kernel("link", "show", "eth0")] == [1400]
    assert _bridge(cli, "red")["mtu"] == 1400


def test_a_bridge_by_name(lab: Lab, cli: Cli) -> None:
    name = f"sl{cli.engine.name[-6:]}br"
    lab.network("red", "-o", f"com.docker.network.bridge.name={name}")
    a = lab.container("aa", "red")
    assert name in {n for _, n in socket.if_nameindex()}
    assert lab.host.ask(_served(a), 80) == "aa"
    cli("rm", "-f", "aa")
    cli("network", "rm", "red")
    lab.network("blue", "-o", f"com.docker.network.bridge.name={name}")
    assert lab.host.ask(_served(lab.container("bb", "blue")), 80) == "bb", "the name is free at once"
    cli("rm", "-f", "bb")
    cli("network", "rm", "blue")
    until(lambda: name not in {n for _, n in socket.if_nameindex()}, "the bridge is gone")


def _served(box: Box) -> IPv4Address:
    box.serve(80, box.name)
    return box.address()


def test_without_icc_neighbours_are_strangers(lab: Lab) -> None:
    port = free_port()
    lab.network("red", "-o", "com.docker.network.bridge.enable_icc=false")
    a = lab.container("aa", "red", options=("-p", f"{port}:80"))
    b = lab.container("bb", "red")
    for box in (a, b):
        box.serve(80, box.name)
    outsider = lab.outsider()
    assert none_reaches([(a, b.address(), 80), (b, a.address(), 80)])
    assert not a.pings(b.address())
    assert b.resolves("aa") == {str(a.address())}, "the name is no secret"
    assert lab.host.ask("127.0.0.1", port) == "aa"
    assert b.ask(lab.host.addresses()[0], port) == "aa", "what is published is for all"
    with outsider.answering(80, "outside"):
        assert a.ask(outsider.address, 80) == "outside"


@pytest.mark.parametrize("masquerade", [True, False])
def test_masquerading(lab: Lab, masquerade: bool) -> None:
    lab.network("red", "--subnet", SUBNET, "-o", f"com.docker.network.bridge.enable_ip_masquerade={masquerade}")
    a = lab.container("aa", "red")
    outsider = lab.outsider()
    with outsider.answering(80, "outside") as askers:
        assert a.ask(outsider.address, 80) == "outside"
    assert askers == [str(outsider.neighbour if masquerade else a.address())]


def test_host_binding(lab: Lab, cli: Cli) -> None:
    port = free_port()
    outsider = lab.outsider()
    lab.network("red", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1")
    lab.container("aa", "red", options=("-p", f"{port}:80")).serve(80, "aa")
    lab.container("bb", "red", options=("-p", f"{outsider.neighbour}:{port}:80")).serve(80, "bb")
    assert cli("port", "aa").line == f"80/tcp -> 127.0.0.1:{port}"
    assert lab.host.ask("127.0.0.1", port) == "aa"
    assert outsider.ask(outsider.neighbour, port) == "bb"
    assert none_reaches([(lab.host, lab.host.addresses()[0], port)])


@pytest.mark.parametrize(
    "option", ["--mac-address=02:42:de:ad:be:ef", "--network=name=red,mac-address=02:42:de:ad:be:ef"]
)
def test_a_static_mac_address(lab: Lab, cli: Cli, option: str) -> None:
    lab.network("red")
    networks = () if option.startswith("--network") else ("red",)
    a = lab.container("aa", *networks, options=(option,))
    b = lab.container("bb", "red")
    assert [link["address"] for link in a.kernel("link", "show", "eth0")] == ["02:42:de:ad:be:ef"]
    assert a.on("red")["MacAddress"] == "02:42:de:ad:be:ef"
    assert b.pings(a.address())
    cli("restart", "-t", "0", "aa")
    assert [link["address"] for link in a.kernel("link", "show", "eth0")] == ["02:42:de:ad:be:ef"]


def test_links_of_the_host_say_whose_they_are(lab: Lab, cli: Cli) -> None:
    lab.network("my-network")
    lab.container("srv1", "my-network")
    assert _master("srv1.my-network") == _bridge(cli, "my-network")["ifname"]
    cli("rename", "srv1", "web")
    assert _master("web.my-network") == _bridge(cli, "my-network")["ifname"]
    cli("rm", "-f", "web")
    assert running.run(["ip", "link", "show", "web.my-network"], check=False).code != 0


def _master(altname: str) -> str:
    (link,) = running.run(["ip", "-json", "link", "show", altname]).json
    assert link["ifname"].startswith("sl")
    return str(link["master"])


def test_labels_filter(lab: Lab, cli: Cli) -> None:
    for name, tier in (("red", "front"), ("blue", "back")):
        lab.network(name, "--label", f"tier={tier}", "--label", "mine")

    def listed(*filters: str) -> list[str]:
        words = [word for item in filters for word in ("-f", item)]
        return sorted(cli("network", "ls", "--format", "{{.Name}}", *words).out.split())

    assert listed("label=tier=front") == ["red"]
    assert listed("label=mine") == ["blue", "red"]
    assert listed("type=builtin") == ["bridge", "host", "none"]
    lab.container("aa", "red")
    assert listed("dangling=true") == ["blue"]


@ours
def test_pools_avoid_every_route_of_the_host(lab: Lab) -> None:
    outsider = lab.outsider()
    lab.network("probe")
    pool = ip_network(lab.subnet("probe")["Subnet"])
    lab.cli("network", "rm", "probe")
    running.run(["ip", "route", "add", f"{pool[256]}/24", "via", str(outsider.address)])  # goes with the cable
    lab.network("red")
    assert not ip_network(lab.subnet("red")["Subnet"]).overlaps(pool)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--subnet", "10.213.0.0/33"), "invalid"),
        (("--subnet", "10.213.0.5/24"), "invalid subnet 10.213.0.5/24: it should be 10.213.0.0/24"),
        (("--subnet", "10.213.0.0/24", "--gateway", "10.214.0.1"), "no matching subnet for gateway 10.214.0.1"),
        (("--subnet", "10.213.0.0/24", "--ip-range", "10.214.0.0/25"), "no matching subnet for range 10.214.0.0/25"),
        (("--gateway", "10.213.0.1"), "gateway"),
        (("--subnet", "172.31.255.0/24", "--subnet", "172.31.255.0/25"), ""),
        (("-d", "nonsense"), 'plugin "nonsense" not found'),
        (("-o", "com.docker.network.bridge.enable_icc=maybe"), "enable_icc"),
        (("-o", "com.docker.network.driver.mtu=huge"), "mtu"),
        (("-o", "com.docker.network.driver.mtu=70000"), "invalid MTU number: 70000"),
    ],
)
def test_refusals_leave_nothing(cli: Cli, options: tuple[str, ...], said: str) -> None:
    before = cli("network", "ls", "-q").out, _rules(cli)
    message = cli.refuses("network", "create", *options, "red")
    assert said in message
    assert (cli("network", "ls", "-q").out, _rules(cli)) == before


def _rules(cli: Cli) -> str:
    """Everything that the engine has in nftables: its bridges are there by name."""
    return running.run(["nft", "-s", "list", "table", "inet", cli.engine.name]).out


def test_overlapping_subnets_are_refused_by_name(lab: Lab, cli: Cli) -> None:
    lab.network("red", "--subnet", SUBNET)
    said = cli.refuses("network", "create", "--subnet", "10.213.7.0/24", "blue")
    assert "Pool overlaps with other one on this address space" in said
    assert "red" in said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("10.214.0.1", "no configured subnet contains IP address 10.214.0.1"),
        ("10.213.0.1", "Address already in use"),
        ("10.213.0.0", ""),
        ("10.213.255.255", ""),
        ("nonsense", "invalid"),
    ],
)
def test_addresses_that_cannot_be_had(lab: Lab, cli: Cli, address: str, said: str) -> None:
    lab.network("red", "--subnet", SUBNET)
    message = cli.refuses("run", "-d", "--network", "red", "--ip", address, "busybox", "sleep", "9", code=125)
    assert said in message
    assert ip_address(lab.container("aa", "red").address()) == ip_address("10.213.0.2"), "nothing was taken"
