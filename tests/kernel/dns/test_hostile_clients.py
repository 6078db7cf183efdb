"""Clients that hold, trickle, flood and lie harm nobody but themselves."""

from __future__ import annotations

import os
import random
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kernel.dns.lab import NET, Lab, good, silent
from sealane.dns import wire
from sealane.dns.forward import MAX_IN_FLIGHT
from sealane.dns.stream import MAX_CONNECTIONS
from sealane.dns.wire import Rcode, Type
from sealane.network.names import ContainerView, Upstream
from sealane.values import ContainerId

QUESTION = wire.build_query(1, "srv1", Type.A)


@pytest.fixture
def inside(lab: Lab, eyes: ContainerView) -> Path:
    lab.put("srv1", ["srv1"], "172.18.0.2")
    return lab.open(eyes)


def works(lab: Lab, inside: Path) -> None:
    for tcp in (False, True):
        assert len(lab.ask(inside, "srv1", tcp=tcp).answers) == 1


def test_idle_connections_give_way_to_new_ones(lab: Lab, inside: Path) -> None:
    held = [lab.socket(inside, socket.SOCK_STREAM) for _ in range(MAX_CONNECTIONS + 20)]
    works(lab, inside)
    assert held[0].recv(1) == b""


def test_a_trickle_is_no_obstacle_and_is_answered_in_the_end(lab: Lab, inside: Path) -> None:
    slow = lab.socket(inside, socket.SOCK_STREAM)
    for byte in len(QUESTION).to_bytes(2) + QUESTION:
        slow.sendall(bytes([byte]))
        works(lab, inside)
    assert len(wire.parse_message(slow.recv(65535)[2:]).answers) == 1


def test_many_questions_on_one_connection(lab: Lab, inside: Path) -> None:
    stream = lab.socket(inside, socket.SOCK_STREAM)
    stream.sendall((len(QUESTION).to_bytes(2) + QUESTION) * 500)
    stream.shutdown(socket.SHUT_WR)
    received = b""
    while data := stream.recv(65535):
        received += data
    assert len(received) == 500 * (2 + len(QUESTION) + 16)


def test_who_does_not_read_is_cut_off(lab: Lab, inside: Path) -> None:
    for number in range(60):
        lab.put(f"many{number}", ["many"], f"172.18.2.{number}")
    question = wire.build_query(1, "many", Type.A)
    deaf = lab.socket(inside, socket.SOCK_STREAM)
    with pytest.raises(ConnectionError):
        deaf.sendall((len(question).to_bytes(2) + question) * 1_000_000)  # the kernel's buffers take some of it
    works(lab, inside)


def test_a_reset_in_the_middle(lab: Lab, inside: Path) -> None:
    lab.upstream("127.0.0.53", silent)
    rude = lab.socket(inside, socket.SOCK_STREAM)
    question = wire.build_query(1, "example.com", Type.A)
    rude.sendall(len(question).to_bytes(2) + question + b"\0")
    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    rude.close()
    works(lab, inside)


def test_garbage(lab: Lab, inside: Path) -> None:
    lab.upstream("127.0.0.53", silent)
    dice = random.Random(4711)
    packets = lab.socket(inside)
    for _ in range(2000):
        noise = bytearray(dice.choice((QUESTION, dice.randbytes(dice.randrange(600)))))
        for _ in range(dice.randrange(4)):
            if noise:
                noise[dice.randrange(len(noise))] = dice.randrange(256)
        packets.send(noise)
    packets.send(os.urandom(5000))
    for _ in range(50):
        with lab.socket(inside, socket.SOCK_STREAM) as stream:
            try:
                stream.sendall(dice.randbytes(dice.randrange(3000)))
                stream.shutdown(socket.SHUT_WR)
            except OSError:  # the resolver may have heard enough already
                pass
    works(lab, inside)


def test_one_container_s_open_questions_are_limited_and_only_its_own(lab: Lab, inside: Path) -> None:
    lab.upstream("127.0.0.53", silent)
    packets = lab.socket(inside)
    for number in range(MAX_IN_FLIGHT):
        packets.send(wire.build_query(number, f"x{number}.example", Type.A))
    assert lab.ask(inside, "example.com").rcode == Rcode.REFUSED
    works(lab, inside)
    view = ContainerView(
        container=ContainerId("other"), networks=(NET,), upstreams=(Upstream(IPv4Address("127.0.0.53")),)
    )
    other = lab.open(view)
    lab.upstream("127.0.0.53", good, ns=other)
    assert lab.ask(other, "example.com").rcode == Rcode.NOERROR
