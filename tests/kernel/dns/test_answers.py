"""What a program inside a container gets from 127.0.0.11, port 53."""

from __future__ import annotations

import os
import signal
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kernel.dns.lab import NET, Lab, addresses, bad, silent
from sealane.dns import wire
from sealane.dns.wire import Rcode, Type
from sealane.linux import namespaces, nft
from sealane.network.names import ContainerView, Link
from sealane.values import ContainerId, EndpointId


@pytest.fixture
def inside(lab: Lab, eyes: ContainerView) -> Path:
    lab.put("srv1", ["srv1", "web"], "172.18.0.2", "fd00:1::2")
    lab.put("srv2", ["srv2", "web"], "172.18.0.3")
    return lab.open(eyes)


@pytest.mark.parametrize("tcp", [False, True])
def test_forward_and_reverse(lab: Lab, inside: Path, tcp: bool) -> None:
    assert addresses(lab.ask(inside, "srv2", tcp=tcp)) == ["172.18.0.3"]
    assert addresses(lab.ask(inside, "SRV2.My-Network", tcp=tcp)) == ["172.18.0.3"]
    assert addresses(lab.ask(inside, "srv1", Type.AAAA, tcp=tcp)) == ["fd00:1::2"]
    reverse = lab.ask(inside, IPv4Address("172.18.0.3").reverse_pointer, Type.PTR, tcp=tcp)
    assert [record.rdata for record in reverse.answers] == [wire.encode_name("srv2.my-network")]


@pytest.mark.parametrize("qtype", [Type.AAAA, Type.TXT, Type.HTTPS, Type.SVCB, Type.MX, Type.ANY])
def test_a_known_name_has_nothing_else_and_nobody_is_asked(lab: Lab, inside: Path, qtype: Type) -> None:
    server = lab.upstream("127.0.0.53", silent)
    reply = lab.ask(inside, "srv2", qtype)
    assert (reply.rcode, reply.answers) == (Rcode.NOERROR, ())
    assert server.asked == []


def test_a_shared_alias_is_handed_out_in_turn(lab: Lab, inside: Path) -> None:
    for ask in (lambda: lab.ask(inside, "web"), lambda: lab.ask(inside, "web", tcp=True)):
        firsts = {addresses(ask())[0] for _ in range(4)}
        assert firsts == {"172.18.0.2", "172.18.0.3"}


def test_a_change_is_seen_as_soon_as_it_is_acknowledged(lab: Lab, inside: Path, eyes: ContainerView) -> None:
    server = lab.upstream("127.0.0.53", bad(Rcode.NXDOMAIN))
    for turn in range(5):
        lab.put("srv3", ["srv3"], f"172.18.1.{turn}")
        assert addresses(lab.ask(inside, "srv3")) == [f"172.18.1.{turn}"]
    lab.run(lab.publisher.drop_endpoint(NET, EndpointId("srv3")))
    assert lab.ask(inside, "srv3").rcode == Rcode.NXDOMAIN
    assert server.asked == [("srv3", Type.A)]
    linked = ContainerView(container=eyes.container, networks=(NET,), links=(Link("db", "srv2", NET),))
    lab.run(lab.publisher.update_container(linked))
    assert addresses(lab.ask(inside, "db")) == ["172.18.0.3"]


def test_long_answers_are_cut_to_what_the_asker_takes(lab: Lab, inside: Path) -> None:
    for number in range(60):
        lab.put(f"many{number}", ["many"], f"172.18.2.{number}")
    plain, wide, stream = lab.ask(inside, "many"), lab.ask(inside, "many", size=4096), lab.ask(inside, "many", tcp=True)
    assert plain.flags & wire.TC
    assert 0 < len(plain.answers) < 60
    for whole in (wide, stream):
        assert not whole.flags & wire.TC
        assert len(set(addresses(whole))) == 60


def test_each_container_has_its_own_view(lab: Lab, inside: Path) -> None:
    lab.upstream("127.0.0.53", bad(Rcode.NXDOMAIN))
    stranger = lab.open(ContainerView(container=ContainerId("stranger")))
    assert lab.ask(stranger, "srv1").rcode == Rcode.NXDOMAIN
    assert addresses(lab.ask(inside, "srv1")) == ["172.18.0.2"]


def test_port_53_stays_free_and_nothing_is_tracked(lab: Lab, inside: Path) -> None:
    def prepare() -> tuple[socket.socket, socket.socket]:
        table = nft.Nft.open()
        try:  # a rule that looks at connections makes the kernel track them in this namespace
            table.run("table ip t { chain c { type filter hook input priority 0; ct state new accept\n }\n }")
        finally:
            table.close()
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        udp.bind(("0.0.0.0", 53))
        tcp.bind(("0.0.0.0", 53))
        return udp, tcp

    udp, tcp = namespaces.run_in(inside, prepare)
    with udp, tcp:
        assert addresses(lab.ask(inside, "srv2")) == ["172.18.0.3"]
        assert addresses(lab.ask(inside, "srv2", tcp=True)) == ["172.18.0.3"]
    entries = namespaces.run_in(inside, lambda: Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
    assert int(entries) == 0


def test_a_closed_container_lets_go_of_its_namespace(lab: Lab, inside: Path, eyes: ContainerView) -> None:
    identity = os.stat(inside).st_ino
    lab.ask(inside, "srv1")
    lab.run(lab.publisher.close_container(eyes.container))
    lab.run(lab.publisher.close_container(eyes.container))
    held = [os.stat(f"/proc/{lab.pid()}/fd/{fd}").st_ino for fd in os.listdir(f"/proc/{lab.pid()}/fd")]
    assert identity not in held
    assert lab.run(lab.publisher.held()).containers == {}


def test_a_batch_of_all_sorts_is_answered_one_by_one(lab: Lab, inside: Path) -> None:
    lab.upstream("127.0.0.53", bad(Rcode.NXDOMAIN))
    dns = lab.pid()
    clients = [lab.socket(inside) for _ in range(3)]
    sorts = [("srv1", Rcode.NOERROR, 1), ("elsewhere.example", Rcode.NXDOMAIN, 0), ("web", Rcode.NOERROR, 2)]
    os.kill(dns, signal.SIGSTOP)  # so that everything lies there when it looks
    try:
        for number in range(90):
            clients[number % 3].send(wire.build_query(number, sorts[number // 3 % 3][0], Type.A))
            clients[number % 3].send(b"garbage")
            clients[number % 3].send(wire.build_query(number + 1000, "srv2", Type.A, flags=wire.RD | 0x7800))
    finally:
        os.kill(dns, signal.SIGCONT)
    for index, client in enumerate(clients):
        replies = {reply.id: reply for reply in (wire.parse_message(client.recv(65535)) for _ in range(60))}
        for number in range(index, 90, 3):
            name, rcode, answers = sorts[number // 3 % 3]
            reply = replies.pop(number)
            assert (reply.questions[0][0], reply.rcode, len(reply.answers)) == (name, rcode, answers)
            assert replies.pop(number + 1000).rcode == Rcode.NOTIMP
