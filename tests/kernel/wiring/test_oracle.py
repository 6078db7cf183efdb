"""Drawn labs: what reach.py says of every pair of places is what the kernel does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import IPv4Address
from itertools import product

import pytest

from kernel.wiring.drawing import ANY6, REMOTE4, REMOTE6, UPLINK4, UPLINK6, Drawing, publish, tcp, udp
from sealane.network.reach import Place, Source, reach
from sealane.values import ContainerPort, IPAddress

LOOPBACK = IPv4Address("127.0.0.1")
WEB, OTHER, NAMES = tcp(80), tcp(81), udp(53)


def two_networks(drawing: Drawing) -> None:
    """red: a (publishes everywhere), b.  blue: c (publishes on the uplink's address), d (on loopback)."""
    red, blue = drawing.network("red", ipv6=True), drawing.network("blue", ipv6=True)
    everywhere = [publish(8080, WEB), publish(8080, WEB, ANY6), publish(5353, NAMES)]
    drawing.container("a", red, ports=everywhere)
    drawing.container("b", red)
    drawing.container("c", blue, ports=[publish(8081, WEB, UPLINK4.ip), publish(8081, WEB, UPLINK6.ip)])
    drawing.container("d", blue, ports=[publish(8082, WEB, LOOPBACK)])


def shut_networks(drawing: Drawing) -> None:
    """apart: a, b, without icc.  inside: c, d, internal.  both: e, on inside and on red."""
    apart = drawing.network("apart", ipv6=True, enable_icc="false")
    inside = drawing.network("inside", ipv6=True, internal=True)
    red = drawing.network("red", ipv6=True)
    drawing.container("a", apart, ports=[publish(8080, WEB), publish(8080, WEB, ANY6)])
    drawing.container("b", apart)
    drawing.container("c", inside)
    drawing.container("e", inside, red)


def open_networks(drawing: Drawing) -> None:
    """routed: a.  unprotected: b.  own: c, by its own address.  six: d, without IPv4."""
    routed = drawing.network("routed", ipv6=True, gateway_mode_ipv4="routed", gateway_mode_ipv6="routed")
    unprotected = drawing.network("unprotected", ipv6=True, gateway_mode_ipv4="nat-unprotected")
    own = drawing.network("own", ipv6=True, enable_ip_masquerade="false")
    drawing.container("a", routed, ports=[publish(8080, WEB), publish(8080, WEB, ANY6)])
    drawing.container("b", unprotected, ports=[publish(8081, WEB)])
    drawing.container("c", own, ports=[publish(8082, WEB)])


def hidden_hosts(drawing: Drawing) -> None:
    """unseen: a, b, on a bridge without the host.  wire: c, d, with no way out at all."""
    unseen = drawing.network("unseen", inhibit_ipv4="true")
    wire = drawing.network("wire", driver="macvlan", subnet="10.77.0.0/24")
    drawing.container("a", unseen)
    drawing.container("b", unseen)
    drawing.container("c", wire)
    drawing.container("d", wire)


def questions(drawing: Drawing) -> Iterable[tuple[Source, IPAddress, ContainerPort]]:
    """From everywhere to every address of ours, at ports that are served, published, or neither."""
    sources: list[Source] = [*Place, *drawing.boxes]
    inner = [own.ip for e in drawing.endpoints() for own in (e.ipv4, e.ipv6) if own is not None]
    yield from product(sources, inner, (WEB, NAMES))
    yield from product(Place, inner, (OTHER,))
    bridged = [n for n in drawing.networks.values() if n.bridge is not None and not n.bridge.inhibit_ipv4]
    gateways = [subnet.gateway for network in bridged for subnet in network.subnets if subnet.gateway is not None]
    published = (tcp(8080), tcp(8081), tcp(8082), udp(5353), tcp(80))
    yield from product(sources, (LOOPBACK, UPLINK4.ip, UPLINK6.ip, *gateways), published)
    yield from product(drawing.boxes, (REMOTE4.ip, REMOTE6.ip), (WEB,))


@pytest.mark.parametrize(
    "lab", [two_networks, shut_networks, open_networks, hidden_hosts], ids=lambda lab: lab.__name__
)
def test_the_kernel_is_of_the_same_opinion(drawing: Drawing, lab: Callable[[Drawing], None]) -> None:
    lab(drawing)
    world = drawing.world()

    def differs(question: tuple[Source, IPAddress, ContainerPort]) -> str:
        source, to, port = question
        said = reach(world, source, to, port)
        seen = drawing.reached(drawing.where(source), to, port, said.allowed)
        who = source.value if isinstance(source, Place) else drawing.boxes[source].name
        return "" if seen == said.allowed else f"{who} to {to} {port}: {'open' if seen else 'closed'}; said: {said.why}"

    asked = [question for question in questions(drawing) if _can_be_asked(*question)]
    with ExitStack() as stack:
        for box in drawing.boxes.values():
            stack.enter_context(drawing.serving(box.ns, WEB, OTHER, NAMES))
        stack.enter_context(drawing.serving(drawing.remote, WEB))
        pool = stack.enter_context(ThreadPoolExecutor(24))
        assert [words for words in pool.map(differs, asked) if words] == []
    answers = [reach(world, *question).allowed for question in asked]
    assert answers.count(True) > 5
    assert answers.count(False) > 5


def _can_be_asked(source: Source, to: IPAddress, port: ContainerPort) -> bool:
    """Everybody has a server on the port 80 of their own loopback."""
    return not (to.is_loopback and port == WEB)
