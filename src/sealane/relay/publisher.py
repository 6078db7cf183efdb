"""The engine's side of the relay: ports that NAT cannot carry, and ports that are only held.

The process is started by the first ``put`` and ends by itself some time after the last ``drop``; one that runs from an
earlier engine is found by ``connect``. Like the resolver's, this publisher keeps a copy of what it has put, and when
the process is gone while there is something to be held, it starts another and puts everything again.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealane.errors import Conflict, Internal, InvalidArgument, SealaneError, Unavailable
from sealane.linux.namespaces import run_in
from sealane.relay.client import Connection, connect_unix, end_process
from sealane.relay.messages import EXIT_HELD, Json, Listener, listener_from_json, listener_to_json

__all__ = ["Listener", "RelayProcess", "RelayPublisher"]

_START_S: Final = 20.0
_POLL_S: Final = 0.02
_RETRY_S: Final = (0.0, 0.1, 0.5, 2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayProcess:
    """How the relay is started. ``host_ns`` None: in the engine's own network namespace. Times are in seconds."""

    socket: Path
    log: Path
    udp_idle_s: float = 90.0
    linger_s: float = 60.0
    host_ns: Path | None = None

    def start(self) -> bool:
        """Start it detached, and return when it serves; False when there is one already. Raises Unavailable."""
        command = [sys.executable, "-P", "-m", "sealane.relay.server", "--detach", "--socket", str(self.socket)]
        command += ["--udp-idle", str(self.udp_idle_s), "--linger", str(self.linger_s)]

        def run() -> int:
            with open(self.log, "ab") as log:
                return subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_START_S, check=False
                ).returncode

        try:
            code = run() if self.host_ns is None else run_in(self.host_ns, run)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"cannot start the relay (sealane-relay): {error}") from error
        if code not in (0, EXIT_HELD):
            raise Unavailable(f"cannot start the relay (sealane-relay): exit code {code}, see {self.log}")
        return code == 0


class RelayPublisher:
    """What the engine has relayed and held. *on_lost* is called when the process turned out to be gone."""

    def __init__(self, process: RelayProcess, on_lost: Callable[[], None] | None = None) -> None:
        self._process = process
        self._on_lost = on_lost
        self._log = logging.getLogger(__name__)
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._keepers: set[asyncio.Task[None]] = set()  # cancelled by close
        self._listeners: dict[str, Listener] = {}

    async def connect(self) -> None:
        """Connect to a process that runs already; start none. For the engine's start, before ``held``."""
        try:
            sock = await asyncio.to_thread(connect_unix, self._process.socket)
        except OSError:
            return
        async with self._connecting:
            if self._connection is None:
                self._use(await Connection.over(sock))
            else:
                sock.close()

    async def close(self) -> None:
        """The engine ends; the relay goes on. Idempotent."""
        for keeper in self._keepers:
            keeper.cancel()
        if self._keepers:
            await asyncio.wait(self._keepers)
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def shutdown(self) -> None:
        """End the relay process too, if there is one, and wait for its end: for uninstalling, and for tests."""
        await self.close()
        self._listeners.clear()
        try:
            connection = await Connection.over(connect_unix(self._process.socket))
        except OSError:
            return
        try:
            pid = (await connection.request({"do": "hello"}))["pid"]
            await end_process(pid, connection.request({"do": "shutdown"}))
        except (ConnectionError, ProcessLookupError):
            pass
        finally:
            await connection.close()

    async def put(self, key: str, listener: Listener) -> None:
        """Listen for *key*, or change its target. Returns when connections are taken.

        Raises Conflict when somebody else has the port, InvalidArgument when the address is not the host's.
        """
        before = self._listeners.get(key)
        self._listeners[key] = listener
        message = {"do": "put", "key": key, "listener": listener_to_json(listener)}
        try:
            connection = await self._alive()
            try:
                reply = await connection.request(message)
            except ConnectionError:  # its successor has been given everything; ask once more, for its answer
                reply = await (await self._alive()).request(message)
            _check(listener, reply)
        except (SealaneError, ConnectionError) as error:
            if before is not None and not before.same_place(listener):
                self._listeners[key] = before  # it goes on
            else:
                self._listeners.pop(key, None)
            if isinstance(error, ConnectionError):
                raise Unavailable(f"the relay does not stay up: {error}") from error
            raise

    async def drop(self, key: str) -> None:
        """Stop listening for *key*, and end what came through it. Idempotent."""
        self._listeners.pop(key, None)
        if self._connection is not None and not self._connection.lost:
            try:
                await self._connection.request({"do": "drop", "key": key})
            except ConnectionError:
                pass  # gone, and so is the listener; its successor will not be told of it

    async def held(self) -> dict[str, Listener]:
        """What the process holds now; nothing when there is none."""
        if self._connection is None or self._connection.lost:
            return {}
        try:
            reply = await self._connection.request({"do": "held"})
        except ConnectionError:
            return {}
        return {key: listener_from_json(each) for key, each in reply["listeners"].items()}

    async def prune(self) -> None:
        """Drop what the process holds and we have not put: left-overs of an earlier engine, once after a restart."""
        for key in (await self.held()).keys() - self._listeners.keys():
            await self.drop(key)

    async def _alive(self) -> Connection:
        """A connection to a process that holds everything of our copy."""
        async with self._connecting:
            connection = self._connection
            if connection is not None and not connection.lost:
                return connection
            if connection is not None:
                self._connection = None
                await connection.close()
                if self._on_lost is not None:
                    self._on_lost()
            connection = await Connection.over(await self._reached())
            self._use(connection)
            await self._put_all(connection)
            return connection

    async def _put_all(self, connection: Connection) -> None:
        for key, listener in list(self._listeners.items()):
            try:
                _check(
                    listener,
                    await connection.request({"do": "put", "key": key, "listener": listener_to_json(listener)}),
                )
            except (SealaneError, ConnectionError) as error:
                self._log.warning("the relay cannot listen on %s any more: %s", listener, error)

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        keeper = asyncio.get_running_loop().create_task(self._keep(connection), name="relay keeper")
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)

    async def _keep(self, connection: Connection) -> None:
        """When the process goes while there is something to be held, replace it."""
        await connection.wait_lost()
        for pause in itertools.chain(_RETRY_S, itertools.repeat(_RETRY_S[-1])):
            await asyncio.sleep(pause)
            if not self._listeners:
                return
            try:
                await self._alive()
                return
            except (SealaneError, OSError) as error:
                self._log.warning("no relay: %s", error)

    async def _reached(self) -> socket.socket:
        """``_reach`` in a thread. When we are cancelled meanwhile, its connection is closed, not lost."""
        reaching = asyncio.ensure_future(asyncio.to_thread(self._reach))
        try:
            return await asyncio.shield(reaching)
        except asyncio.CancelledError:
            await asyncio.wait([reaching])
            if not reaching.cancelled() and reaching.exception() is None:
                reaching.result().close()
            raise

    def _reach(self) -> socket.socket:
        """A connection, to a new process when there is none. Runs in a thread; raises Unavailable."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return connect_unix(self._process.socket)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"cannot reach the relay at {self._process.socket}: {error}") from error
            if not self._process.start():
                time.sleep(_POLL_S)  # somebody else holds the lock: just starting, or about to end


def _check(listener: Listener, reply: Json) -> None:
    if "error" in reply:
        text = f"cannot listen on {listener}: {reply['error']}"
        match reply["errno"]:
            case errno.EADDRINUSE:
                raise Conflict(text)
            case errno.EADDRNOTAVAIL | errno.EPROTONOSUPPORT:
                raise InvalidArgument(text)
        raise Internal(text)
