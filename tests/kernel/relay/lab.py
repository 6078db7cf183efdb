"""The relay's host in a test: sockets inside it, servers to relay to, and the publisher."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from sealane.linux import namespaces
from sealane.relay.publisher import Listener, RelayProcess, RelayPublisher
from sealane.values import Transport

T = TypeVar("T")
PATIENCE_S = 10.0
KINDS = {Transport.TCP: socket.SOCK_STREAM, Transport.UDP: socket.SOCK_DGRAM}


def listener(host: str, port: int, target: tuple[str, int] | None, transport: Transport = Transport.TCP) -> Listener:
    """A listener from texts."""
    return Listener(ip_address(host), port, transport, target and (ip_address(target[0]), target[1]))


def wait_for(true: Callable[[], bool]) -> None:
    """Poll until *true*, or fail when patience has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


class RelayLab:
    """One host."""

    def __init__(self, folder: Path, host: Path, runner: asyncio.Runner, exit_stack: ExitStack) -> None:
        self.host = host
        self._runner = runner
        self._exit_stack = exit_stack
        self.process = RelayProcess(socket=folder / "relay.sock", log=folder / "relay.log", host_ns=host)
        self.publisher = RelayPublisher(self.process)

    def configure(self, **changes: float) -> None:
        """Other settings, before the first use."""
        self.process = replace(self.process, **changes)
        self.publisher = RelayPublisher(self.process)

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for something of the publisher's."""

        async def wait() -> T:
            return await awaitable

        return self._runner.run(wait())

    async def until(self, true: Callable[[], bool]) -> None:
        """Let the publisher go on until *true*."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, "it did not become true in time"
            await asyncio.sleep(0.01)

    def socket(self, address: str, transport: Transport = Transport.TCP) -> socket.socket:
        """A socket of the host's, closed after the test."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = namespaces.run_in(self.host, lambda: socket.socket(family, KINDS[transport]))
        sock.settimeout(PATIENCE_S)
        return self._exit_stack.enter_context(sock)

    def server(self, address: str, transport: Transport = Transport.TCP) -> tuple[socket.socket, tuple[str, int]]:
        """A bound (and listening) socket on a free port, and where it is."""
        sock = self.socket(address, transport)
        sock.bind((address, 0))
        if transport is Transport.TCP:
            sock.listen()
        return sock, (address, sock.getsockname()[1])

    def client(self, address: str, port: int, transport: Transport = Transport.TCP) -> socket.socket:
        """A connected socket."""
        sock = self.socket(address, transport)
        sock.connect((address, port))
        return sock

    def pid(self) -> int:
        """The process that holds the lock; 0 when there is none."""
        lock = Path(f"{self.process.socket}.lock")
        key = os.stat(lock).st_ino if lock.exists() else -1
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].endswith(f":{key}"):
                return int(fields[4])
        return 0

    def descriptors(self) -> int:
        """How many files the relay has open."""
        return len(os.listdir(f"/proc/{self.pid()}/fd"))
