"""Connections and datagrams through the relay, and ports that are only held."""

from __future__ import annotations

import errno
import socket
import subprocess
import threading

import pytest

from kernel.relay.lab import RelayLab, listener, wait_for
from sealane.errors import Conflict, InvalidArgument
from sealane.values import Transport

UDP = Transport.UDP


def accept(server: socket.socket) -> socket.socket:
    sock, _ = server.accept()
    sock.settimeout(10)
    return sock


def test_tcp_from_ipv6_to_ipv4_with_half_close(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1")
    lab.run(lab.publisher.put("p", listener("::1", 8080, target)))
    client = lab.client("::1", 8080)
    with accept(server) as inner:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert inner.makefile("rb").read() == b"question"  # to its end
        inner.sendall(b"answer")  # and the other direction still goes
        inner.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").read() == b"answer"
    before = lab.descriptors()
    for _ in range(20):
        with lab.client("::1", 8080), accept(server):
            pass
    wait_for(lambda: lab.descriptors() <= before)


def test_much_data_past_a_slow_reader(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1")
    lab.run(lab.publisher.put("p", listener("::1", 8080, target)))
    client = lab.client("::1", 8080)
    size = 32 << 20
    with accept(server) as inner:

        def write() -> None:
            client.sendall(bytes(size))
            client.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        other, other_target = lab.client("::1", 8080), accept(server)
        with other_target:  # others go on meanwhile
            other.sendall(b"x")
            assert other_target.recv(1) == b"x"
        received = 0
        while data := inner.recv(1 << 20):
            received += len(data)
        writer.join()
    assert received == size


def test_a_target_that_refuses_and_one_that_resets(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1")
    lab.run(lab.publisher.put("p", listener("::1", 8080, target)))
    client = lab.client("::1", 8080)
    with accept(server) as inner:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    server.close()
    with pytest.raises(ConnectionResetError):
        lab.client("::1", 8080).recv(1)


def test_udp_keeps_clients_apart(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1", UDP)
    lab.run(lab.publisher.put("p", listener("::1", 5353, target, UDP)))
    clients = [lab.client("::1", 5353, UDP) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
        data, address = server.recvfrom(100)
        server.sendto(b"re:" + data, address)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"re:%d" % number


@pytest.mark.parametrize(
    ("everywhere", "addresses"), [("::", ["fd00:9::1", "fd00:9::2"]), ("0.0.0.0", ["127.1.1.1", "127.1.1.2"])]
)
def test_udp_answers_from_the_address_that_was_asked(lab: RelayLab, everywhere: str, addresses: list[str]) -> None:
    for address in addresses:
        if ":" in address:
            command = ["nsenter", f"--net={lab.host}", "ip", "addr", "add", f"{address}/128", "dev", "lo"]
            subprocess.run(command, check=True)
    server, target = lab.server("127.0.0.1", UDP)
    lab.run(lab.publisher.put("p", listener(everywhere, 5353, target, UDP)))
    for address in addresses:
        client = lab.client(address, 5353, UDP)
        client.send(b"x")
        server.sendto(b"y", server.recvfrom(100)[1])
        assert client.recv(100) == b"y"


def test_a_silent_udp_flow_is_forgotten(lab: RelayLab) -> None:
    lab.configure(udp_idle_s=0.2)
    server, target = lab.server("127.0.0.1", UDP)
    lab.run(lab.publisher.put("p", listener("::1", 5353, target, UDP)))
    before = lab.descriptors()
    client = lab.client("::1", 5353, UDP)
    client.send(b"x")
    server.recv(100)
    wait_for(lambda: lab.descriptors() == before)
    client.send(b"again")
    assert server.recv(100) == b"again"


def test_udp_to_nobody_does_no_harm(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1", UDP)
    server.close()
    lab.run(lab.publisher.put("p", listener("::1", 5353, target, UDP)))
    before = lab.descriptors()
    client = lab.client("::1", 5353, UDP)
    client.send(b"x")
    wait_for(lambda: lab.descriptors() == before)


def test_an_ipv6_listener_leaves_the_ipv4_port_alone(lab: RelayLab) -> None:
    _, target = lab.server("127.0.0.1")
    lab.run(lab.publisher.put("p", listener("::", 8080, target)))
    lab.socket("127.0.0.1").bind(("0.0.0.0", 8080))


def test_a_new_target_needs_no_new_port(lab: RelayLab) -> None:
    (first, one), (second, two) = lab.server("127.0.0.1"), lab.server("127.0.0.1")
    lab.run(lab.publisher.put("p", listener("::1", 8080, one)))
    old = lab.client("::1", 8080)
    with accept(first) as inner:
        lab.run(lab.publisher.put("p", listener("::1", 8080, two)))
        with lab.client("::1", 8080), accept(second):
            inner.sendall(b"still here")
            assert old.recv(100) == b"still here"


def test_drop_ends_listening_and_connections(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1")
    lab.run(lab.publisher.put("p", listener("::1", 8080, target)))
    client = lab.client("::1", 8080)
    with accept(server):
        lab.run(lab.publisher.drop("p"))
        lab.run(lab.publisher.drop("p"))
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        lab.client("::1", 8080)


@pytest.mark.parametrize("transport", [Transport.TCP, UDP])
def test_a_held_port_is_nobody_else_s(lab: RelayLab, transport: Transport) -> None:
    lab.run(lab.publisher.put("p", listener("0.0.0.0", 8080, None, transport)))
    other = lab.socket("127.0.0.1", transport)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(transport is Transport.TCP))
    with pytest.raises(OSError, match="in use") as taken:
        other.bind(("127.0.0.1", 8080))
    assert taken.value.errno == errno.EADDRINUSE
    if transport is Transport.TCP:
        with pytest.raises(ConnectionRefusedError):
            lab.client("127.0.0.1", 8080)
    lab.run(lab.publisher.drop("p"))
    other.bind(("127.0.0.1", 8080))


def test_a_port_can_be_held_while_old_connections_linger(lab: RelayLab) -> None:
    server, (address, port) = lab.server("127.0.0.1")
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nearly every server does
    client = lab.client(address, port)
    accept(server).close()  # the server's side closes first: TIME_WAIT is on its port
    assert client.recv(1) == b""
    client.close()
    server.close()
    lab.run(lab.publisher.put("p", listener("127.0.0.1", port, None)))
    other = lab.socket("127.0.0.1")
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with pytest.raises(OSError, match="in use"):
        other.bind((address, port))


def test_a_held_port_becomes_a_relay(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1")
    lab.run(lab.publisher.put("p", listener("::1", 8080, None)))
    lab.run(lab.publisher.put("p", listener("::1", 8080, target)))
    with lab.client("::1", 8080), accept(server):
        pass


def test_refusals_name_the_port_and_change_nothing(lab: RelayLab) -> None:
    server, (address, port) = lab.server("127.0.0.1")
    kept = listener("::1", 8080, (address, port))
    lab.run(lab.publisher.put("p", kept))
    for host, number, error in [("127.0.0.1", port, Conflict), ("192.0.2.1", 80, InvalidArgument)]:
        for key in ("p", "q"):
            with pytest.raises(error, match=f"{host}:{number}/tcp"):
                lab.run(lab.publisher.put(key, listener(host, number, (address, port))))
    with pytest.raises(InvalidArgument, match="SCTP"):
        lab.run(lab.publisher.put("q", listener("::1", 8081, None, Transport.SCTP)))
    assert lab.run(lab.publisher.held()) == {"p": kept}
    with lab.client("::1", 8080), accept(server):
        pass
