"""Item 8: published ports, from wherever somebody may ask."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lab.inventory import untouched
from lab.marks import ours
from support.drawing import Box, Cli, Lab
from support.poll import until
from support.registry import free_port


def _web(lab: Lab, name: str, *publish: str, networks: tuple[str, ...] = (), port: int = 80) -> Box:
    """A web server that says its name, with ``-p`` for each of *publish*."""
    options = tuple(word for item in publish for word in ("-p", item))
    box = lab.container(name, *networks, options=options)
    box.serve(port, name)
    return box


def _ports(cli: Cli, name: str) -> set[str]:
    return set(cli("port", name).out.splitlines())


@pytest.mark.parametrize("network", ["bridge", "my-network"])
def test_from_everywhere(lab: Lab, cli: Cli, network: str) -> None:
    port = free_port()
    if network != "bridge":
        lab.network(network)
    web = _web(lab, "web", f"{port}:80", networks=(network,))
    neighbour = lab.container("neighbour", network)
    elsewhere = lab.container("elsewhere", lab.network("other"))
    outsider = lab.outsider()
    gateway = IPv4Address(web.on(network)["Gateway"])
    own = lab.host.addresses()[0]

    assert lab.host.ask("127.0.0.1", port) == "web"
    assert lab.host.ask(own, port) == "web"
    assert lab.host.ask(gateway, port) == "web"
    assert outsider.ask(outsider.neighbour, port) == "web"
    for asker in (neighbour, elsewhere, web):
        for address in (own, outsider.neighbour, gateway):
            assert asker.ask(address, port) == "web", f"{asker.name} at {address}"
    assert lab.host.ask(IPv6Address("::1"), port) == "web"
    assert outsider.ask(outsider.neighbour6, port) == "web"

    assert _ports(cli, "web") == {f"80/tcp -> 0.0.0.0:{port}", f"80/tcp -> [::]:{port}"}
    row = cli("ps", "--format", "{{.Ports}}", "-f", "name=web").line
    assert row == f"0.0.0.0:{port}->80/tcp, [::]:{port}->80/tcp"

    cli("stop", "-t", "0", "web")
    assert lab.host.cut_off([("127.0.0.1", port), (own, port), ("::1", port)])
    cli("start", "web")
    web.serve(80, "again")
    assert outsider.ask(outsider.neighbour, port) == "again"


def test_the_container_sees_who_asks(lab: Lab) -> None:
    port = free_port()
    web = _web(lab, "web", f"{port}:80")
    outsider = lab.outsider()
    web.shell("mkdir /srv/80/cgi-bin && printf '#!/bin/sh\\necho; echo $REMOTE_ADDR' >/srv/80/cgi-bin/who"
              " && chmod +x /srv/80/cgi-bin/who")  # fmt: skip
    seen = outsider.run("busybox", "wget", "-qO-", f"http://{outsider.neighbour}:{port}/cgi-bin/who").line
    assert outsider.address == IPv6Address(seen.strip("[]")).ipv4_mapped, "no proxy in between"


def test_a_free_port(lab: Lab, cli: Cli) -> None:
    _web(lab, "web", "80")
    (line,) = {line for line in _ports(cli, "web") if "0.0.0.0" in line}
    port = int(line.rpartition(":")[2])
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert low <= port <= high
    assert lab.host.ask("127.0.0.1", port) == "web"
    assert cli("port", "web", "80/tcp").out.splitlines() == [f"0.0.0.0:{port}", f"[::]:{port}"]


def test_all_exposed_ports(lab: Lab, cli: Cli) -> None:
    box = lab.container("web", options=("-P", "--expose", "8001-8002"))
    found = dict(re.findall(r"^(\d+)/tcp -> 0\.0\.0\.0:(\d+)$", cli("port", "web").out, re.MULTILINE))
    assert set(found) == {"8001", "8002"}
    for inner, outer in found.items():
        box.serve(int(inner), inner)
        assert lab.host.ask("127.0.0.1", int(outer)) == inner


def test_ranges(lab: Lab, cli: Cli) -> None:
    base = _free_range(4)
    box = lab.container("web", options=("-p", f"{base}-{base + 1}:8001-8002"))
    for step in (0, 1):
        box.serve(8001 + step, f"port {step}")
        assert lab.host.ask("127.0.0.1", base + step) == f"port {step}"
    other = _web(lab, "other", f"{base}-{base + 3}:80")
    (taken,) = {int(line.rpartition(":")[2]) for line in _ports(cli, other.name)}
    assert taken == base + 2, "the first of the range that is free"
    assert lab.host.ask("127.0.0.1", taken) == "other"


def test_a_port_of_loopback_stays_at_home(lab: Lab, cli: Cli) -> None:
    port = free_port()
    web = _web(lab, "web", f"127.0.0.1:{port}:80")
    neighbour = lab.container("neighbour")
    outsider = lab.outsider()
    assert lab.host.ask("127.0.0.1", port) == "web"
    assert _ports(cli, "web") == {f"80/tcp -> 127.0.0.1:{port}"}

    own = lab.host.addresses()[0]
    assert lab.host.cut_off([(own, port), ("::1", port)])
    assert neighbour.cut_off([(own, port), (IPv4Address(web.on()["Gateway"]), port)])
    outsider.run("ip", "route", "add", "127.0.0.1/32", "via", str(outsider.neighbour), "dev", "eth0", "table", "7")
    outsider.run("ip", "rule", "add", "pref", "0", "to", "127.0.0.1", "lookup", "7")
    outsider.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet")
    assert outsider.cut_off([(outsider.neighbour, port), (web.address(), 80), ("127.0.0.1", port)])


def test_one_address_of_the_host(lab: Lab) -> None:
    port = free_port()
    outsider = lab.outsider()
    _web(lab, "cable", f"{outsider.neighbour}:{port}:80")
    _web(lab, "home", f"127.0.0.1:{port}:80")
    assert outsider.ask(outsider.neighbour, port) == "cable"
    assert lab.host.ask(outsider.neighbour, port) == "cable"
    assert lab.host.ask("127.0.0.1", port) == "home", "the same port of two addresses"
    assert lab.host.cut_off([(lab.host.addresses()[0], port)])


def test_tcp_and_udp_of_one_port(lab: Lab, cli: Cli) -> None:
    port = free_port()
    web = _web(lab, "web", f"{port}:80", f"{port}:53/udp")
    outsider = lab.outsider()
    neighbour = lab.container("neighbour")
    own = lab.host.addresses()[0]
    with web.echo(53):
        assert lab.host.send("127.0.0.1", port, b"one") == b"web: one"
        assert lab.host.send(own, port, b"two") == b"web: two"
        assert lab.host.send("::1", port, b"three") == b"web: three"
        assert outsider.send(outsider.neighbour, port, b"four") == b"web: four"
        assert neighbour.send(own, port, b"five") == b"web: five"
        assert web.send(own, port, b"six") == b"web: six"
    assert lab.host.ask("127.0.0.1", port) == "web"
    assert {f"80/tcp -> 0.0.0.0:{port}", f"53/udp -> 0.0.0.0:{port}"} <= _ports(cli, "web")


def test_a_container_that_speaks_ipv6(lab: Lab) -> None:
    port = free_port()
    web = _web(lab, "web", f"{port}:80", networks=(lab.network("six", "--ipv6"),))
    outsider = lab.outsider()
    assert lab.host.ask("::1", port) == "web"
    assert lab.host.ask("127.0.0.1", port) == "web"
    assert outsider.ask(outsider.neighbour6, port) == "web"
    assert lab.host.ask(web.address6(), 80) == "web"
    assert lab.container("neighbour", "six").ask(outsider.neighbour6, port) == "web"


@pytest.fixture
def squatter() -> Iterator[int]:
    """A port that a program of the host holds."""
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen()
        yield sock.getsockname()[1]


def test_a_port_that_a_container_holds(lab: Lab, cli: Cli) -> None:
    port = free_port()
    _web(lab, "first", f"{port}:80")
    with untouched(cli.engine):
        said = cli.refuses("run", "--rm", "--name", "second", "-p", f"{port}:80", "busybox", "sleep", "9", code=125)
    assert "port is already allocated" in said
    assert f"0.0.0.0:{port}" in said
    assert "first" in said, "the holder is named"

    cli.refuses("run", "-d", "--name", "second", "-p", f"{port}:80", "busybox", "sleep", "9", code=125)
    assert cli("ps", "-a", "-f", "name=second", "--format", "{{.Status}}").line == "Created"
    assert lab.host.ask("127.0.0.1", port) == "first"

    cli("rm", "-f", "first")
    cli("start", "second")
    assert f"80/tcp -> 0.0.0.0:{port}" in _ports(cli, "second")


def test_a_port_that_a_program_of_the_host_holds(cli: Cli, squatter: int) -> None:
    with untouched(cli.engine):
        said = cli.refuses("run", "--rm", "-p", f"{squatter}:80", "busybox", "sleep", "9", code=125)
    assert f"0.0.0.0:{squatter}" in said
    assert "address already in use" in said


@ours
def test_what_was_half_taken_is_free_again(lab: Lab, cli: Cli, squatter: int) -> None:
    port = free_port()
    cli.refuses("run", "-d", "-p", f"{port}:80", "-p", f"{squatter}:81", "busybox", "sleep", "9", code=125)
    _web(lab, "web", f"{port}:80")
    assert lab.host.ask("127.0.0.1", port) == "web"


def test_an_address_that_the_host_does_not_have(cli: Cli) -> None:
    said = cli.refuses("run", "-d", "-p", "203.0.113.7:8080:80", "busybox", "sleep", "9", code=125)
    assert "203.0.113.7:8080" in said
    assert "cannot assign requested address" in said


@ours
def test_no_program_of_the_host_gets_a_published_port(lab: Lab) -> None:
    port = free_port()
    _web(lab, "web", f"{port}:80")
    for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family) as sock, pytest.raises(OSError, match="in use"):
            sock.bind((everywhere, port))


@ours
def test_a_hundred_ports_need_no_process_each(lab: Lab, cli: Cli) -> None:
    base = _free_range(100)
    box = lab.container("web", options=("-p", f"{base}-{base + 99}:9000-9099"))
    box.serve(9099, "the last")
    assert lab.host.ask("127.0.0.1", base + 99) == "the last"
    assert len(_ports(cli, "web")) == 200
    assert set(cli.engine.helpers()) == {"dns", "relay"}


@ours
def test_connections_end_when_the_container_goes(lab: Lab, cli: Cli) -> None:
    port = free_port()
    box = lab.container("talk", options=("-p", f"{port}:7"), command="nc -ll -p 7 -e cat")
    until(lambda: ":0007 " in box.run("cat", "/proc/net/tcp", "/proc/net/tcp6").out, "it listens")
    with ExitStack() as stack:
        talks = []
        for address in ("127.0.0.1", "::1"):
            talks.append(stack.enter_context(socket.create_connection((address, port), timeout=10)))
            talks[-1].sendall(b"ping")
            assert talks[-1].recv(16) == b"ping"
        cli("rm", "-f", "talk")
        second = _web(lab, "second", f"{port}:80")
        assert second.ask("127.0.0.1", 80) == "second"
        assert lab.host.ask("127.0.0.1", port) == "second", "no old flow leads to the old container"
        assert lab.host.ask("::1", port) == "second"


def _free_range(size: int) -> int:
    """The first of *size* ports in a row that nobody holds, below those that the kernel gives out."""
    for base in range(20000, 30000, 100):
        with ExitStack() as stack:
            try:
                for port in range(base, base + size):
                    sock = stack.enter_context(socket.socket(socket.AF_INET6))
                    sock.bind(("::", port))
                    datagrams = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
                    datagrams.bind(("::", port))
            except OSError:
                continue
        return base
    raise AssertionError("no free range of ports")
