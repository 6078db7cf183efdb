"""Item 10, first half: connect and disconnect while containers run, aliases, names that change, prune."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from lab.marks import ours
from support.drawing import Box, Cli, Lab
from support.poll import until
from support.registry import free_port


def test_connect_and_disconnect_while_it_runs(lab: Lab, cli: Cli) -> None:
    red, blue = lab.network("red"), lab.network("blue")
    a, b = lab.container("aa", red), lab.container("bb", blue)
    b.serve(80, "bb")
    assert a.cut_off([(b.address(), 80)])
    assert a.resolves("bb") == set()

    assert cli("network", "connect", blue, "aa").out == ""
    assert a.links() == ["eth0", "eth1"]
    assert a.ask(b.address(), 80) == "bb"
    assert a.resolves("bb") == {str(b.address())}
    assert b.resolves("aa") == {str(a.address(blue))}
    assert a.reverse(b.address()) == "bb.blue"
    (shown,) = cli("network", "inspect", blue).json
    assert {entry["Name"] for entry in shown["Containers"].values()} == {"aa", "bb"}
    assert "endpoint with name aa already exists in network blue" in cli.refuses("network", "connect", blue, "aa")

    assert cli("network", "disconnect", blue, "aa").out == ""
    assert a.cut_off([(b.address(), 80)])
    assert a.resolves("bb") == b.resolves("aa") == set()
    until(lambda: a.links() == ["eth0"], "the interface is gone")
    said = cli.refuses("network", "disconnect", blue, "aa")
    assert "is not connected to" in said
    assert "network blue" in said


def test_aliases_belong_to_one_network(lab: Lab, cli: Cli) -> None:
    red, blue = lab.network("red"), lab.network("blue")
    a = lab.container("aa", red, options=("--network-alias", "web", "--network-alias", "www"))
    near, far = lab.container("near", red), lab.container("far", blue)
    cli("network", "connect", "--alias", "db", blue, "aa")
    assert near.resolves("web") == near.resolves("www") == near.resolves("aa") == {str(a.address(red))}
    assert near.resolves("WEB.red") == {str(a.address(red))}
    assert far.resolves("db") == far.resolves(a.id[:12]) == {str(a.address(blue))}
    assert near.resolves("db") == far.resolves("web") == set()
    assert near.reverse(a.address(red)) == "aa.red", "the name, not an alias"


def test_an_alias_of_many_is_handed_out_in_turn(lab: Lab) -> None:
    red = lab.network("red")
    boxes = [lab.container(f"web{n}", red, options=("--network-alias", "web")) for n in range(3)]
    asker = lab.container("asker", red)
    everybody = {str(box.address()) for box in boxes}
    assert asker.resolves("web") == everybody
    answers = asker.shell("for n in 1 2 3 4 5 6; do nslookup -type=a web. 127.0.0.11 | grep ^Address | sed -n 2p; done")
    firsts = {line.split()[-1] for line in answers.out.splitlines()}
    assert firsts == everybody, "each is first at times"


def test_links_are_aliases_of_one_container(lab: Lab) -> None:
    red = lab.network("red")
    a = lab.container("aa", red)
    b, c = lab.container("bb", red, options=("--link", "aa:database")), lab.container("cc", red)
    assert b.resolves("database") == {str(a.address())}
    assert c.resolves("database") == set()


def test_interfaces_in_the_order_that_was_asked(lab: Lab, cli: Cli) -> None:
    names = ["zebra", "ant", "moose"]
    for name in names:
        lab.network(name)
    first = lab.container("first", *names)
    cli("create", "--name", "second", "--network", "moose", "busybox", "sleep", "1000")
    for name in ("zebra", "ant"):
        cli("network", "connect", name, "second")
    cli("start", "second")

    assert _wired(lab, "first") == names
    assert _wired(lab, "second") == ["moose", "zebra", "ant"]
    assert first.resolves("second") <= {
        lab.engine.inspect("second")["NetworkSettings"]["Networks"][name]["IPAddress"] for name in names
    }
    cli("restart", "-t", "0", "first")
    assert _wired(lab, "first") == names, "always"
    cli("network", "disconnect", "zebra", "first")
    cli("network", "connect", "zebra", "first")
    assert _wired(lab, "first") == ["zebra", "ant", "moose"], "the lowest free number"


def _wired(lab: Lab, name: str) -> list[str]:
    """The networks of eth0, eth1 … of a container, by the addresses that the kernel shows."""
    box = Box(lab.cli, name)
    pools = {network: ip_network(lab.subnet(network)["Subnet"]) for network in ("zebra", "ant", "moose")}
    found = {}
    for link in box.kernel("address"):
        for name, pool in pools.items():
            if any(ip_address(address["local"]) in pool for address in link["addr_info"]):
                found[link["ifname"]] = name
    return [found[f"eth{number}"] for number in range(len(found))]


def test_one_default_route_at_a_time(lab: Lab, cli: Cli) -> None:
    red, blue = lab.network("red"), lab.network("blue")
    a = lab.container("aa", red, blue)
    outsider = lab.outsider()

    def gateways() -> list[str]:
        return [route["gateway"] for route in a.kernel("route") if route["dst"] == "default"]

    assert len(gateways()) == 1
    with outsider.answering(80, "outside"):
        for gone in (red, blue):
            cli("network", "disconnect", gone, "aa")
            rest = [name for name in (red, blue) if name != gone]
            assert gateways() == [lab.subnet(rest[0])["Gateway"]]
            assert a.ask(outsider.address, 80) == "outside"
            cli("network", "connect", gone, "aa")
    cli("network", "disconnect", red, "aa")
    cli("network", "disconnect", blue, "aa")
    assert gateways() == []
    until(lambda: a.links() == [], "the interfaces are gone")


def test_gateway_priority(lab: Lab, cli: Cli) -> None:
    red, blue = lab.network("red"), lab.network("blue")
    a = lab.container("aa", f"name={red}", f"name={blue},gw-priority=10")
    (route,) = (route for route in a.kernel("route") if route["dst"] == "default")
    assert route["gateway"] == lab.subnet(blue)["Gateway"]


def test_ports_follow_the_way_out(lab: Lab, cli: Cli) -> None:
    port = free_port()
    red, blue = lab.network("red"), lab.network("blue")
    a = lab.container("aa", red, blue, options=("-p", f"{port}:80"))
    a.serve(80, "aa")
    assert lab.host.ask("127.0.0.1", port) == "aa"
    for name in (red, blue):
        cli("network", "disconnect", name, "aa")
        assert lab.host.ask("127.0.0.1", port) == "aa"
        assert lab.host.ask("::1", port) == "aa"
        cli("network", "connect", name, "aa")


def test_a_stopped_container_is_connected_for_its_next_start(lab: Lab, cli: Cli) -> None:
    red = lab.network("red")
    cli("create", "--name", "aa", "busybox", "sleep", "1000")
    cli("network", "connect", red, "aa")
    cli("network", "disconnect", "bridge", "aa")
    cli("start", "aa")
    assert list(lab.engine.inspect("aa")["NetworkSettings"]["Networks"]) == [red]
    assert lab.container("bb", red).resolves("aa")


def test_rename_is_seen_at_once(lab: Lab, cli: Cli) -> None:
    red = lab.network("red")
    a, b = lab.container("aa", red), lab.container("bb", red)
    address = a.address()
    cli("rename", "aa", "ceres")
    assert b.resolves("ceres") == {str(address)}
    assert b.resolves("aa") == set()
    assert b.reverse(address) == "ceres.red"
    names = cli("ps", "--format", "{{.Names}}").out.split()
    assert sorted(names) == ["bb", "ceres"]
    (shown,) = cli("network", "inspect", red).json
    assert {entry["Name"] for entry in shown["Containers"].values()} == {"bb", "ceres"}
    assert "is already in use by container" in cli.refuses("rename", "ceres", "bb")


def test_prune_takes_what_nobody_uses(lab: Lab, cli: Cli) -> None:
    for name, label in (("used", "x"), ("unused", "x"), ("kept", "keep")):
        lab.network(name, "--label", label)
    lab.container("aa", "used")
    said = cli("network", "prune", "-f", "--filter", "label!=keep").out
    assert said == "Deleted Networks:\nunused\n\n"
    names = set(cli("network", "ls", "--format", "{{.Name}}").out.split())
    assert names == {"bridge", "host", "none", "used", "kept"}
    assert cli("network", "prune", input="n\n", check=False).out.endswith("[y/N] ")
    assert "kept" in cli("network", "ls").out
    assert cli("network", "prune", "-f").out == "Deleted Networks:\nkept\n\n"


@ours
def test_events_of_a_network(lab: Lab, cli: Cli) -> None:
    since = lab.engine.http("GET", "/info").json["SystemTime"]
    red = lab.network("red")
    lab.container("aa", red)
    cli("network", "disconnect", red, "aa")
    cli("network", "connect", red, "aa")
    cli("rm", "-f", "aa")
    cli("network", "rm", red)
    now = lab.engine.http("GET", "/info").json["SystemTime"]
    seen = cli("events", "--since", since, "--until", now, "--filter", "type=network", "--format",
               "{{.Action}} {{.Actor.Attributes.name}}")  # fmt: skip
    actions = [line.split()[0] for line in seen.out.splitlines() if line.endswith(" red")]
    assert actions == ["create", "connect", "disconnect", "connect", "disconnect", "destroy"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("connect", "nowhere", "aa"), "network nowhere not found"),
        (("connect", "bridge", "nobody"), "No such container: nobody"),
        (("disconnect", "nowhere", "aa"), "network nowhere not found"),
        (("connect", "--ip", "10.1.2.3", "bridge", "bb"), "user-specified IP address is supported on user-defined"),
        (("connect", "--alias", "x", "bridge", "bb"), "network-scoped aliases are only supported for user-defined"),
    ],
)
def test_refusals(lab: Lab, cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    lab.container("aa")
    lab.container("bb", lab.network("red"))
    assert said in cli.refuses("network", *arguments)
    assert lab.container("cc", "red").links() == ["eth0"]
