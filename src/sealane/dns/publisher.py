"""The engine's side of the resolver: what is published here is what containers resolve.

The publisher keeps a copy of everything it has published. When the resolver process is gone it starts another one and
publishes the copy, sockets included; a change that was under way at that moment is in the copy already. After a
restart of the engine the copy is empty while the process still holds the old one's: ``held`` says what, so that the
engine can drop what is no more. A container whose namespace is served already keeps its sockets.

Every method returns when the resolver's answers reflect the change.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sealane.dns.answer import ContainerView, Directory, EndpointNames
from sealane.dns.client import ControlClient, connect_unix, end_process
from sealane.dns.forward import ATTEMPT_S
from sealane.dns.messages import (
    EXIT_HELD,
    Held,
    HeldContainer,
    Json,
    held_from_json,
    names_to_json,
    view_to_json,
)
from sealane.dns.placing import Placed, place
from sealane.errors import SealaneError, Unavailable
from sealane.linux.namespaces import run_in
from sealane.values import ContainerId, EndpointId, IPNetwork, NetworkId

__all__ = ["Held", "HeldContainer", "Publisher", "ResolverProcess"]

T = TypeVar("T")

_START_S: Final = 20.0
_POLL_S: Final = 0.02
_RETRY_S: Final = (0.0, 0.1, 0.5, 2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverProcess:
    """How the resolver is started. ``host_ns`` None: in the engine's own network namespace.

    ``attempt_s`` is its patience with one upstream server in seconds, ``ttl`` that of its own records.
    """

    socket: Path
    log: Path
    resolv_conf: Path = Path("/etc/resolv.conf")
    ttl: int = 1
    attempt_s: float = ATTEMPT_S
    host_ns: Path | None = None

    def start(self) -> bool:
        """Start it detached, and return when it serves; False when there is one already. Raises Unavailable."""
        command = [sys.executable, "-P", "-m", "sealane.dns.server", "--detach", "--socket", str(self.socket)]
        command += ["--resolv-conf", str(self.resolv_conf), "--ttl", str(self.ttl)]
        command += ["--attempt-seconds", str(self.attempt_s)]

        def run() -> int:
            with open(self.log, "ab") as log:
                return subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_START_S, check=False
                ).returncode

        try:
            code = run() if self.host_ns is None else run_in(self.host_ns, run)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"cannot start the resolver (sealane-dns): {error}") from error
        if code not in (0, EXIT_HELD):
            raise Unavailable(f"cannot start the resolver (sealane-dns): exit code {code}, see {self.log}")
        return code == 0


class Publisher:
    """What the engine publishes. ``connect`` first, ``close`` at the end; the resolver outlives it.

    *on_lost* is called whenever the process turned out to be gone, before it is replaced.
    """

    def __init__(self, process: ResolverProcess, on_lost: Callable[[], None] | None = None) -> None:
        self._process = process
        self._on_lost = on_lost
        self._log = logging.getLogger(__name__)
        self._client: ControlClient | None = None
        self._connecting = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._directory = Directory()
        self._containers: dict[ContainerId, tuple[ContainerView, Path]] = {}
        self._served: dict[ContainerId, int] = {}  # by the process as it is now: namespace cookies

    async def connect(self) -> None:
        """Connect to the resolver, starting it if need be. Raises Unavailable."""
        await self._alive()
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="resolver keeper")

    async def close(self) -> None:
        """The engine ends; the resolver goes on. Idempotent."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def shutdown(self) -> None:
        """End the resolver process too, if there is one, and wait for its end: for uninstalling, and for tests."""
        await self.close()
        try:
            client = ControlClient(connect_unix(self._process.socket))
        except (FileNotFoundError, ConnectionRefusedError):
            return
        try:
            pid = (await client.request({"do": "hello"}))["pid"]
            await end_process(pid, client.request({"do": "shutdown"}))
        except (ConnectionError, ProcessLookupError):
            pass
        finally:
            await client.close()

    async def put_network(self, network: NetworkId, name: str, subnets: tuple[IPNetwork, ...] = ()) -> None:
        """Add or rename a network. Reverse lookups inside *subnets* will never be asked of other servers."""
        self._directory.put_network(network, name, subnets)
        await self._publish(_put_network(network, name, subnets))

    async def drop_network(self, network: NetworkId) -> None:
        """Forget a network and its endpoints. Idempotent."""
        self._directory.drop_network(network)
        await self._publish({"do": "drop_network", "network": network})

    async def put_endpoint(self, network: NetworkId, endpoint: EndpointId, names: EndpointNames) -> None:
        """Add or replace the names of one endpoint. Raises NotFound when the network was not put."""
        self._directory.put_endpoint(network, endpoint, names)
        await self._publish(_put_endpoint(network, endpoint, names))

    async def drop_endpoint(self, network: NetworkId, endpoint: EndpointId) -> None:
        """Forget one endpoint. Idempotent."""
        self._directory.drop_endpoint(network, endpoint)
        await self._publish({"do": "drop_endpoint", "network": network, "endpoint": endpoint})

    async def open_container(self, view: ContainerView, ns: Path) -> None:
        """Serve the container whose network namespace is at *ns* on 127.0.0.11, port 53. Raises Unavailable."""
        self._containers[view.container] = (view, ns)
        client = await self._alive()
        try:
            await self._open(client, view, ns)
        except ConnectionError:
            await self._alive()
        except OSError as error:
            del self._containers[view.container]
            raise Unavailable(f"cannot place the resolver into {ns}: {error}") from error
        if view.container not in self._served:
            raise Unavailable(f"cannot place the resolver into {ns}: see the log")

    async def update_container(self, view: ContainerView) -> None:
        """Replace what one container may resolve; one that was not opened is left alone."""
        opened = self._containers.get(view.container)
        if opened is not None:
            self._containers[view.container] = (view, opened[1])
            await self._publish({"do": "update_container", "view": view_to_json(view)})

    async def close_container(self, container: ContainerId) -> None:
        """Stop serving a container and let go of its namespace. Idempotent."""
        self._containers.pop(container, None)
        self._served.pop(container, None)
        await self._publish({"do": "close_container", "container": container})

    async def held(self) -> Held:
        """What the process holds at this moment."""
        client = await self._alive()
        try:
            return held_from_json(await client.request({"do": "held"}))
        except ConnectionError:
            return held_from_json(await (await self._alive()).request({"do": "held"}))

    async def prune(self) -> None:
        """Drop what the process holds and we have not published: left-overs of an earlier engine.

        To be called once after a restart, when everything that still is has been published again.
        """
        held = await self.held()
        zones = self._directory.zones()
        for container in held.containers.keys() - self._containers.keys():
            await self.close_container(container)
        for network, zone in held.networks.items():
            if network not in zones:
                await self.drop_network(network)
                continue
            for endpoint in zone.records.keys() - zones[network].records.keys():
                await self.drop_endpoint(network, endpoint)

    async def _publish(self, message: Json) -> None:
        """Send one change that is in our copy already: if the process goes meanwhile, its successor gets the copy."""
        client = await self._alive()
        try:
            await client.request(message)
        except ConnectionError:
            await self._alive()

    async def _alive(self) -> ControlClient:
        """A connection on which everything of our copy has been published."""
        client = self._client
        if client is not None and not client.lost:
            return client
        async with self._connecting:
            client = self._client
            if client is not None and not client.lost:
                return client
            if client is not None:
                self._client = None
                await client.close()
                if self._on_lost is not None:
                    self._on_lost()
            client = ControlClient(await _in_thread(self._reach, socket.socket.close))
            try:
                await self._publish_copy(client)
            except BaseException:
                await client.close()
                raise
            self._client = client
            return client

    def _reach(self) -> socket.socket:
        """Connect, starting the process when nobody answers. Runs in a thread."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return connect_unix(self._process.socket)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"cannot reach the resolver at {self._process.socket}: {error}") from error
            if not self._process.start():
                time.sleep(_POLL_S)  # somebody else holds the lock: just starting, or about to end

    async def _publish_copy(self, client: ControlClient) -> None:
        """Bring a process that may hold nothing, or an earlier state, to what we hold."""
        held = held_from_json(await client.request({"do": "held"}))
        self._served = {container: each.cookie for container, each in held.containers.items()}
        for zone in self._directory.zones().values():
            await client.request(_put_network(zone.network, zone.name, zone.subnets))
            for endpoint, names in zone.records.items():
                await client.request(_put_endpoint(zone.network, endpoint, names))
        for view, ns in list(self._containers.values()):
            try:
                await self._open(client, view, ns)
            except ConnectionError:
                raise
            except (OSError, SealaneError) as error:
                self._log.warning("the resolver cannot serve container %s any more: %s", view.container, error)

    async def _open(self, client: ControlClient, view: ContainerView, ns: Path) -> None:
        served = self._served.get(view.container)
        placed = await _in_thread(lambda: place(ns, served), _close_placed)
        if placed is None:
            await client.request({"do": "update_container", "view": view_to_json(view)})
            return
        try:
            await client.request({"do": "open_container", "view": view_to_json(view)}, placed.fds)
            self._served[view.container] = placed.cookie
        finally:
            placed.close()

    async def _keep(self) -> None:
        """Replace the process whenever it goes, without waiting for the next change."""
        while True:
            if self._client is not None:
                await self._client.wait_lost()
            for pause in itertools.chain(_RETRY_S, itertools.repeat(_RETRY_S[-1])):
                await asyncio.sleep(pause)
                try:
                    await self._alive()
                    break
                except (SealaneError, OSError) as error:
                    self._log.warning("no resolver: %s", error)


def _close_placed(placed: Placed | None) -> None:
    if placed is not None:
        placed.close()


async def _in_thread(make: Callable[[], T], discard: Callable[[T], None]) -> T:
    """Run *make* in a thread. When we are cancelled meanwhile, what it made is discarded, not lost."""
    making = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        await asyncio.wait([making])
        if not making.cancelled() and making.exception() is None:
            discard(making.result())
        raise


def _put_network(network: NetworkId, name: str, subnets: tuple[IPNetwork, ...]) -> Json:
    return {"do": "put_network", "network": network, "name": name, "subnets": [str(subnet) for subnet in subnets]}


def _put_endpoint(network: NetworkId, endpoint: EndpointId, names: EndpointNames) -> Json:
    return {"do": "put_endpoint", "network": network, "endpoint": endpoint, **names_to_json(names)}
