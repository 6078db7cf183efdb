"""What engine and resolver say to each other arrives as it was meant; the command line and resolv.conf are read."""

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from sealane.dns import messages
from sealane.dns.answer import ContainerView, EndpointNames, Link, NetworkZone, Upstream
from sealane.dns.hosts import HostServers, parse_resolv_conf
from sealane.dns.messages import Held, HeldContainer
from sealane.dns.server import Arguments, parse_arguments
from sealane.values import ContainerId, EndpointId, NetworkId

NET = NetworkId("n" * 64)
NAMES = EndpointNames(ContainerId("c"), ("srv1", "wéb"), (IPv4Address("172.18.0.2"),), (IPv6Address("fd00::2"),))
VIEWS = [
    ContainerView(container=ContainerId("c")),
    ContainerView(
        container=ContainerId("d"),
        networks=(NET,),
        links=(Link("db", "srv1", NET),),
        external=False,
        upstreams=(Upstream(IPv4Address("192.0.2.1")), Upstream(IPv6Address("fe80::1%eth0"), 5353)),
        ndots=2,
    ),
]


@pytest.mark.parametrize("view", VIEWS)
def test_views(view: ContainerView) -> None:
    assert messages.view_from_json(json.loads(json.dumps(messages.view_to_json(view)))) == view


def test_everything_held() -> None:
    zone = NetworkZone(
        NET, "my-network", {EndpointId("e"): NAMES}, (IPv4Network("10.0.0.0/8"), IPv6Network("fd00::/64"))
    )
    held = Held({NET: zone}, {view.container: HeldContainer(view, 1 << 60) for view in VIEWS})
    data = messages.held_to_json(held.networks, held.containers)
    assert messages.held_from_json(json.loads(json.dumps(data))) == held


def test_resolv_conf() -> None:
    text = "# x\nnameserver 192.0.2.1\nnameserver\nnameserver nonsense\n nameserver 127.0.0.11\nsearch a b\n"
    text += "nameserver fe80::1%eth0\n"
    assert parse_resolv_conf(text) == (Upstream(IPv4Address("192.0.2.1")), Upstream(IPv6Address("fe80::1%eth0")))
    assert len(parse_resolv_conf("nameserver 192.0.2.1\n" * 9)) == 3


def test_a_resolv_conf_that_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    servers = HostServers(path)
    assert servers.current() == ()
    path.write_text("nameserver 192.0.2.1\n")
    assert servers.current() == (Upstream(IPv4Address("192.0.2.1")),)
    path.write_text("nameserver 192.0.2.100\n")
    assert servers.current() == (Upstream(IPv4Address("192.0.2.100")),)
    path.unlink()
    assert servers.current() == ()


def test_command_line() -> None:
    words = ["--socket", "/run/x", "--ttl", "0", "--detach", "--resolv-conf", "/y"]
    assert parse_arguments(words) == Arguments(Path("/run/x"), resolv_conf=Path("/y"), ttl=0, detach=True)
    for bad in (["--sokcet", "x"], [], ["--socket", "/x", "--ttl", "long"]):
        with pytest.raises(ValueError, match=r"unknown argument|missing|invalid literal"):
            parse_arguments(bad)
