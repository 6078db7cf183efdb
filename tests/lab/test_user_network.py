"""Items 5 to 7: a network of one's own is made, shown, used by name, and removed when nobody uses it."""

from __future__ import annotations

import json
import re
import socket
from ipaddress import ip_interface, ip_network
from typing import Any

import pytest

from lab.marks import ours
from support import running
from support.drawing import Cli, Lab
from support.images import CENTOS
from support.poll import until

_CREATED = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)"


def _inspect(cli: Cli, name: str) -> dict[str, Any]:
    (shown,) = cli("network", "inspect", name).json
    return dict(shown)


@pytest.fixture
def pair(lab: Lab, cli: Cli) -> Lab:
    """The tutorial's srv1 and srv2 on my-network."""
    lab.network("my-network")
    for name in ("srv1", "srv2"):
        cli("run", "-it", "--name", name, "--network", "my-network", "-d", CENTOS)
    return lab


def test_a_new_network_is_shown_as_docker_shows_it(cli: Cli) -> None:
    identifier = cli("network", "create", "--label", "tier=back", "my-network").line
    assert re.fullmatch(r"[0-9a-f]{64}", identifier)

    shown = _inspect(cli, "my-network")
    created, config = shown.pop("Created"), shown["IPAM"].pop("Config")
    shown.pop("EnableIPv4", None)  # newer than the tutorial
    assert re.fullmatch(_CREATED, created)
    assert shown == {
        "Name": "my-network",
        "Id": identifier,
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": {}},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {"tier": "back"},
    }
    (pool,) = config
    subnet = ip_network(pool["Subnet"])
    assert pool == {"Subnet": str(subnet), "Gateway": str(subnet[1])}
    others = ip_network(_inspect(cli, "bridge")["IPAM"]["Config"][0]["Subnet"])
    assert not subnet.overlaps(others)

    assert cli("network", "ls", "-q", "-f", "name=my-network", "--no-trunc").line == identifier
    assert cli("network", "inspect", "-f", "{{.Driver}} {{json .Labels}}", identifier[:12]).line == (
        'bridge {"tier":"back"}'
    )


def test_the_default_networks_as_docker_shows_them(cli: Cli) -> None:
    bridge = _inspect(cli, "bridge")
    assert bridge["Options"].pop("com.docker.network.bridge.name") == f"{cli.engine.name}"
    assert bridge["Options"] == {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.driver.mtu": "1500",
    }
    none, host = _inspect(cli, "none"), _inspect(cli, "host")
    assert (none["Driver"], host["Driver"]) == ("null", "host")
    assert not none["IPAM"]["Config"]
    assert not host["IPAM"]["Config"]


def test_ping_by_name(pair: Lab, cli: Cli) -> None:
    prefix = pair.subnet("my-network")["Gateway"].rpartition(".")[0]
    lines = cli("exec", "srv1", "ping", "-c", "2", "srv2").out.splitlines()
    assert lines[0].startswith(f"PING srv2 ({prefix}.3) 56(84) bytes of data.")
    assert lines[1].startswith(f"64 bytes from srv2.my-network ({prefix}.3): icmp_seq=1 ttl=64 time=")
    back = cli("exec", "srv2", "ping", "-c", "1", "srv1").out
    assert f"64 bytes from srv1.my-network ({prefix}.2): icmp_seq=1" in back
    assert cli("exec", "srv1", "hostname", "-i").line.strip() == f"{prefix}.2"
    assert cli("exec", "srv1", "getent", "hosts", "srv2.my-network").out.split()[0] == f"{prefix}.3"


def test_inspect_shows_who_is_on_the_network(pair: Lab, cli: Cli) -> None:
    pool = ip_network(pair.subnet("my-network")["Subnet"])
    expected = {}
    for number, name in enumerate(("srv1", "srv2"), 2):
        container = cli.engine.inspect(name)
        endpoint = container["NetworkSettings"]["Networks"]["my-network"]
        expected[container["Id"]] = {
            "Name": name,
            "EndpointID": endpoint["EndpointID"],
            "MacAddress": endpoint["MacAddress"],
            "IPv4Address": f"{pool[number]}/{pool.prefixlen}",
            "IPv6Address": "",
        }
        assert re.fullmatch(r"[0-9a-f]{64}", endpoint["EndpointID"])
        assert endpoint["IPAddress"] == str(pool[number])
        assert endpoint["IPPrefixLen"] == pool.prefixlen
        assert endpoint["Gateway"] == str(pool[1])
    assert _inspect(cli, "my-network")["Containers"] == expected

    cli("stop", "-t", "0", "srv2")
    names = [entry["Name"] for entry in _inspect(cli, "my-network")["Containers"].values()]
    assert names == ["srv1"], "only those that run"


