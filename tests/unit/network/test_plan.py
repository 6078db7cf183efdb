"""(current, wanted, plan): the plan leads from one to the other, in an order that works, and back again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.network.describe import describe_network
from sealane.network.drivers.registry import endpoint_topology, network_topology
from sealane.network.plan import (
    AddAddress,
    AddElements,
    AddLink,
    AddRoute,
    Cut,
    DelAddress,
    DelElements,
    DelLink,
    DelRoute,
    Op,
    Plan,
    Rename,
    Restore,
    SetLink,
    SetSysctl,
    plan,
)
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.network.topology import EMPTY, HOST, Address, Link, LinkKind, Namespace, Sysctl, Topology, union
from sealane.values import Transport
from unit.network.paper_kernel import PaperKernel
from unit.network.specs import ANY6, BRIDGE, SANDBOX, net, plug, publish

RED = net("red", ipv6=True)
BLUE = net("blue", 2, enable_icc="false")
NAMED = net("named", 3, **{BRIDGE + "name": "mine0", "com.docker.network.driver.mtu": "1400"})
INNER = net("inner", 4, ipv6=True, internal=True)
CLOSED = net("closed", 5, driver="macvlan")
WIRE = net("wire", 6, driver="macvlan", parent="eth0.10")
PLUGS = [
    (network, replace(plug(network, f"c{number}", number, *ports), ifname=type(plug(RED).ifname)(f"eth{number}")))
    for number, (network, ports) in enumerate(
        [
            (RED, (publish(8080, 80), publish(8080, 80, at=ANY6))),
            (RED, (publish(5353, 53, Transport.UDP),)),
            (BLUE, ()),
            (NAMED, (publish(80, 8080, at=IPv4Address("192.0.2.1")),)),
            (INNER, ()),
            (CLOSED, ()),
            (WIRE, ()),
        ],
        2,
    )
]


def where(endpoint: EndpointSpec) -> Namespace:
    return Namespace(f"{SANDBOX}/{endpoint.container_name}")


def part(network: NetworkSpec, *endpoints: EndpointSpec) -> Topology:
    return union([network_topology(network), *(endpoint_topology(network, e, where(e)) for e in endpoints)])


PARTS = [part(network, endpoint) for network, endpoint in PLUGS]


def consistent(topology: Topology) -> Topology:
    """What a kernel could really hold: no half pairs, nothing on links that are not there, ports of bridges only."""
    keys = {link.key for link in topology.links}
    links = [link for link in topology.links if link.peer is None or link.peer in keys]
    names = {(link.ns, link.name): link for link in links}
    bridges = {place for place, link in names.items() if link.kind is LinkKind.BRIDGE}
    links = [
        link if link.master is None or (link.ns, link.master) in bridges else replace(link, master=None, hairpin=False)
        for link in links
    ]
    return replace(
        topology,
        links=tuple(links),
        addresses=tuple(a for a in topology.addresses if (a.ns, a.link) in names),
        routes=tuple(r for r in topology.routes if (r.ns, r.link) in names and names[r.ns, r.link].up),
    )


def damaged(topology: Topology, choices: st.DataObject) -> Topology:
    """*topology* as others may have left it."""

    def keep(items: Iterable[object]) -> tuple[object, ...]:
        return tuple(item for item in items if choices.draw(st.integers(0, 4)))

    def changed(link: Link) -> Link:
        return choices.draw(
            st.sampled_from(
                [
                    link,
                    link,
                    replace(link, up=False),
                    replace(link, mtu=1234),
                    replace(link, master=None, hairpin=False) if link.master else link,
                    replace(link, hairpin=not link.hairpin) if link.master else link,
                    replace(link, kind=LinkKind.DUMMY) if link.kind is LinkKind.BRIDGE else link,
                ]
            )
        )

    return consistent(
        Topology(
            links=tuple(changed(link) for link in keep(topology.links)),  # type: ignore[arg-type]
            sysctls=keep(topology.sysctls),  # type: ignore[arg-type]
            addresses=keep(topology.addresses),  # type: ignore[arg-type]
            routes=keep(topology.routes),  # type: ignore[arg-type]
            elements=keep(topology.elements),  # type: ignore[arg-type]
        )
    )


def as_wanted(wanted: Topology, seen: dict[object, Link]) -> dict[object, Link]:
    """*seen*, with what *wanted* leaves to the kernel, or what the kernel does not show, as it stands in *wanted*."""
    want = {link.key: link for link in wanted.links}
    return {
        key: replace(
            link,
            mac=link.mac if want[key].mac else None,
            mtu=link.mtu if want[key].mtu else None,
            altname=want[key].altname,
            peer=want[key].peer,
        )
        for key, link in seen.items()
        if key in want
    }


@given(st.lists(st.sampled_from(PARTS), unique_by=id), st.lists(st.sampled_from(PARTS), unique_by=id), st.data())
def test_a_plan_leads_from_any_state_to_any_other_and_back(
    want: list[Topology], have: list[Topology], choices: st.DataObject
) -> None:
    wanted, observed = union(want), damaged(union(have), choices)
    steps = plan(wanted, observed)
    kernel = PaperKernel(observed)
    for step in steps:
        kernel.do(step)
    assert as_wanted(wanted, dict(kernel.links)) == {link.key: link for link in wanted.links}
    assert {key for key in kernel.links if key not in {link.key for link in wanted.links}} == set()
    assert kernel.addresses == set(wanted.addresses)
    assert kernel.routes == set(wanted.routes)
    assert kernel.elements == {(element.set, element.key): element.data for element in wanted.elements}
    assert {(s.ns, s.key, s.value) for s in wanted.sysctls} <= {(*key, value) for key, value in kernel.sysctls.items()}

    for step in reversed(steps):
        inverse = step.inverse()
        if inverse is not None:
            kernel.do(inverse)
    assert kernel.state() == PaperKernel(observed).state()


@given(st.lists(st.sampled_from(PARTS), unique_by=id))
def test_nothing_is_done_where_nothing_is_wrong(parts: list[Topology]) -> None:
    assert plan(union(parts), union(parts)) == ()


@given(st.lists(st.sampled_from(PARTS), unique_by=id), st.data())
def test_a_second_plan_has_nothing_to_do(parts: list[Topology], choices: st.DataObject) -> None:
    wanted, observed = union(parts), damaged(union(parts), choices)
    kernel = PaperKernel(observed)
    for step in plan(wanted, observed):
        kernel.do(step)
    elements = tuple(element for element in wanted.elements if (element.set, element.key) in kernel.elements)
    seen = Topology(
        tuple(kernel.links.values()),
        tuple(Sysctl(ns, key, value) for (ns, key), value in kernel.sysctls.items()),
        tuple(kernel.addresses),
        tuple(kernel.routes),
        elements,
    )
    assert plan(wanted, seen) == ()


# single triples


def kinds(steps: Plan) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_a_network_is_made_from_the_ground_up() -> None:
    steps = plan(network_topology(RED), EMPTY)
    assert kinds(steps) == ["AddLink", *["SetSysctl"] * 4, "AddAddress", "AddAddress", "SetLink", "AddElements"]
    assert isinstance(steps[0], AddLink)
    assert not steps[0].link.up


def test_an_endpoint_is_made_from_the_ground_up_and_its_ports_come_last() -> None:
    network, endpoint = PLUGS[0]
    steps = plan(endpoint_topology(network, endpoint, SANDBOX), EMPTY)
    expected = ["AddLink", *["SetSysctl"] * 3, *["AddAddress"] * 2, "SetLink", *["AddRoute"] * 2, "AddElements"]
    assert kinds(steps) == expected


def test_what_is_taken_away_goes_top_down() -> None:
    network, endpoint = PLUGS[0]
    steps = plan(EMPTY, endpoint_topology(network, endpoint, SANDBOX))
    expected = ["DelElements", *["DelRoute"] * 2, *["DelAddress"] * 2, "DelLink"]
    assert kinds(steps) == expected


def test_a_wrong_address_is_replaced_and_nothing_else_touched() -> None:
    wanted = network_topology(BLUE)
    other = replace(wanted.addresses[0], interface=type(wanted.addresses[0].interface)("10.77.0.1/24"))
    steps = plan(wanted, replace(wanted, addresses=(other,)))
    assert steps == (DelAddress(other), AddAddress(wanted.addresses[0]))


def test_a_changed_sysctl_remembers_what_it_was() -> None:
    wanted = Topology(sysctls=(Sysctl(HOST, "net.ipv4.ip_forward", "1"),))
    seen = Topology(sysctls=(Sysctl(HOST, "net.ipv4.ip_forward", "0"),))
    (step,) = plan(wanted, seen)
    assert step == SetSysctl(wanted.sysctls[0], "0")
    assert step.inverse() == SetSysctl(seen.sysctls[0], "1")
    assert SetSysctl(wanted.sysctls[0]).inverse() is None


def test_the_table_has_the_engines_own_name() -> None:
    steps = plan(network_topology(BLUE), EMPTY, "sealane-other")
    assert steps[-1].describe().startswith("nft 'add element inet sealane-other bridges")


def _ops() -> list[Op]:
    whole = plan(PARTS[0] + PARTS[6], EMPTY)
    link = PARTS[0].links[1]
    return [
        *whole,
        *(inverse for step in whole if (inverse := step.inverse()) is not None),
        *plan(EMPTY, PARTS[0]),
        Cut(link),
        Restore(link),
        Rename(link.key, replace(link.key, name=RED.bridge.bridge_name if RED.bridge else link.name)),
    ]


@pytest.mark.parametrize("op", _ops(), ids=lambda op: type(op).__name__)
def test_every_operation_describes_itself_and_can_be_turned_round_twice(op: Op) -> None:
    assert op.describe().split()[0] in ("ip", "nft", "nsenter", "sysctl", "bridge")
    inverse = op.inverse()
    if inverse is not None:
        assert inverse.inverse() == op


def test_the_words_are_those_of_ip_sysctl_and_nft() -> None:
    inside = f"nsenter --net={SANDBOX}"
    network, endpoint = PLUGS[0]
    told = [step.describe() for step in plan(endpoint_topology(network, endpoint, SANDBOX), EMPTY)]
    assert told == [
        (
            "ip link add sl0102020202020 master sl-010101010101 up type veth peer name eth2 address 02:42:0a:01:00:02 "
            f"netns {SANDBOX} && ip link property add dev sl0102020202020 altname c2.red"
            " && bridge link set dev sl0102020202020 hairpin on"
        ),
        f"{inside} sysctl -w net.ipv4.conf.eth2.arp_notify=1",
        f"{inside} sysctl -w net.ipv6.conf.eth2.accept_dad=0",
        f"{inside} sysctl -w net.ipv6.conf.eth2.ndisc_notify=1",
        f"{inside} ip addr add 10.1.0.2/24 dev eth2",
        f"{inside} ip addr add fd00:1::2/64 dev eth2 nodad",
        f"{inside} ip link set eth2 up",
        f"{inside} ip route add default via 10.1.0.1 dev eth2",
        f"{inside} ip -6 route add default via fd00:1::1 dev eth2",
        (
            "nft 'add element inet sealane endpoints4 { 10.1.0.2 }; add element inet sealane endpoints6 { fd00:1::2 }; "
            "add element inet sealane published4 { tcp . 8080 : 10.1.0.2 . 80 }; "
            "add element inet sealane published6 { tcp . 8080 : fd00:1::2 . 80 }'"
        ),
    ]


def test_what_a_network_holds_is_told_object_by_object() -> None:
    network, endpoint = PLUGS[0]
    told = describe_network(network, [(endpoint, SANDBOX)])
    assert {item.kind for item in told} == {"link", "sysctl", "address", "route", "element"}
    assert next(item.describe for item in told if item.kind == "link") == "bridge of network red"
    assert "nft 'add element inet sealane published4 { tcp . 8080 : 10.1.0.2 . 80 }'" in [item.command for item in told]
    assert all(item.command for item in told)


def test_addresses_tell_links_and_namespaces_apart() -> None:
    one = Address(HOST, PLUGS[0][1].ifname, PARTS[0].addresses[0].interface)
    assert plan(Topology(addresses=(one,)), Topology(addresses=(replace(one, ns=SANDBOX),))) == (
        DelAddress(replace(one, ns=SANDBOX)),
        AddAddress(one),
    )


def test_no_kind_of_operation_is_forgotten_here() -> None:
    assert {type(op) for op in _ops()} >= {
        AddLink, DelLink, SetLink, Cut, Restore, Rename, AddAddress, DelAddress, AddRoute, DelRoute, SetSysctl,
        AddElements, DelElements,
    }  # fmt: skip
