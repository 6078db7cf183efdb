"""Tracked connections of a namespace: counted, found, deleted one by one."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from sealane.linux import namespaces
from sealane.linux.conntrack import Conntrack
from sealane.linux.netlink.ctnetlink import address_needle, destination_port_needle


@pytest.fixture
def tracked(ns: Path) -> Iterator[Conntrack]:
    """The kernel tracks only where a rule asks for it."""
    rule = "table inet t { chain c { type filter hook output priority 0; ct state new accept; }; }"
    subprocess.run(["nsenter", f"--net={ns}", "nft", rule], check=True)
    with Conntrack.open_in(ns) as conntrack:
        yield conntrack


def send(ns: Path, to: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with namespaces.run_in(ns, lambda: socket.socket(family, socket.SOCK_DGRAM)) as sock:
        sock.sendto(b"x", (to, port))


def ends(conntrack: Conntrack, *needles: bytes) -> list[tuple[str, int]]:
    return sorted((str(f.original.destination), f.original.destination_port) for f in conntrack.flows(needles))


def test_flows_of_this_namespace_alone(ns: Path, other: Path, tracked: Conntrack) -> None:
    assert (tracked.count(), tracked.flows()) == (0, [])
    send(ns, "127.0.0.1", 5001)
    send(ns, "::1", 5002)
    assert tracked.count() == 2
    assert ends(tracked) == [("127.0.0.1", 5001), ("::1", 5002)]
    with Conntrack.open_in(other) as elsewhere:
        assert (elsewhere.count(), elsewhere.flows()) == (0, [])


def test_needles_bring_at_least_what_they_stand_for(ns: Path, tracked: Conntrack) -> None:
    send(ns, "127.0.0.1", 5001)
    assert ends(tracked, address_needle(ip_address("127.0.0.1"))) == [("127.0.0.1", 5001)]
    assert ends(tracked, destination_port_needle(5001)) == [("127.0.0.1", 5001)]
    for port in range(6000, 6600):  # many packets of answers
        send(ns, "127.0.0.1", port)
    assert ("127.0.0.1", 6321) in ends(tracked, destination_port_needle(6321))


def test_what_is_stale_is_deleted_and_nothing_else(ns: Path, tracked: Conntrack) -> None:
    for port in range(6000, 6300):
        send(ns, "127.0.0.1", port)
    needles = [destination_port_needle(6123), destination_port_needle(6124)]
    assert tracked.del_flows(lambda flow: flow.original.destination_port in (6123, 6124), needles) == 2
    assert len(tracked.flows()) == 298
    assert not {("127.0.0.1", 6123), ("127.0.0.1", 6124)} & set(ends(tracked))
    assert tracked.del_flows(lambda flow: True, [destination_port_needle(9)]) in range(299)  # an empty list is no error


def test_deleting_what_is_gone_is_no_error(ns: Path, tracked: Conntrack) -> None:
    send(ns, "127.0.0.1", 5001)
    (flow,) = tracked.flows()
    tracked.del_flow(flow)
    tracked.del_flow(flow)
    assert tracked.count() == 0
