"""The oracle's answers, one by one; tests/kernel/wiring/test_oracle.py asks the kernel the same."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from sealane.network.reach import Place, Reach, Source, World, reach
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.values import ContainerId, ContainerPort, Transport
from unit.network.specs import ANY6, container_id, net, plug, publish

HOST4, HOST6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")


def world(*pairs: tuple[NetworkSpec, EndpointSpec]) -> World:
    return World({network.id: network for network, _ in pairs}, tuple(e for _, e in pairs), (HOST4, HOST6))


def ask(drawn: World, source: str | Place, to: str, port: int, transport: Transport = Transport.TCP) -> Reach:
    asker: Source = source if isinstance(source, Place) else container_id(source)
    return reach(drawn, asker, ip_address(to), ContainerPort(port, transport))


def pair(name: str, number: int, *ports: Any, **options: Any) -> tuple[NetworkSpec, list[EndpointSpec]]:
    """A network with two containers, a1 and b1 on the first; a1 publishes *ports*."""
    network = net(name, number, **options)
    return network, [plug(network, f"a{number}", 2, *ports), plug(network, f"b{number}", 3)]


def draw(*pairs: tuple[NetworkSpec, list[EndpointSpec]]) -> World:
    return world(*((network, endpoint) for network, endpoints in pairs for endpoint in endpoints))


RED = pair("red", 1, publish(8080, 80), publish(8080, 80, at=ANY6), publish(53, 53, Transport.UDP), ipv6=True)
BLUE = pair("blue", 2, ipv6=True)
NO_ICC = pair("noicc", 3, publish(8083, 80), enable_icc="false")
INNER = pair("inner", 4, publish(8084, 80), internal=True)
ROUTED = pair("routed", 5, publish(8085, 80), gateway_mode_ipv4="routed")
OPEN = pair("open", 6, publish(8086, 80), gateway_mode_ipv4="nat-unprotected")
ALL = draw(RED, BLUE, NO_ICC, INNER, ROUTED, OPEN)


@pytest.mark.parametrize(
    ("source", "to", "port", "why"),
    [
        ("a1", "10.1.0.3", 9, "both are on network red"),
        ("a1", "fd00:1::3", 9, "both are on network red"),
        ("a1", "10.1.0.2", 9, "its own address"),
        (Place.HOST, "10.1.0.2", 9, "the host is on the bridge of network red"),
        (Place.HOST, "127.0.0.1", 8080, "published as 0.0.0.0:8080->80/tcp"),
        (Place.HOST, "::1", 8080, "published as [::]:8080->80/tcp"),
        (Place.REMOTE, "192.0.2.1", 8080, "published as 0.0.0.0:8080->80/tcp"),
        (Place.REMOTE, "2001:db8::1", 8080, "published as [::]:8080->80/tcp"),
        ("a1", "192.0.2.1", 8080, "published as 0.0.0.0:8080->80/tcp"),  # itself, by the host
        ("b1", "10.1.0.1", 8080, "published as 0.0.0.0:8080->80/tcp"),
        ("a2", "192.0.2.1", 8080, "published as 0.0.0.0:8080->80/tcp"),
        ("a1", "203.0.113.5", 443, "out by network red"),
        (Place.REMOTE, "10.6.0.2", 9, "network open is open (nat-unprotected)"),
        (Place.REMOTE, "10.5.0.2", 80, "network routed is routed: published ports are open"),
        ("a1", "10.5.0.2", 80, "network routed is routed: published ports are open"),
        ("a3", "192.0.2.1", 8083, "published as 0.0.0.0:8083->80/tcp"),
        ("a4", "10.4.0.3", 9, "both are on network inner"),
        (Place.HOST, "10.4.0.2", 9, "the host is on the bridge of network inner"),
        (Place.REMOTE, "203.0.113.5", 9, "neither end is ours"),
    ],
)
def test_ways_that_are_open(source: str | Place, to: str, port: int, why: str) -> None:
    assert ask(ALL, source, to, port) == replace(ask(ALL, source, to, port), allowed=True, why=why)


@pytest.mark.parametrize(
    ("source", "to", "port", "why"),
    [
        ("a2", "10.1.0.2", 80, "network red is entered by published ports only"),
        ("a2", "fd00:1::2", 80, "network red is entered by published ports only"),
        (Place.REMOTE, "10.1.0.2", 80, "network red is entered by published ports only"),
        ("b3", "10.3.0.2", 80, "network noicc has icc=false"),
        ("a1", "10.4.0.2", 80, "network inner is internal"),
        (Place.REMOTE, "10.4.0.2", 80, "network inner is internal"),
        (Place.HOST, "192.0.2.1", 8084, "no container has published port 8084/tcp on 192.0.2.1"),
        ("a4", "192.0.2.1", 8080, "the asker has no way out of its networks"),
        ("a4", "10.4.0.1", 8080, "network inner is internal"),
        ("a4", "203.0.113.5", 80, "the asker has no way out of its networks"),
        ("a4", "10.1.0.2", 80, "the asker has no way out of its networks"),
        ("a1", "127.0.0.1", 8080, "a loopback address is the asker's own"),
        (Place.REMOTE, "127.0.0.1", 8080, "a loopback address is the asker's own"),
        (Place.REMOTE, "192.0.2.1", 80, "no container has published port 80/tcp on 192.0.2.1"),
        (Place.REMOTE, "10.5.0.2", 81, "network routed is routed: published ports are open"),
        (Place.REMOTE, "192.0.2.1", 8085, "no container has published port 8085/tcp on 192.0.2.1"),
    ],
)
def test_ways_that_are_closed(source: str | Place, to: str, port: int, why: str) -> None:
    answer = ask(ALL, source, to, port)
    assert (answer.allowed, answer.why) == (False, why)


def test_transports_are_told_apart() -> None:
    assert ask(ALL, Place.REMOTE, "192.0.2.1", 53, Transport.UDP).allowed
    assert not ask(ALL, Place.REMOTE, "192.0.2.1", 53, Transport.TCP).allowed


def test_who_takes_the_connection() -> None:
    assert ask(ALL, Place.REMOTE, "192.0.2.1", 8080).container == container_id("a1")
    assert ask(ALL, "a1", "203.0.113.5", 80).container is None


def test_a_port_of_just_this_address_comes_first() -> None:
    red = net("red")
    every, one = plug(red, "every", 2, publish(80, 80)), plug(red, "one", 3, publish(80, 80, at=HOST4))
    drawn = world((red, every), (red, one))
    assert ask(drawn, Place.REMOTE, str(HOST4), 80).container == container_id("one")
    assert ask(drawn, Place.HOST, "127.0.0.1", 80).container == container_id("every")


def test_a_port_of_a_family_that_the_container_lacks_is_relayed_to_the_host_too() -> None:
    red = net("red")
    drawn = world((red, plug(red, "srv1", 2, publish(80, 80, at=ANY6))))
    assert ask(drawn, Place.REMOTE, str(HOST6), 80).allowed


def test_the_default_route_decides_who_can_leave() -> None:
    inner, red = net("inner", 1, internal=True), net("red", 2)
    first = plug(inner, "srv1")
    drawn = world((inner, first), (red, plug(red, "srv1", 2, beside=[first])))
    assert ask(drawn, "srv1", "203.0.113.5", 80).why == "out by network red"


def test_without_an_address_on_the_bridge_the_host_is_outside() -> None:
    red = net("red", inhibit_ipv4="true", ipv6=True)
    drawn = world((red, plug(red, "srv1", 2, publish(8080, 80, at=ANY6))))
    assert ask(drawn, Place.HOST, "fd00:1::1", 8080).allowed
    assert not ask(drawn, "srv1", "203.0.113.5", 80).allowed
    assert ask(drawn, "srv1", "2001:db8::5", 80).allowed
    assert not ask(drawn, Place.HOST, "10.1.0.2", 80).allowed
    assert ask(drawn, Place.HOST, "fd00:1::2", 80).allowed


def test_macvlan_is_part_of_the_outside_and_hidden_from_its_own_host() -> None:
    wire = net("wire", driver="macvlan", parent="eth0")
    lan = replace(plug(wire, "srv1"), gateway_ipv4=IPv4Address("10.1.0.254"))
    red = net("red", 2)
    drawn = world((wire, lan), (red, plug(red, "srv2")))
    assert ask(drawn, Place.REMOTE, "10.1.0.2", 80).allowed
    refused = ask(drawn, Place.HOST, "10.1.0.2", 80)
    assert refused.why == "the kernel keeps a host and its macvlan containers apart"


def test_macvlan_without_a_parent_is_nobodys() -> None:
    closed = net("closed", driver="macvlan")
    drawn = world((closed, plug(closed, "srv1")), (closed, plug(closed, "srv2", 3)), (BLUE[0], BLUE[1][0]))
    assert ask(drawn, "srv2", "10.1.0.2", 80).allowed
    for asker in (Place.REMOTE, Place.HOST, "a2"):
        assert not ask(drawn, asker, "10.1.0.2", 80).allowed


def test_every_answer_says_why() -> None:
    addresses = [own.ip for e in ALL.endpoints for own in (e.ipv4, e.ipv6) if own is not None]
    askers: list[Source] = [*Place, *(ContainerId(e.container) for e in ALL.endpoints)]
    for asker in askers:
        for to in (*addresses, HOST4, HOST6):
            for number in (80, 8080, 8083):
                assert reach(ALL, asker, to, ContainerPort(number)).why
