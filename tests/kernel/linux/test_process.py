"""Processes told apart, and who holds a port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from sealane.linux import process
from sealane.values import Transport
from support.poll import until

ANY4, LOOPBACK = ip_address("0.0.0.0"), ip_address("127.0.0.1")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(["sleep", "1000"])
    yield started
    started.kill()
    started.wait()


def test_a_process_and_its_death(child: subprocess.Popen[bytes]) -> None:
    known = process.identify(child.pid)
    assert process.alive(known)
    assert process.exists(child.pid)
    assert child.pid in process.children(os.getpid())
    until(lambda: process.command(child.pid) == "sleep", "the child is sleep")
    process.kill(child.pid, signal.SIGTERM)
    until(lambda: not process.alive(known), "the child has ended")  # a zombie is not alive
    assert not process.exists(child.pid)
    assert child.wait() == -signal.SIGTERM
    assert process.command(child.pid) == ""
    assert process.children(child.pid) == []
    with pytest.raises(ProcessLookupError):
        process.kill(child.pid, signal.SIGTERM)
    with pytest.raises(FileNotFoundError):
        process.identify(child.pid)


def test_a_later_process_of_the_same_number_is_another(child: subprocess.Popen[bytes]) -> None:
    known = process.identify(child.pid)
    assert not process.alive(process.ProcessId(known.pid, known.start_time - 1))


def test_names_with_brackets_and_blanks_do_not_confuse() -> None:
    program = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'a) R (b'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as named:
        assert named.stdout is not None
        named.stdout.readline()
        assert process.command(named.pid) == "a) R (b"
        assert process.alive(process.identify(named.pid))


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.UDP])
@pytest.mark.parametrize(("held", "asked", "free"), [
    ("127.0.0.1", "127.0.0.1", False), ("0.0.0.0", "127.0.0.1", False), ("127.0.0.1", "0.0.0.0", False),
    ("127.0.0.1", "127.0.0.2", True), ("::", "::1", False), ("::1", "127.0.0.1", True),
])  # fmt: skip
def test_ports_that_are_held(transport: Transport, held: str, asked: str, free: bool) -> None:
    kind = socket.SOCK_STREAM if transport is Transport.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in held else socket.AF_INET, kind) as sock:
        if ":" in held:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((held, 0))
        if transport is Transport.TCP:
            sock.listen()
        port = sock.getsockname()[1]
        assert process.can_bind(ip_address(asked), transport, port) is free
        if not free:
            holder = process.port_holder(ip_address(asked), transport, port)
            assert holder == f"{process.command(os.getpid())}, pid {os.getpid()}"
    assert process.can_bind(ip_address(asked), transport, port)
    assert process.port_holder(ip_address(asked), transport, port) == "another program"


def test_an_address_that_the_host_does_not_have() -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        process.can_bind(ip_address("203.0.113.77"), Transport.TCP, 0)


def test_a_connection_on_a_port_does_not_hold_it() -> None:
    """A client that happens to use the number is no server."""
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        assert process.port_holder(ANY4, Transport.TCP, client.getsockname()[1]) == "another program"
        assert process.port_holder(LOOPBACK, Transport.TCP, server.getsockname()[1]).endswith(f"pid {os.getpid()}")
