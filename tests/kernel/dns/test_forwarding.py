"""Names that are not ours: who is asked, from where, in which order, and what must never leave."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from kernel.dns.lab import NET, OUTSIDE, Lab, addresses, bad, good, silent
from sealane.dns import wire
from sealane.dns.wire import Rcode, Type
from sealane.network.names import ContainerView, Upstream
from sealane.values import ContainerId


@pytest.mark.parametrize("tcp", [False, True])
def test_unknown_names_are_asked_of_the_host_s_servers(lab: Lab, eyes: ContainerView, tcp: bool) -> None:
    server = lab.upstream("127.0.0.53", good)
    inside = lab.open(eyes)
    reply = lab.ask(inside, "example.com", tcp=tcp)
    assert addresses(reply) == [str(OUTSIDE)]
    assert reply.answers[0].ttl == 60
    assert server.asked == [("example.com", Type.A)]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("first", [silent, bad(Rcode.SERVFAIL), bad(Rcode.REFUSED), None])
def test_a_server_that_cannot_help_is_followed_by_the_next(
    lab: Lab, eyes: ContainerView, first: object, tcp: bool
) -> None:
    lab.use_servers("127.0.0.53", "127.0.0.54")
    if first is not None:
        lab.upstream("127.0.0.53", first)
    lab.upstream("127.0.0.54", good)
    inside = lab.open(eyes)
    for _ in range(2):
        assert addresses(lab.ask(inside, "example.com", tcp=tcp)) == [str(OUTSIDE)]


def test_nxdomain_is_an_answer(lab: Lab, eyes: ContainerView) -> None:
    lab.use_servers("127.0.0.53", "127.0.0.54")
    lab.upstream("127.0.0.53", bad(Rcode.NXDOMAIN))
    second = lab.upstream("127.0.0.54", good)
    assert lab.ask(lab.open(eyes), "example.com").rcode == Rcode.NXDOMAIN
    assert second.asked == []


@pytest.mark.parametrize("tcp", [False, True])
def test_when_nobody_helps_the_answer_is_servfail(lab: Lab, eyes: ContainerView, tcp: bool) -> None:
    lab.use_servers("127.0.0.53", "127.0.0.54", "127.0.0.55")
    lab.upstream("127.0.0.53", bad(Rcode.REFUSED))
    lab.upstream("127.0.0.54", silent)
    assert lab.ask(lab.open(eyes), "example.com", tcp=tcp).rcode == Rcode.SERVFAIL


def test_without_servers_the_answer_is_servfail(lab: Lab, eyes: ContainerView) -> None:
    lab.use_servers("127.0.0.11")  # ourselves
    assert lab.ask(lab.open(eyes), "example.com").rcode == Rcode.SERVFAIL


def test_a_new_resolv_conf_counts_at_once(lab: Lab, eyes: ContainerView) -> None:
    lab.upstream("127.0.0.53", bad(Rcode.NXDOMAIN))
    lab.upstream("127.0.0.60", good)
    inside = lab.open(eyes)
    assert lab.ask(inside, "example.com").rcode == Rcode.NXDOMAIN
    lab.use_servers("127.0.0.60")
    assert lab.ask(inside, "example.com").rcode == Rcode.NOERROR


def test_a_forged_answer_is_not_taken(lab: Lab, eyes: ContainerView) -> None:
    def forge(query: wire.Query) -> bytes:
        other = wire.parse_query(wire.build_query(query.id, "other.example", Type.A))
        return good(other)

    lab.upstream("127.0.0.53", forge)
    assert lab.ask(lab.open(eyes), "example.com").rcode == Rcode.SERVFAIL


def test_a_container_without_a_way_out_asks_nobody(lab: Lab) -> None:
    server = lab.upstream("127.0.0.53", good)
    inside = lab.open(ContainerView(container=ContainerId("shut"), networks=(NET,), external=False))
    for tcp in (False, True):
        assert lab.ask(inside, "example.com", tcp=tcp).rcode == Rcode.SERVFAIL
    assert server.asked == []
    lab.run(lab.publisher.update_container(ContainerView(container=ContainerId("shut"), networks=(NET,))))
    assert lab.ask(inside, "example.com").rcode == Rcode.NOERROR


@pytest.mark.parametrize("tcp", [False, True])
def test_named_servers_are_asked_from_inside_the_container(lab: Lab, tcp: bool) -> None:
    hosts = lab.upstream("127.0.0.53", bad(Rcode.NXDOMAIN))
    view = ContainerView(
        container=ContainerId("own"),
        networks=(NET,),
        external=False,
        upstreams=(Upstream(IPv4Address("192.0.2.1")), Upstream(IPv4Address("127.0.0.53"))),  # the first: no route
    )
    inside = lab.open(view)
    own = lab.upstream("127.0.0.53", good, ns=inside)
    assert addresses(lab.ask(inside, "example.com", tcp=tcp)) == [str(OUTSIDE)]
    assert own.asked == [("example.com", Type.A)]
    assert hosts.asked == []


def test_reverse_lookups_of_our_subnets_stay_here(lab: Lab, eyes: ContainerView) -> None:
    server = lab.upstream("127.0.0.53", good)
    inside = lab.open(eyes)
    assert lab.ask(inside, IPv4Address("172.18.9.9").reverse_pointer, Type.PTR).rcode == Rcode.NXDOMAIN
    lab.ask(inside, IPv4Address("192.168.9.9").reverse_pointer, Type.PTR)
    assert server.asked == [("9.9.168.192.in-addr.arpa", Type.PTR)]
