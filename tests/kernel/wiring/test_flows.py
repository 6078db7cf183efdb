"""What the kernel remembers of connections to containers that are gone, and to ports that are published later."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel.wiring.drawing import ANY6, REMOTE4, REMOTE6, UPLINK4, UPLINK6, Box, Drawing, publish, tcp, udp
from sealane.linux import namespaces
from sealane.linux.conntrack import Conntrack
from sealane.linux.netlink.ctnetlink import Flow
from sealane.values import IPAddress
from sealane.wiring import flows
from support.poll import until

PATIENCE = 5.0  # seconds until a test gives up


def all_flows(drawing: Drawing) -> list[Flow]:
    with Conntrack.open_in(drawing.host) as conntrack:
        return conntrack.flows()


def flows_of(drawing: Drawing, box: Box) -> list[Flow]:
    own = {box.ipv4}
    return [flow for flow in all_flows(drawing) if own & {flow.original.source, flow.reply.source}]


@contextmanager
def datagrams(ns: Path, to: IPAddress, port: int) -> Iterator[socket.socket]:
    """A socket that keeps one local port, as a client does that never stops sending."""
    family = socket.AF_INET if to.version == 4 else socket.AF_INET6
    with namespaces.run_in(ns, lambda: socket.socket(family, socket.SOCK_DGRAM)) as sock:
        sock.connect((str(to), port))
        yield sock


def answered(sock: socket.socket, within: float) -> bool:
    sock.send(b"?")
    ready, _, _ = select.select([sock], [], [], within)
    try:
        return bool(ready) and bool(sock.recv(100))
    except ConnectionRefusedError:
        return False


def test_a_client_that_never_stops_sending_is_led_to_the_next_container(host: Drawing) -> None:
    network = host.network("red")
    a = host.container("a", network, ports=[publish(5353, udp(53))])
    with datagrams(host.remote, UPLINK4.ip, 5353) as client:
        with host.serving(a.ns, udp(53)):
            assert answered(client, PATIENCE)
        assert flows_of(host, a)
        host.fabric.disconnect(network, a.endpoints[0], None)
        host.fabric.remove_sandbox(a.id)
        b = host.container("b", network, ports=[publish(5353, udp(53))])
        assert b.ipv4 != a.ipv4
        with host.serving(b.ns, udp(53)):
            until(lambda: answered(client, 0.1), "the client is led to the next container")


def test_a_client_that_sent_before_the_port_was_published_is_led_to_the_container(host: Drawing) -> None:
    network = host.network("red", ipv6=True)
    for uplink, at in ((UPLINK4.ip, UPLINK4.ip), (UPLINK6.ip, ANY6)):
        with datagrams(host.remote, uplink, 5353) as client, datagrams(host.remote, uplink, 6000) as other:
            assert not answered(client, 0.2)
            assert not answered(other, 0.2)
            seen = len([flow for flow in all_flows(host) if flow.original.destination_port == 6000])
            a = host.container(f"a{uplink.version}", network, ports=[publish(5353, udp(53), at)])
            with host.serving(a.ns, udp(53)):
                until(lambda: answered(client, 0.1), "the client is led to the container")
            # Others to the same host stay as they were.
            assert len([flow for flow in all_flows(host) if flow.original.destination_port == 6000]) == seen


def test_disconnecting_forgets_all_connections_and_only_those(host: Drawing) -> None:
    red = host.network("red")
    a, b = host.container("a", red, ports=[publish(8080, tcp(80))]), host.container("b", red)
    with host.serving(a.ns, tcp(80)), host.serving(host.remote, tcp(80)):
        assert host.seen_from(host.remote, UPLINK4.ip, tcp(8080)) is not None
        for box in (a, b):
            assert host.seen_from(box.ns, REMOTE4.ip, tcp(80)) is not None
        assert len(flows_of(host, a)) == 2
        kept = flows_of(host, b)
        host.fabric.disconnect(red, a.endpoints[0], a.ns)
        host.fabric.close()  # waits for what goes on beside
        assert flows_of(host, a) == []
        assert flows_of(host, b) == kept != []


def test_unpublishing_comes_before_the_links_go(host: Drawing) -> None:
    red = host.network("red", enable_icc="false")
    a = host.container("a", red, ports=[publish(8080, tcp(80)), publish(5353, udp(53))])
    with host.serving(a.ns, tcp(80), udp(53)), datagrams(host.remote, UPLINK4.ip, 5353) as client:
        assert answered(client, PATIENCE)
        host.fabric.unpublish(red, a.endpoints[0])
        host.fabric.unpublish(red, a.endpoints[0])
        assert host.cut_off(host.remote, UPLINK4.ip, tcp(8080))
        assert host.seen_from(host.host, a.ipv4, tcp(80)) is not None
        until(lambda: not answered(client, 0.1), "the client is led to the container no more")
        assert not answered(client, 0.2)
    held = {str(element) for element in host.fabric.observe().elements}
    assert f'"{a.endpoints[0].host_ifname}"' in held
    host.fabric.disconnect(red, a.endpoints[0], None)
    held = {str(element) for element in host.fabric.observe().elements}
    assert f'"{a.endpoints[0].host_ifname}"' not in held


def test_an_address_is_given_on_only_when_its_connections_are_forgotten(host: Drawing) -> None:
    red = host.network("red")
    with host.serving(host.remote, tcp(80)):
        for _ in range(5):
            a = host.container("a", red)
            assert str(a.ipv4) == "172.17.0.2"
            assert flows_of(host, a) == []
            assert host.seen_from(a.ns, REMOTE4.ip, tcp(80)) is not None
            assert flows_of(host, a) != []
            host.fabric.disconnect(red, a.endpoints[0], None)
            host.fabric.remove_sandbox(a.id)
            host.boxes.pop(a.id)


def test_a_container_that_never_had_a_connection_is_known(host: Drawing) -> None:
    red = host.network("red", ipv6=True)
    a, b = host.container("a", red), host.container("b", red, ports=[publish(8080, tcp(80), ANY6)])
    with host.serving(host.remote, tcp(80)), host.serving(b.ns, tcp(80)):
        assert [flows.talked(host.fabric._nft, "sealane", box.endpoints[0]) for box in (a, b)] == [False, False]
        assert host.seen_from(a.ns, REMOTE6.ip, tcp(80)) is not None
        assert [flows.talked(host.fabric._nft, "sealane", box.endpoints[0]) for box in (a, b)] == [True, False]
        assert host.seen_from(host.host, UPLINK6.ip, tcp(8080)) is not None
        assert flows.talked(host.fabric._nft, "sealane", b.endpoints[0])


def test_what_was_not_counted_is_forgotten_all_the_same(host: Drawing) -> None:
    """The tables of a restarted engine count from zero."""
    red = host.network("red")
    a = host.container("a", red)
    with host.serving(host.remote, tcp(80)):
        assert host.seen_from(a.ns, REMOTE4.ip, tcp(80)) is not None
    host.fabric.prepare([red], a.endpoints)
    assert not flows.talked(host.fabric._nft, "sealane", a.endpoints[0])
    host.fabric.disconnect(red, a.endpoints[0], a.ns)
    host.fabric.close()
    assert flows_of(host, a) == []
