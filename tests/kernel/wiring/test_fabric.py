"""The fabric's verbs: what they leave in the kernel, how they are taken back, what they say."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kernel.wiring.drawing import BRIDGE, REMOTE4, Drawing, publish, tcp
from sealane.errors import Forbidden, Internal
from sealane.linux import namespaces, sysctl
from sealane.linux.netlink.rtnl import BR_STATE_FORWARDING
from sealane.linux.netlink.socket import Rtnl
from sealane.network.drivers.registry import endpoint_topology, network_topology
from sealane.network.plan import AddAddress, Op, Plan, SetLink, plan
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.network.topology import EMPTY, Namespace, Sysctl, Topology
from sealane.values import IfName
from sealane.wiring.apply import Applier, Session
from sealane.wiring.fabric import Fabric
from support.poll import until


def everything(drawing: Drawing, *boxes: Path) -> list[str]:
    """The host's and the boxes' links, addresses, routes and nft elements, in words; indexes and counters left out."""
    found = []
    for ns in (drawing.host, *boxes):
        with Rtnl.open_in(ns) as rtnl:
            names = {link.index: link.name for link in rtnl.links()}
            found += sorted(f"{ns.name} {link.name} {link.up} {link.mtu}" for link in rtnl.links())
            found += sorted(
                f"{ns.name} {names[a.index]} {a.interface}" for a in rtnl.addresses() if not a.interface.is_link_local
            )
            found += sorted(f"{ns.name} {r.dst} {r.gateway}" for r in rtnl.routes() if str(r.dst) != "fe80::/64")
    rules = subprocess.run(
        ["nsenter", f"--net={drawing.host}", "nft", "list", "ruleset"], check=True, capture_output=True, text=True
    )
    return [*found, *rules.stdout.splitlines()]


def test_a_network_comes_and_goes_without_a_trace(host: Drawing) -> None:
    before = everything(host)
    network = host.network("red", ipv6=True, internal=False)
    assert everything(host) != before
    host.fabric.remove_network(network)
    host.fabric.close()  # waits for the link
    assert everything(host) == before


def test_removal_is_at_once_and_a_new_network_may_have_the_name(host: Drawing) -> None:
    first = host.settle("red", **{BRIDGE + "name": "mine0"})
    host.fabric.create_network(first)
    host.fabric.remove_network(first)
    second = host.settle("blue", **{BRIDGE + "name": "mine0"})
    host.fabric.create_network(second)
    with Rtnl.open_in(host.host) as rtnl:
        link = rtnl.link("mine0")
        assert link.up
        assert link.mac == network_topology(second).links[0].mac


def test_a_bridge_of_somebody_else_is_used_and_left_alone(host: Drawing) -> None:
    host.ip(host.host, "link add mine0 address 02:00:00:00:00:77 up type bridge")
    network = host.network("red", **{BRIDGE + "name": "mine0"})
    a, b = host.container("a", network), host.container("b", network)
    with host.serving(b.ns, tcp(80)):
        assert host.seen_from(a.ns, b.ipv4, tcp(80)) is not None
    for box in (a, b):
        host.fabric.disconnect(network, box.endpoints[0], box.ns)
    host.fabric.remove_network(network)
    host.fabric.close()
    assert "02:00:00:00:00:77" in host.ip(host.host, "link show mine0")


def test_a_bridge_name_that_is_another_kind_of_link_is_refused(host: Drawing) -> None:
    with pytest.raises(Internal, match="existing interface up0 is not a bridge"):
        host.network("red", **{BRIDGE + "name": "up0"})


def test_a_bridge_is_one_networks_alone(host: Drawing) -> None:
    first = host.network("red", **{BRIDGE + "name": "mine0"})
    with pytest.raises(Forbidden, match=f"conflicts with network {first.id} .*networks have same bridge name"):
        host.network("blue", **{BRIDGE + "name": "mine0"})


def test_a_macvlan_needs_its_parent(host: Drawing) -> None:
    with pytest.raises(Internal, match=r"invalid subinterface vlan name nosuch0, example formatting is eth0\.10"):
        host.network("red", driver="macvlan", subnet="10.77.0.0/24", parent="nosuch0")


def test_interfaces_are_numbered_in_the_asked_order_and_can_be_plugged_in_and_out(host: Drawing) -> None:
    red, blue = host.network("red"), host.network("blue", ipv6=True)
    a = host.container("a", red, blue)
    assert [endpoint.ifname for endpoint in a.endpoints] == ["eth0", "eth1"]
    before = everything(host, a.ns)
    late = host.network("late")
    endpoint = host.settle_endpoint(a, late)
    host.fabric.connect(late, endpoint, a.ns)
    assert "eth2" in host.ip(a.ns, "-br link")
    host.fabric.disconnect(late, endpoint, a.ns)
    assert "eth2" not in host.ip(a.ns, "-br link")
    host.fabric.remove_network(late)
    host.fabric.close()
    assert everything(host, a.ns) == before


@pytest.mark.parametrize("driver", ["bridge", "macvlan"])
def test_a_disconnected_interface_frees_its_name_and_address_at_once(host: Drawing, driver: str) -> None:
    red, late = host.network("red"), host.network("late", driver=driver, subnet="10.77.0.0/24")
    a, b = host.container("a", red), host.container("b", late)
    with host.serving(b.ns, tcp(80)):
        for _ in range(5):  # faster than links can be deleted
            endpoint = host.settle_endpoint(a, late)
            host.fabric.connect(late, endpoint, a.ns)
            assert endpoint.ifname == "eth1"
            assert host.seen_from(a.ns, b.ipv4, tcp(80)) == ("10.77.0.3" if driver == "bridge" else "10.77.0.2")
            host.fabric.disconnect(late, endpoint, a.ns)
            assert "10.77." not in host.ip(a.ns, "addr")
            assert "eth1" not in host.ip(a.ns, "-br link")
            assert host.cut_off(a.ns, b.ipv4, tcp(80))
    host.fabric.close()
    assert [line.split("@")[0].split()[0] for line in host.ip(a.ns, "-br link").splitlines()] == ["lo", "eth0"]


def test_a_connected_endpoint_can_be_reached_when_connect_returns(host: Drawing) -> None:
    """Were the bridge still to notice the new port, the first packet would be lost, and asked for again after 1 s."""
    red = host.network("red")
    applier = Applier(host.fabric._rtnl, host.fabric._nft, host.host)
    with Rtnl.open_in(host.host) as rtnl:
        for number in range(30):
            a = host.container(f"a{number}")
            whole = endpoint_topology(red, host.settle_endpoint(a, red), Namespace(str(a.ns)))
            # No more than makes the link, so that the last operation is the one that brings it up.
            applier.run(plan(Topology(links=whole.links), EMPTY))
            # Asking for one link makes the kernel catch up; listing them all shows what is.
            port = next(link for link in rtnl.links() if link.name == whole.links[0].name)
            assert dict(port.port)["state"] == BR_STATE_FORWARDING


def test_neighbours_are_told_who_has_an_address_now(host: Drawing) -> None:
    """By ARP and by neighbour discovery: nobody sends anything else to the one that remembers."""
    red = host.network("red", ipv6=True)
    old, asker = host.container("old", red, mac="02:42:00:00:00:01"), host.container("asker", red)
    with host.serving(old.ns, tcp(80)):
        assert host.seen_from(asker.ns, old.ipv4, tcp(80)) is not None
        assert host.seen_from(asker.ns, old.ipv6, tcp(80)) is not None
    host.fabric.disconnect(red, old.endpoints[0], None)
    host.fabric.remove_sandbox(old.id)
    host.boxes.pop(old.id)
    new = host.container("new", red, mac="02:42:00:00:00:02")
    assert (new.ipv4, new.ipv6) == (old.ipv4, old.ipv6)
    with Rtnl.open_in(asker.ns) as rtnl:

        def remembered() -> set[str]:
            return {str(n.mac) for n in rtnl.neighbours() if n.address in (new.ipv4, new.ipv6)}

        until(lambda: remembered() == {"02:42:00:00:00:02"}, "both addresses lead to the new one")


def test_the_default_route_moves_with_its_endpoint(host: Drawing) -> None:
    red, blue = host.network("red"), host.network("blue", ipv6=True)
    a = host.container("a", red, blue)
    first, second = a.endpoints
    assert second.default_route_ipv6
    with host.serving(host.remote, tcp(80)):
        assert host.seen_from(a.ns, REMOTE4.ip, tcp(80)) is not None
        gone, stays = (first, second) if first.default_route_ipv4 else (second, first)
        network = host.networks[gone.network]
        host.fabric.disconnect(network, gone, a.ns)
        assert host.cut_off(a.ns, REMOTE4.ip, tcp(80))
        host.fabric.set_default_routes(a.ns, [replace(stays, default_route_ipv4=True)])
        assert host.seen_from(a.ns, REMOTE4.ip, tcp(80)) is not None


def test_a_new_endpoint_takes_the_default_route_over_and_gives_it_back_when_it_fails(host: Drawing) -> None:
    red, blue = host.network("red"), host.network("blue")
    a = host.container("a", red)
    before = everything(host, a.ns)
    endpoint = replace(host.settle_endpoint(a, blue), default_route_ipv4=True)
    # The element of its port is held by another container: the last operation of the plan fails.
    b = host.container("b", red, ports=[publish(8080, tcp(80))])
    held = everything(host, a.ns)
    clash = replace(endpoint, ports=(publish(8080, tcp(80)),))
    with pytest.raises(Internal, match="published4"):
        host.fabric.connect(blue, clash, a.ns)
    assert everything(host, a.ns) == held
    assert held != before
    assert b.endpoints
    host.fabric.connect(blue, endpoint, a.ns)
    assert f"default via {blue.subnets[0].gateway} dev eth1" in host.ip(a.ns, "route")


def test_readable_names_mtu_mac_and_sysctls(host: Drawing) -> None:
    network = host.network("my-network", **{"com.docker.network.driver.mtu": "1400"})
    a = host.container("srv1", network, mac="02:42:ac:11:00:99")
    outside = host.ip(host.host, "link show srv1.my-network")
    assert a.endpoints[0].host_ifname in outside
    assert "mtu 1400" in outside
    inside = host.ip(a.ns, "link show eth0")
    assert "mtu 1400" in inside
    assert "02:42:ac:11:00:99" in inside
    assert sysctl.get("net.ipv6.conf.eth0.disable_ipv6", a.ns) == "1"


def test_a_restarted_container_gets_its_readable_name_back(host: Drawing) -> None:
    network = host.network("net")
    a = host.container("srv1", network)
    host.fabric.disconnect(network, a.endpoints[0], None)
    host.fabric.remove_sandbox(a.id)
    host.boxes.pop(a.id)
    again = host.container("srv1", network)
    assert again.endpoints[0].host_ifname in host.ip(host.host, "link show srv1.net")


def test_a_dead_container_does_not_answer_for_its_address(host: Drawing) -> None:
    """Its namespace goes later; its link is cut at once."""
    network = host.network("net")
    a, b = host.container("a", network), host.container("b", network)
    with host.serving(a.ns, tcp(80)):
        assert host.seen_from(b.ns, a.ipv4, tcp(80)) is not None
        host.fabric.disconnect(network, a.endpoints[0], None)
        host.fabric.remove_sandbox(a.id)
        assert host.cut_off(b.ns, a.ipv4, tcp(80))


def test_disconnecting_what_is_gone_is_no_error(host: Drawing) -> None:
    network = host.network("net")
    a = host.container("a", network, ports=[publish(8080, tcp(80)), publish(8081, tcp(81))])
    subprocess.run(["nsenter", f"--net={host.host}", "nft", "flush", "ruleset"], check=True)
    host.fabric.disconnect(network, a.endpoints[0], a.ns)
    host.fabric.disconnect(network, a.endpoints[0], a.ns)
    host.fabric.remove_sandbox(a.id)
    host.fabric.remove_sandbox(a.id)


def test_repair_after_a_flush_and_lost_links(drawing: Drawing) -> None:
    red = drawing.network("red", ipv6=True)
    a = drawing.container("a", red, ports=[publish(8080, tcp(80))])
    networks, endpoints = list(drawing.networks.values()), drawing.endpoints()
    assert drawing.fabric.check(networks, endpoints) == ()
    subprocess.run(["nsenter", f"--net={drawing.host}", "nft", "flush", "ruleset"], check=True)
    assert red.bridge is not None
    drawing.ip(drawing.host, f"addr flush dev {red.bridge.bridge_name}")
    drawing.ip(drawing.host, f"link set {a.endpoints[0].host_ifname} nomaster")
    drawing.ip(a.ns, "link set eth0 down")
    assert drawing.fabric.check(networks, endpoints) != ()
    drawing.fabric.repair(networks, endpoints)
    assert drawing.fabric.check(networks, endpoints) == ()
    with drawing.serving(a.ns, tcp(80)):
        assert drawing.seen_from(drawing.remote, drawing.world().host_addresses[0], tcp(8080)) is not None


def test_repair_makes_a_lost_bridge_and_a_lost_pair_anew(host: Drawing) -> None:
    red = host.network("red")
    a, b = host.container("a", red), host.container("b", red)
    assert red.bridge is not None
    host.ip(host.host, f"link del {red.bridge.bridge_name}")
    host.ip(a.ns, "link del eth0")
    networks, endpoints = list(host.networks.values()), host.endpoints()
    host.fabric.repair(networks, endpoints)
    assert host.fabric.check(networks, endpoints) == ()
    with host.serving(b.ns, tcp(80)):
        assert host.seen_from(a.ns, b.ipv4, tcp(80)) is not None


def test_repair_deletes_what_a_killed_engine_left_and_only_that(host: Drawing, tmp_path: Path) -> None:
    left = host.network("left")
    kept = host.network("kept")
    a = host.container("a", left)
    (tmp_path / "other").mkdir()
    with Fabric(tmp_path / "other", host.host, "sealane-other") as other:
        other.prepare([], [])
        foreign = host.settle("foreign")
        other.create_network(foreign)
        host.fabric.repair([kept], [])
        names = host.ip(host.host, "-br link")
        assert left.bridge is not None
        assert kept.bridge is not None
        assert foreign.bridge is not None
        assert left.bridge.bridge_name not in names
        assert a.endpoints[0].host_ifname not in names
        assert kept.bridge.bridge_name in names
        assert foreign.bridge.bridge_name in names
        other.dismantle()
    assert foreign.bridge.bridge_name not in host.ip(host.host, "-br link")


def test_repair_deletes_what_waited_for_its_deletion(host: Drawing, tmp_path: Path) -> None:
    """The engine was killed between taking things out of service and deleting them."""
    red = host.network("red")
    a, b = host.container("a", red), host.container("b", red)
    (tmp_path / "dead").mkdir()
    with Fabric(tmp_path / "dead", host.host) as dead:
        dead._reaper._quiet = dead._reaper._patience = 1e9
        dead.disconnect(red, a.endpoints[0], a.ns)
        gone = host.settle("gone", subnet="10.77.0.0/24")
        dead.create_network(gone)
        dead.remove_network(gone)
        assert a.endpoints[0].host_ifname in host.ip(a.ns, "-br link")
        host.fabric.repair([red], b.endpoints)
        assert host.ip(a.ns, "-br link").split()[0] == "lo"
        assert len(host.ip(a.ns, "-br link").splitlines()) == 1
        assert gone.bridge is not None
        assert gone.bridge.bridge_name not in host.ip(host.host, "-br link")
    with host.serving(b.ns, tcp(80)):
        assert host.seen_from(host.host, b.ipv4, tcp(80)) is not None


def test_prepare_keeps_traffic_and_forgets_what_is_not_wanted(host: Drawing) -> None:
    red, blue = host.network("red"), host.network("blue", enable_icc="false")
    a = host.container("a", red, ports=[publish(8080, tcp(80))])
    with host.serving(a.ns, tcp(80)):
        host.fabric.prepare([red, blue], host.endpoints())
        assert host.seen_from(host.remote, host.world().host_addresses[0], tcp(8080)) is not None
        host.fabric.prepare([red], host.endpoints())
        assert host.seen_from(host.remote, host.world().host_addresses[0], tcp(8080)) is not None
    tables = subprocess.run(
        ["nsenter", f"--net={host.host}", "nft", "list", "tables"], check=True, capture_output=True, text=True
    )
    assert tables.stdout.split("\n")[:-1] == ["table inet sealane"]


def test_host_networks_hold_routes_and_on_link_networks(host: Drawing) -> None:
    host.ip(host.host, "route add 172.17.0.0/24 via 198.51.100.9")
    host.ip(host.host, "route add blackhole 172.18.64.0/20")
    host.ip(host.host, "route add 172.19.7.0/24 via 198.51.100.9 table 77")
    host.ip(host.host, "-6 route add unreachable fd00:5::/64")
    seen = {str(network) for network in host.fabric.host_networks()}
    routed = {"172.17.0.0/24", "172.18.64.0/20", "172.19.7.0/24", "fd00:5::/64"}
    assert routed | {"198.51.100.0/24", "2001:db8::/64"} <= seen
    assert not any(network.endswith(("/32", "/128", "/0")) for network in seen)
    assert str(host.network("red").subnets[0].subnet) == "172.20.0.0/16"


def test_macvlan_without_a_parent_is_closed_and_with_one_is_on_the_wire(host: Drawing) -> None:
    closed = host.network("closed", driver="macvlan", subnet="10.77.0.0/24")
    a, b = host.container("a", closed), host.container("b", closed)
    with host.serving(b.ns, tcp(80)):
        assert host.seen_from(a.ns, b.ipv4, tcp(80)) is not None
    open_ = host.network("open", driver="macvlan", subnet="198.51.100.0/24", parent="up0")
    endpoint = host.settle_endpoint(a, open_)
    endpoint = replace(endpoint, ipv4=type(REMOTE4)("198.51.100.50/24"))
    host.fabric.connect(open_, endpoint, a.ns)
    with host.serving(host.remote, tcp(80)):
        assert host.seen_from(a.ns, REMOTE4.ip, tcp(80)) == "198.51.100.50"
    host.fabric.disconnect(open_, endpoint, a.ns)
    host.fabric.remove_network(open_)
    assert "up0" in host.ip(host.host, "-br link")


def test_described_commands_make_the_same_as_the_fabric(host: Drawing, tmp_path: Path) -> None:
    """``ip``, ``sysctl`` and ``nft`` as printed, run by a shell, leave just what the fabric leaves."""
    network = host.settle("red", ipv6=True)
    for item in host.fabric.describe_network(network, ()):
        subprocess.run(["nsenter", f"--net={host.host}", "sh", "-c", item.command], check=False)
    by_hand = everything(host)
    host.fabric.remove_network(network)
    host.fabric.close()
    with Fabric(tmp_path, host.host) as again:
        again.prepare([], [])
        again.create_network(network)
        assert everything(host) == by_hand


# faults


class Faulty(Session):
    """Fails at visit number *at* to the kernel (an operation, or a run of sysctls), and only there."""

    at, count = 0, 0

    def do(self, op: Op) -> None:
        self._visit()
        super().do(op)

    def put_sysctls(self, settings: Sequence[Sysctl]) -> None:
        self._visit()
        super().put_sysctls(settings)

    def _visit(self) -> None:
        type(self).count += 1
        if type(self).count == type(self).at:
            raise OSError(5, "injected")


class FaultyApplier(Applier):
    def session(self) -> Session:
        return Faulty(self._rtnl, self._nft, self._host_ns)


def _failing_at(number: int, applier: Applier, steps: Plan) -> str:
    """What the failure at step *number* says; empty when the plan has fewer steps."""
    Faulty.at, Faulty.count = number, 0
    try:
        applier.run(steps)
    except Internal as error:
        return error.message
    return ""


def _parts(host: Drawing) -> tuple[NetworkSpec, EndpointSpec, Path, Topology]:
    network = host.settle("red", ipv6=True, enable_icc="false")
    box = host.container("box")
    endpoint = replace(
        host.settle_endpoint(box, network),
        default_route_ipv4=True,
        default_route_ipv6=True,
        ports=(publish(8080, tcp(80)), publish(8081, tcp(81))),
    )
    whole = network_topology(network) + endpoint_topology(network, endpoint, Namespace(str(box.ns)))
    return network, endpoint, box.ns, whole


def test_whichever_operation_fails_the_host_is_as_it_was(host: Drawing) -> None:
    _, _, ns, whole = _parts(host)
    guard = host.network("guard", enable_icc="false")  # brings the bridge table, which is not taken back
    assert guard
    steps = plan(whole, EMPTY)
    before = everything(host, ns)
    fabric = host.fabric
    applier = FaultyApplier(fabric._rtnl, fabric._nft, host.host)
    failed = 0
    while words := _failing_at(failed + 1, applier, steps):
        failed += 1
        assert "injected" in words
        assert "undone" not in words
        assert everything(host, ns) == before, f"after a failure at step {failed}"
    kinds = [type(op).__name__ for op in steps]
    assert failed >= len(steps) - kinds.count("SetSysctl")


def test_every_operation_and_its_inverse_leave_what_was_there(host: Drawing) -> None:
    _, _, ns, whole = _parts(host)
    host.network("guard", enable_icc="false")
    applier = Applier(host.fabric._rtnl, host.fabric._nft, host.host)
    classes = set()
    steps = plan(whole, EMPTY)
    for number, op in enumerate(steps):
        inverse = op.inverse()
        if inverse is None:
            applier.run((op,))
            continue
        before = everything(host, ns)
        applier.run((op,))
        assert everything(host, ns) != before, op
        applier.run((inverse,))
        after = everything(host, ns)
        if isinstance(op, SetLink):  # the kernel takes IPv6 addresses and routes from a link that goes down
            before, after = _without_ipv6(before), _without_ipv6(after)
        assert after == before, op
        classes |= {type(op), type(inverse)}
        applier.run((op,))
        if isinstance(op, SetLink):
            lost = [step for step in steps[:number] if isinstance(step, AddAddress) and _is_ipv6_of(op, step)]
            applier.run(tuple(lost))
        assert number < len(steps)
    assert {kind.__name__ for kind in classes} >= {
        "AddLink", "DelLink", "SetLink", "AddAddress", "DelAddress", "AddRoute", "DelRoute",
        "AddElements", "DelElements",
    }  # fmt: skip


def _is_ipv6_of(op: SetLink, step: AddAddress) -> bool:
    address = step.address
    return address.interface.version == 6 and (address.ns, address.link) == (op.after.ns, op.after.name)


def _without_ipv6(lines: list[str]) -> list[str]:
    return [line for line in lines if "::" not in line]


def test_no_fd_is_left_and_the_thread_stays_where_it_was(host: Drawing) -> None:
    own = namespaces.inode(Path("/proc/thread-self/ns/net"))
    network = host.network("net")
    fds = len(os.listdir("/proc/self/fd"))
    for number in range(3):
        box = host.container(f"c{number}", network)
        host.fabric.disconnect(network, box.endpoints[0], None)
        host.fabric.remove_sandbox(box.id)
    late = host.settle_endpoint(host.container("x"), network)
    assert late.ifname == IfName("eth0")
    host.fabric.close()
    assert len(os.listdir("/proc/self/fd")) <= fds
    assert namespaces.inode(Path("/proc/thread-self/ns/net")) == own