def test_what_inspect_says_is_what_the_kernel_has(pair: Lab, cli: Cli) -> None:
    text = cli("exec", "srv1", "ip", "-j", "address", "show", "dev", "eth0").out
    (link,) = json.loads(text)
    (entry,) = (e for e in _inspect(cli, "my-network")["Containers"].values() if e["Name"] == "srv1")
    assert link["address"] == entry["MacAddress"]
    addresses = [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]]
    assert addresses == [str(ip_interface(entry["IPv4Address"]))], "no other address, and no IPv6 one"
    (route,) = (r for r in json.loads(cli("exec", "srv1", "ip", "-j", "route").out) if r["dst"] == "default")
    assert route["gateway"] == pair.subnet("my-network")["Gateway"]


def test_a_network_in_use_is_not_removed(pair: Lab, cli: Cli) -> None:
    said = cli.refuses("network", "rm", "my-network")
    assert "error while removing network: network my-network has active endpoints" in said
    assert 'name:"srv1"' in said
    assert 'name:"srv2"' in said
    cli("rm", "-f", "srv1", "srv2")
    assert cli("network", "rm", "my-network").out == "my-network\n"
    assert "network my-network not found" in cli.refuses("network", "inspect", "my-network")
    assert "network my-network not found" in cli.refuses("network", "rm", "my-network")


def test_predefined_networks_stay(cli: Cli) -> None:
    for name in ("bridge", "host", "none"):
        assert f"{name} is a pre-defined network and cannot be removed" in cli.refuses("network", "rm", name)
        assert f"operation is not permitted on predefined {name} network" in cli.refuses("network", "create", name)


def test_a_name_is_taken_once(cli: Cli) -> None:
    cli("network", "create", "my-network")
    assert "network with name my-network already exists" in cli.refuses("network", "create", "my-network")


@ours
def test_everything_in_the_kernel_can_be_listed_and_goes_with_the_network(pair: Lab, cli: Cli) -> None:
    bridge = f"sl-{_inspect(cli, 'my-network')['Id'][:12]}"
    veths = [link["ifname"] for link in running.run(["ip", "-json", "link", "show", "master", bridge]).json]
    address = cli.engine.inspect("srv1")["NetworkSettings"]["Networks"]["my-network"]["IPAddress"]
    listed = [re.split(r" {3,}", line) for line in cli("network", "inspect", "--kernel", "my-network").out.splitlines()]
    commands = {what: command for what, _, command in reversed(listed)}  # a link is made first, then set up
    assert commands[f"link {bridge}"].startswith(f"ip link add {bridge} ")
    assert commands[f"address {pair.subnet('my-network')['Gateway']}/16"].startswith("ip addr add ")
    assert all(f" master {bridge} " in commands[f"link {veth}"] for veth in veths)
    assert len(veths) == 2
    assert f"nft 'add element inet {cli.engine.name} endpoints4 {{ {address} }}'" in commands.values()
    assert sum("altname srv1.my-network" in command for command in commands.values()) == 1
    cli("rm", "-f", "srv1", "srv2")
    cli("network", "rm", "my-network")
    until(lambda: not {bridge, *veths} & _links(), "the kernel has deleted the links, which it does beside")


@ours
def test_a_dry_run_prints_and_changes_nothing(cli: Cli) -> None:
    networks = cli("network", "ls").out
    printed = cli("network", "create", "--dry-run", "--subnet", "10.250.7.0/24", "would-be").out
    assert "10.250.7.1/24" in printed
    bridge = re.search(r"ip link add (sl-\w+)", printed)
    assert bridge is not None
    assert bridge[1] not in _links()
    assert "10.250.7." not in running.run(["ip", "address"]).out
    assert bridge[1] not in running.run(["nft", "list", "table", "inet", cli.engine.name]).out
    assert cli("network", "ls").out == networks


def _links() -> set[str]:
    return {name for _, name in socket.if_nameindex()}
