"""Who reaches whom, asked of the real kernel by real sockets."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from kernel.wiring.drawing import ANY6, BRIDGE, REMOTE4, REMOTE6, UPLINK4, UPLINK6, Drawing, publish, tcp, udp
from sealane.linux import sysctl

LOOPBACK = IPv4Address("127.0.0.1")


def test_two_containers_of_one_network_talk(drawing: Drawing) -> None:
    red = drawing.network("red", ipv6=True)
    a, b = drawing.container("a", red), drawing.container("b", red)
    with drawing.serving(b.ns, tcp(80), udp(53)):
        assert drawing.seen_from(a.ns, b.ipv4, tcp(80)) == str(a.ipv4)
        assert drawing.seen_from(a.ns, b.ipv4, udp(53)) == str(a.ipv4)
        assert drawing.seen_from(a.ns, b.ipv6, tcp(80)) == str(a.ipv6)
        assert drawing.seen_from(drawing.host, b.ipv4, tcp(80)) == str(red.subnets[0].gateway)


def test_two_networks_do_not_see_each_other(drawing: Drawing) -> None:
    a = drawing.container("a", drawing.network("red", ipv6=True))
    b = drawing.container("b", drawing.network("blue", ipv6=True))
    with drawing.serving(b.ns, tcp(80)):
        assert drawing.cut_off(a.ns, b.ipv4, tcp(80))
        assert drawing.cut_off(a.ns, b.ipv6, tcp(80))


def test_containers_leave_by_the_hosts_address(drawing: Drawing) -> None:
    a = drawing.container("a", drawing.network("red", ipv6=True))
    with drawing.serving(drawing.remote, tcp(80), udp(53)):
        assert drawing.seen_from(a.ns, REMOTE4.ip, tcp(80)) == str(UPLINK4.ip)
        assert drawing.seen_from(a.ns, REMOTE4.ip, udp(53)) == str(UPLINK4.ip)
        assert drawing.seen_from(a.ns, REMOTE6.ip, tcp(80)) == str(UPLINK6.ip)


def test_without_masquerade_containers_keep_their_address(drawing: Drawing) -> None:
    a = drawing.container("a", drawing.network("red", ipv6=True, enable_ip_masquerade="false"))
    with drawing.serving(drawing.remote, tcp(80)):
        assert drawing.seen_from(a.ns, REMOTE4.ip, tcp(80)) == str(a.ipv4)
        assert drawing.seen_from(a.ns, REMOTE6.ip, tcp(80)) == str(a.ipv6)


def test_host_ipv4_names_the_source_address(drawing: Drawing) -> None:
    drawing.ip(drawing.host, "addr add 198.51.100.77/24 dev up0")
    options = {"com.docker.network.host_ipv4": "198.51.100.77"}
    a = drawing.container("a", drawing.network("red", **options))
    with drawing.serving(drawing.remote, tcp(80)):
        assert drawing.seen_from(a.ns, REMOTE4.ip, tcp(80)) == "198.51.100.77"


def test_an_internal_network_has_no_way_out_and_none_in(drawing: Drawing) -> None:
    inner = drawing.network("inner", ipv6=True, internal=True)
    red = drawing.network("red", ipv6=True)
    a, b = drawing.container("a", inner), drawing.container("b", inner)
    c = drawing.container("c", red, ports=[publish(8080, tcp(80)), publish(8080, tcp(80), ANY6)])
    # A container that makes itself a default route gets no further.
    drawing.ip(a.ns, f"route add default via {inner.subnets[0].gateway}")
    drawing.ip(a.ns, f"-6 route add default via {inner.subnets[1].gateway}")
    with (
        drawing.serving(drawing.remote, tcp(80)),
        drawing.serving(b.ns, tcp(80)),
        drawing.serving(c.ns, tcp(80)),
    ):
        assert drawing.seen_from(a.ns, b.ipv4, tcp(80)) == str(a.ipv4)
        assert drawing.seen_from(a.ns, b.ipv6, tcp(80)) == str(a.ipv6)
        assert drawing.seen_from(drawing.host, b.ipv4, tcp(80)) is not None
        for to in (REMOTE4.ip, REMOTE6.ip, c.ipv4, c.ipv6):
            assert drawing.cut_off(a.ns, to, tcp(80))
        assert drawing.cut_off(a.ns, UPLINK4.ip, tcp(8080))
        assert drawing.cut_off(a.ns, UPLINK6.ip, tcp(8080))
        assert drawing.cut_off(c.ns, b.ipv4, tcp(80))
        assert drawing.cut_off(drawing.remote, b.ipv4, tcp(80))
        assert drawing.cut_off(drawing.remote, b.ipv6, tcp(80))


def test_icc_false_keeps_neighbours_apart_but_not_published_ports(drawing: Drawing) -> None:
    red = drawing.network("red", ipv6=True, enable_icc="false")
    a = drawing.container("a", red, ports=[publish(8080, tcp(80)), publish(8080, tcp(80), ANY6)])
    b = drawing.container("b", red)
    with drawing.serving(a.ns, tcp(80)), drawing.serving(drawing.remote, tcp(80)):
        assert drawing.cut_off(b.ns, a.ipv4, tcp(80))
        assert drawing.cut_off(b.ns, a.ipv6, tcp(80))
        assert drawing.seen_from(drawing.host, a.ipv4, tcp(80)) is not None
        assert drawing.seen_from(b.ns, REMOTE4.ip, tcp(80)) is not None
        for asker in (a.ns, b.ns, drawing.remote, drawing.host):
            assert drawing.seen_from(asker, UPLINK4.ip, tcp(8080)) is not None
            assert drawing.seen_from(asker, UPLINK6.ip, tcp(8080)) is not None


def test_icc_false_on_a_bridge_of_somebody_else(drawing: Drawing) -> None:
    """Whose MAC address is its own."""
    drawing.ip(drawing.host, "link add mine0 address 02:00:00:00:00:77 up type bridge")
    red = drawing.network("red", enable_icc="false", **{BRIDGE + "name": "mine0"})
    a, b = drawing.container("a", red), drawing.container("b", red)
    with drawing.serving(a.ns, tcp(80)), drawing.serving(drawing.remote, tcp(80)):
        assert drawing.seen_from(b.ns, REMOTE4.ip, tcp(80)) is not None
        assert drawing.cut_off(b.ns, a.ipv4, tcp(80))


def test_a_published_port_answers_from_everywhere(drawing: Drawing) -> None:
    red, blue = drawing.network("red", ipv6=True), drawing.network("blue", ipv6=True)
    ports = [publish(8080, tcp(80)), publish(8080, tcp(80), ANY6), publish(5353, udp(53)), publish(5353, udp(53), ANY6)]
    a = drawing.container("a", red, ports=ports)
    neighbour, other = drawing.container("b", red), drawing.container("c", blue)
    with drawing.serving(a.ns, tcp(80), udp(53)):
        for host_port in (tcp(8080), udp(5353)):
            assert drawing.seen_from(drawing.host, LOOPBACK, host_port) is not None
            assert drawing.seen_from(drawing.remote, UPLINK4.ip, host_port) == str(REMOTE4.ip)
            assert drawing.seen_from(drawing.remote, UPLINK6.ip, host_port) == str(REMOTE6.ip)
            for asker in (drawing.host, neighbour.ns, other.ns, a.ns):
                assert drawing.seen_from(asker, UPLINK4.ip, host_port) is not None
                assert drawing.seen_from(asker, UPLINK6.ip, host_port) is not None
            gateway = red.subnets[0].gateway
            assert gateway is not None
            assert drawing.seen_from(neighbour.ns, gateway, host_port) is not None
            assert drawing.seen_from(a.ns, gateway, host_port) is not None
        # Not by the container's own address, and not the port that is not published.
        assert drawing.cut_off(drawing.remote, a.ipv4, tcp(80))
        assert drawing.cut_off(drawing.remote, a.ipv6, tcp(80))
        assert drawing.cut_off(drawing.remote, UPLINK4.ip, tcp(80))


def test_a_range_of_ports_leads_to_the_same_number_each(drawing: Drawing) -> None:
    ports = [publish(number, tcp(number - 1000)) for number in range(9000, 9004)]
    a = drawing.container("a", drawing.network("red"), ports=ports)
    with drawing.serving(a.ns, tcp(8000), tcp(8003)):
        assert drawing.seen_from(drawing.remote, UPLINK4.ip, tcp(9000)) is not None
        assert drawing.seen_from(drawing.remote, UPLINK4.ip, tcp(9003)) is not None
        assert drawing.cut_off(drawing.remote, UPLINK4.ip, tcp(9001))  # nobody listens there
        assert drawing.cut_off(drawing.remote, UPLINK4.ip, tcp(8000))


def test_a_port_published_on_loopback_is_the_hosts_alone(drawing: Drawing) -> None:
    red = drawing.network("red")
    a = drawing.container("a", red, ports=[publish(8080, tcp(80), LOOPBACK)])
    b = drawing.container("b", red)
    for ns, gateway in ((b.ns, red.subnets[0].gateway), (drawing.remote, UPLINK4.ip)):
        # The hardest neighbour: it sends packets for 127.0.0.1 over the wire.
        sysctl.put("net.ipv4.conf.all.route_localnet", "1", ns)
        drawing.ip(ns, "addr del 127.0.0.1/8 dev lo")
        drawing.ip(ns, f"route add 127.0.0.1 via {gateway}")
    with drawing.serving(a.ns, tcp(80)):
        assert drawing.seen_from(drawing.host, LOOPBACK, tcp(8080)) is not None
        assert drawing.cut_off(drawing.host, UPLINK4.ip, tcp(8080))
        for asker in (b.ns, drawing.remote):
            assert drawing.cut_off(asker, LOOPBACK, tcp(8080))
            assert drawing.cut_off(asker, UPLINK4.ip, tcp(8080))


def test_a_port_of_one_host_address_comes_before_one_of_all(drawing: Drawing) -> None:
    red = drawing.network("red")
    every = drawing.container("every", red, ports=[publish(8080, tcp(80))])
    one = drawing.container("one", red, ports=[publish(8080, tcp(81), UPLINK4.ip)])
    with drawing.serving(every.ns, tcp(80)):
        assert drawing.seen_from(drawing.host, LOOPBACK, tcp(8080)) is not None
        assert drawing.cut_off(drawing.remote, UPLINK4.ip, tcp(8080))
    with drawing.serving(one.ns, tcp(81)):
        assert drawing.seen_from(drawing.remote, UPLINK4.ip, tcp(8080)) is not None


@pytest.mark.parametrize("mode", ["nat", "nat-unprotected", "routed"])
def test_gateway_modes(drawing: Drawing, mode: str) -> None:
    red = drawing.network("red", ipv6=True, gateway_mode_ipv4=mode, gateway_mode_ipv6=mode)
    a = drawing.container("a", red, ports=[publish(8080, tcp(80)), publish(8080, tcp(80), ANY6)])
    with drawing.serving(a.ns, tcp(80), tcp(81)), drawing.serving(drawing.remote, tcp(80)):
        for own, uplink in ((a.ipv4, UPLINK4.ip), (a.ipv6, UPLINK6.ip)):
            assert drawing.reached(drawing.remote, own, tcp(80), mode != "nat") == (mode != "nat")
            assert drawing.reached(drawing.remote, own, tcp(81), mode == "nat-unprotected") == (
                mode == "nat-unprotected"
            )
            assert drawing.reached(drawing.remote, uplink, tcp(8080), mode != "routed") == (mode != "routed")
        seen = str(a.ipv4) if mode == "routed" else str(UPLINK4.ip)
        assert drawing.seen_from(a.ns, REMOTE4.ip, tcp(80)) == seen
