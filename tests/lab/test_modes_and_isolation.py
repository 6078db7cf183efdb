"""Item 9: the networks host and none, networks kept apart, internal networks."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from support import running
from support.drawing import Cli, Host, Lab, Outsider, none_reaches
from support.poll import until
from support.registry import free_port


def test_host_is_the_host(lab: Lab, cli: Cli) -> None:
    box = lab.container("srv1", "host")
    assert box.namespace.stat().st_ino == Host().namespace.stat().st_ino
    assert box.run("hostname").line == socket.gethostname()
    port = free_port()
    box.serve(port, "no bridge between")
    assert lab.host.ask("127.0.0.1", port) == "no bridge between"
    result = cli("run", "-d", "--network", "host", "-p", "8080:80", "busybox", "sleep", "9")
    assert "Published ports are discarded when using host network mode" in result.err
    shown = cli.engine.inspect("srv1")
    assert shown["HostConfig"]["NetworkMode"] == "host"
    assert shown["NetworkSettings"]["Networks"]["host"]["IPAddress"] == ""


def test_none_is_nothing(lab: Lab, cli: Cli) -> None:
    box = lab.container("srv1", "none")
    assert box.links() == []
    assert box.run("ip", "route").out == ""
    assert box.pings("127.0.0.1"), "only loopback"
    assert not box.pings(lab.host.addresses()[0])
    said = cli.refuses("network", "connect", "bridge", "srv1")
    assert "container cannot be connected to multiple networks with one of the networks in private (none) mode" in said


def test_a_container_s_network_is_shared(lab: Lab, cli: Cli) -> None:
    lab.network("my-network")
    first = lab.container("srv1", "my-network")
    second = lab.container("srv2", "container:srv1")
    first.serve(8000, "shared")
    assert second.ask("127.0.0.1", 8000) == "shared"
    assert second.links() == first.links() == ["eth0"]
    assert second.run("hostname").line == first.run("hostname").line
    assert second.resolves("srv1") == {str(first.address())}
    said = cli.refuses("run", "-d", "--network=container:srv1", "-p", "80", "busybox", "true", code=125)
    assert "conflicting options: port publishing and the container type network mode" in said
    cli("rm", "-f", "srv1")
    assert second.shell("echo goes on").line == "goes on"


def test_what_does_not_go_together(cli: Cli) -> None:
    cli("network", "create", "my-network")
    said = cli.refuses("run", "--network", "host", "--network", "my-network", "busybox", "true", code=125)
    assert "conflicting options: cannot attach both user-defined and non-user-defined network-modes" in said
    cli("run", "-d", "--name", "srv1", "--network", "host", "busybox", "sleep", "9")
    said = cli.refuses("network", "disconnect", "host", "srv1")
    assert "cannot disconnect container from host network - container was created in host network mode" in said
    cli("run", "-d", "--name", "srv2", "busybox", "sleep", "9")
    said = cli.refuses("network", "connect", "host", "srv2")
    assert "cannot connect container to host network - container must be created in host network mode" in said


def test_two_networks_are_two_worlds(lab: Lab, cli: Cli) -> None:
    red, blue = lab.network("red"), lab.network("blue", "--ipv6")
    port = free_port()
    a = lab.container("aa", red)
    b = lab.container("bb", blue, options=("-p", f"{port}:80"))
    c = lab.container("cc", "bridge")
    a2, b2 = lab.container("a2", red), lab.container("b2", blue)
    for box in (a, b, c):
        box.serve(80, box.name)
        box.serve(81, box.name)
    assert a2.ask(a.address(), 81) == "aa", "within a network everything is open"
    assert b2.ask(b.address6(), 81) == "bb"

    outsider = lab.outsider()
    boxes, gateways = (a, b, c), {box.name: box.on()["Gateway"] for box in (a, b, c)}
    strangers = [(who, whom) for who in (*boxes, outsider) for whom in boxes if who is not whom]
    assert none_reaches(
        [(who, whom.address(), p) for who, whom in strangers for p in (80, 81)]  # not even the published port
        + [(outsider, b.address6(), p) for p in (80, 81)]
        + [(who, gateway, 81) for who in (*boxes, outsider) for gateway in gateways.values()]
    )
    for box in boxes:
        assert box.ask(gateways["bb"], port) == "bb", "the publication is for everybody"
    assert not a.pings(b.address())
    assert not outsider.pings(a.address())
    assert a.resolves("bb") == b.resolves("aa") == b.resolves("cc") == set()
    assert lab.host.ask(a.address(), 81) == "aa", "the host itself is on every bridge"


def test_a_container_between_two_networks_joins_only_itself(lab: Lab) -> None:
    red, blue = lab.network("red"), lab.network("blue")
    a, b, middle = lab.container("aa", red), lab.container("bb", blue), lab.container("middle", red, blue)
    for box in (a, b, middle):
        box.serve(80, box.name)
    assert middle.ask(a.address(), 80) == "aa"
    assert middle.ask(b.address(), 80) == "bb"
    assert a.ask(middle.address(red), 80) == "middle"
    assert b.ask(middle.address(blue), 80) == "middle"
    assert a.cut_off([(b.address(), 80), (middle.address(blue), 80)])
    assert b.cut_off([(a.address(), 80), (middle.address(red), 80)])
    assert middle.resolves("aa") | middle.resolves("bb") == {str(a.address()), str(b.address())}
    assert a.resolves("bb") == set()


def test_an_internal_network_has_no_way_out(lab: Lab, cli: Cli) -> None:
    port = free_port()
    closed = lab.network("closed", "--internal")
    a = lab.container("aa", closed, options=("-p", f"{port}:80"))
    b = lab.container("bb", closed)
    other = lab.container("other", lab.network("open"))
    outsider = lab.outsider()
    for box in (a, other):
        box.serve(80, box.name)

    assert b.ask(a.address(), 80) == "aa"
    assert b.resolves("aa") == {str(a.address())}
    assert lab.host.ask(a.address(), 80) == "aa"
    assert [route for route in a.kernel("route") if route["dst"] == "default"] == []
    with outsider.answering(80, "outside"):
        assert other.ask(outsider.address, 80) == "outside", "others get out"
        _route(lab, a.namespace, "default", lab.subnet(closed)["Gateway"])
        assert a.cut_off([(outsider.address, 80), (other.address(), 80), (lab.host.addresses()[0], port)])
    assert outsider.cut_off([(outsider.neighbour, port), (a.address(), 80)])
    assert other.cut_off([(a.address(), 80), (lab.host.addresses()[0], port)])
    assert lab.host.cut_off([("127.0.0.1", port)]), "ports of internal networks are not published"
    assert cli("port", "aa").out == ""


def test_a_second_network_is_a_way_out_and_goes_again(lab: Lab, cli: Cli) -> None:
    closed, open_ = lab.network("closed", "--internal"), lab.network("open")
    a = lab.container("aa", closed)
    outsider = lab.outsider()
    with outsider.answering(80, "outside"):
        assert a.cut_off([(outsider.address, 80)])
        cli("network", "connect", open_, "aa")
        assert a.ask(outsider.address, 80) == "outside"
        cli("network", "disconnect", open_, "aa")
        assert a.cut_off([(outsider.address, 80)])
    until(lambda: a.links() == ["eth0"], "the kernel has deleted the link, which it does beside")


def _route(lab: Lab, namespace: Path, to: str, via: str) -> None:
    running.run(["nsenter", f"--net={namespace}", "ip", "route", "add", to, "via", via])


class Upstream:
    """A resolver on another host: it knows that everything is 203.0.113.53, and what it was asked."""

    def __init__(self, place: Outsider) -> None:
        self.asked: list[str] = []
        self._place = place
        self._sock = place.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._sock.bind((str(place.address), 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            query, peer = self._sock.recvfrom(4096)
            if query == b"over":
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            self.asked.append(".".join(labels))
            head = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\x04" + bytes((203, 0, 113, 53))
            self._sock.sendto(head + query[12 : at + 5] + answer, peer)

    def close(self) -> None:
        with self._place.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
            sock.sendto(b"over", (str(self._place.address), 53))
        self._thread.join()
        self._sock.close()


def test_an_internal_network_never_asks_the_world(lab: Lab, cli: Cli) -> None:
    outsider = lab.outsider()
    with contextlib.closing(Upstream(outsider)) as upstream:
        closed, open_ = lab.network("closed", "--internal"), lab.network("open")
        options = ("--dns", str(outsider.address))
        a, b = lab.container("aa", closed, options=options), lab.container("bb", open_, options=options)

        assert b.resolves("www.example.com") == {"203.0.113.53"}
        assert upstream.asked == ["www.example.com"]
        assert a.resolves("secret.example.com") == set()
        assert a.reverse("192.0.2.77") == ""
        assert upstream.asked == ["www.example.com"], "nothing leaks"

        cli("network", "connect", open_, "aa")
        assert a.resolves("later.example.com") == {"203.0.113.53"}
        cli("network", "disconnect", open_, "aa")
        assert a.resolves("secret.example.com") == set()
        assert b.resolves6("bb") == set()
        assert upstream.asked == ["www.example.com", "later.example.com"], "a name of ours is never asked outside"


def test_without_a_way_out_the_host_s_resolvers_are_not_asked(lab: Lab) -> None:
    box = lab.container("aa", lab.network("closed", "--internal"))
    answer = box.shell("nslookup -type=a www.example.com. 127.0.0.11", check=False).out
    assert "server can't find www.example.com.: SERVFAIL" in answer
