"""A host and its containers as throw-away namespaces, a real resolver process, and servers to forward to."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path
from typing import TypeVar

from sealane.dns import wire
from sealane.dns.publisher import Publisher, ResolverProcess
from sealane.linux import namespaces
from sealane.network.names import ContainerView, EndpointNames
from sealane.values import ContainerId, EndpointId, NetworkId

T = TypeVar("T")
NET = NetworkId("n" * 64)
SUBNET = IPv4Network("172.18.0.0/16")
PATIENCE_S = 10.0


class UpstreamServer:
    """A name server of somebody else: answers every A question by ``behave``, and remembers what it was asked."""

    def __init__(self, ns: Path, address: str, behave: Callable[[wire.Query], bytes | None]) -> None:
        self.asked: list[tuple[str, int]] = []
        self._behave = behave
        self._udp = namespaces.run_in(ns, lambda: _bound(socket.SOCK_DGRAM, address))
        self._tcp = namespaces.run_in(ns, lambda: _bound(socket.SOCK_STREAM, address))
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def _serve_udp(self) -> None:
        while (received := self._udp.recvfrom(65535))[0]:
            reply = self._reply(received[0])
            if reply is not None:
                self._udp.sendto(reply, received[1])

    def _serve_tcp(self) -> None:
        while True:
            try:
                sock, _ = self._tcp.accept()
            except OSError:
                return
            with sock:
                reply = self._reply(read_message(sock))
                if reply is not None:
                    sock.sendall(len(reply).to_bytes(2) + reply)

    def _reply(self, data: bytes) -> bytes | None:
        query = wire.parse_query(data)
        self.asked.append((query.name, query.qtype))
        return self._behave(query)

    def close(self) -> None:
        """Stop both threads: an empty datagram ends one, a shut-down listener the other."""
        self._tcp.shutdown(socket.SHUT_RDWR)
        self._udp.sendto(b"", self._udp.getsockname())
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._udp.close()
        self._tcp.close()


def _bound(kind: int, address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind((address, 53))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


#: The address that every name has elsewhere.
OUTSIDE = IPv4Address("203.0.113.9")


def good(query: wire.Query) -> bytes:
    """Behaves as a server that has an address for every name."""
    return wire.build_reply(query, wire.Rcode.NOERROR, [OUTSIDE.packed], wire.Type.A, 60, 65535)


def bad(rcode: wire.Rcode) -> Callable[[wire.Query], bytes]:
    """Behaves as a server that has only *rcode* to say."""
    return lambda query: wire.build_reply(query, rcode, [], wire.Type.A, 0, 512)


def silent(_query: wire.Query) -> None:
    """Behaves as a server that never answers."""


def read_message(sock: socket.socket) -> bytes:
    """One message with its length in front of it; empty at the end of the stream."""
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2]):
        received = sock.recv(65535)
        if not received:
            return b""
        data += received
    return data[2:]


def addresses(reply: wire.Message) -> list[str]:
    """The addresses of a reply, in its order."""
    return [str(ip_address(record.rdata)) for record in reply.answers]


class Lab:
    """One host, one resolver, and as many containers as a test wants."""

    def __init__(self, folder: Path, runner: asyncio.Runner, exit_stack: ExitStack) -> None:
        self.folder = folder
        self._runner = runner
        self._exit_stack = exit_stack
        self.host = self.namespace("host")
        self.resolv_conf = folder / "resolv.conf"
        self.use_servers("127.0.0.53")
        self.process = ResolverProcess(
            socket=folder / "dns.sock",
            log=folder / "dns.log",
            resolv_conf=self.resolv_conf,
            attempt_s=0.3,
            host_ns=self.host,
        )
        self.publisher = Publisher(self.process)

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for something of the publisher's."""

        async def wait() -> T:
            return await awaitable

        return self._runner.run(wait())

    def namespace(self, name: str) -> Path:
        """A new network namespace, gone after the test."""
        path = self.folder / name
        namespaces.create(path)
        self._exit_stack.callback(namespaces.remove, path)
        return path

    def use_servers(self, *servers: str) -> None:
        """Write the host's resolv.conf as resolvconf programs do: a new file in place of the old one."""
        fresh = self.folder / "resolv.conf.new"
        fresh.write_text("".join(f"nameserver {server}\n" for server in servers))
        fresh.rename(self.resolv_conf)

    def upstream(
        self, address: str, behave: Callable[[wire.Query], bytes | None], ns: Path | None = None
    ) -> UpstreamServer:
        """A name server in the host's namespace, or in another."""
        server = UpstreamServer(ns or self.host, address, behave)
        self._exit_stack.callback(server.close)
        return server

    def open(self, view: ContainerView) -> Path:
        """A served container's namespace."""
        ns = self.namespace(f"ns-{view.container}")
        self.run(self.publisher.open_container(view, ns))
        return ns

    def put(self, endpoint: str, names: list[str], *texts: str) -> None:
        """Publish an endpoint on the network."""
        parsed = [ip_address(text) for text in texts]
        v4 = tuple(each for each in parsed if isinstance(each, IPv4Address))
        v6 = tuple(each for each in parsed if isinstance(each, IPv6Address))
        record = EndpointNames(ContainerId(endpoint), tuple(names), v4, v6)
        self.run(self.publisher.put_endpoint(NET, EndpointId(endpoint), record))

    def socket(self, ns: Path, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """A socket inside *ns*, connected to the resolver."""

        def make() -> socket.socket:
            sock = socket.socket(socket.AF_INET, kind)
            sock.settimeout(PATIENCE_S)
            sock.connect(("127.0.0.11", 53))
            return sock

        return self._exit_stack.enter_context(namespaces.run_in(ns, make))

    def ask(
        self, ns: Path, name: str, qtype: int = wire.Type.A, *, size: int | None = None, tcp: bool = False
    ) -> wire.Message:
        """One question from inside *ns*, and its answer."""
        data = wire.build_query(4711, name, qtype, udp_size=size)
        with self.socket(ns, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
            sock.sendall(len(data).to_bytes(2) + data if tcp else data)
            reply = read_message(sock) if tcp else sock.recv(65535)
        message = wire.parse_message(reply)
        assert message.id == 4711
        return message

    def pid(self) -> int:
        """The process that holds the control socket's lock now."""
        key = os.stat(f"{self.process.socket}.lock").st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].endswith(f":{key}"):
                return int(fields[4])
        return 0


def wait_for(true: Callable[[], bool]) -> None:
    """Poll until *true*, or fail when patience has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)
