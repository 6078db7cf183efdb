"""Which connections are stale."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from sealane.linux.netlink.ctnetlink import Flow, Tuple
from sealane.values import Transport
from sealane.wiring.flows import Gone, Taken, of_endpoint, of_published
from unit.network.specs import ANY6, net, plug, publish

HOST, CLIENT, OLD, NEW, AFAR = "192.0.2.1", "198.51.100.9", "10.1.0.2", "10.1.0.3", "203.0.113.5"


def flow(source: str, to: str, port: int, answerer: str, answered: str, protocol: int = 17) -> Flow:
    """From *source* to *to*:*port*, where *answerer* answers to *answered*."""
    there = Tuple(ip_address(source), ip_address(to), protocol, 40000, port)
    back = Tuple(ip_address(answerer), ip_address(answered), protocol, port, 40000)
    return Flow(there, back, b"")


PLAIN = flow(CLIENT, HOST, 53, HOST, CLIENT)  # to the host itself
TRANSLATED = flow(CLIENT, HOST, 53, OLD, CLIENT)  # to a published port
LEAVING = flow(OLD, AFAR, 53, AFAR, HOST)  # out by the host's address


@pytest.mark.parametrize(
    ("seen", "stale"), [(TRANSLATED, True), (LEAVING, True), (flow(NEW, OLD, 80, OLD, NEW), True), (PLAIN, False)]
)
def test_what_goes_with_a_container(seen: Flow, stale: bool) -> None:
    assert Gone(ip_address(OLD)).stale(seen) is stale
    assert not Gone(ip_address("10.1.0.9")).stale(seen)


@pytest.mark.parametrize(
    ("seen", "stale"),
    [
        (PLAIN, True),
        (TRANSLATED, True),
        (flow(CLIENT, HOST, 53, NEW, CLIENT), False),  # to the container already
        (LEAVING, False),  # somebody else's port 53
        (flow(CLIENT, HOST, 54, HOST, CLIENT), False),
        (flow(CLIENT, HOST, 53, HOST, CLIENT, protocol=6), False),
        (flow("2001:db8::9", "2001:db8::1", 53, "2001:db8::1", "2001:db8::9"), False),
    ],
)
def test_what_is_in_the_way_of_a_published_port(seen: Flow, stale: bool) -> None:
    assert Taken(IPv4Address(0), 53, ip_address(NEW)).stale(seen) is stale
    assert Taken(ip_address(HOST), 53, ip_address(NEW)).stale(seen) is stale
    assert not Taken(ip_address("192.0.2.2"), 53, ip_address(NEW)).stale(seen)


def test_wishes_of_an_endpoint() -> None:
    red = net("red", ipv6=True)
    own = plug(red, "srv1", 2, publish(80, 80), publish(53, 53, Transport.UDP), publish(53, 53, Transport.UDP, ANY6))
    assert of_endpoint(own) == [Gone(ip_address("10.1.0.2")), Gone(ip_address("fd00:1::2"))]
    assert of_published(own) == [
        Taken(IPv4Address(0), 53, ip_address("10.1.0.2")),
        Taken(ANY6, 53, ip_address("fd00:1::2")),
    ]
    four = plug(net("four", 2), "srv2", 2, publish(53, 53, Transport.UDP, ANY6))
    assert of_published(four) == []  # the relay's
