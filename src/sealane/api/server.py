"""The server of the Engine API: takes connections from a listening socket until it is closed.

Every connection is a task of one group, so none outlives the server. Closing is graceful: no new connections, streams
and idle connections are cut at once, and verbs that are running get ``grace_s`` seconds to finish and answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Final

from sealane.api.app import Application
from sealane.api.backend import Engine
from sealane.api.connection import Connection
from sealane.api.duplex import Duplex
from sealane.api.router import Router
from sealane.api.versions import MAXIMUM

log: Final = logging.getLogger(__name__)

#: Seconds within which the head of a request must be complete once its first byte is there.
HEAD_TIMEOUT_S: Final = 30.0


class ApiServer:
    """Serves *engine* through *router*. One ``serve`` per object."""

    def __init__(
        self,
        engine: Engine,
        router: Router,
        *,
        version: str,
        now_ns: Callable[[], int] = time.time_ns,
        head_timeout_s: float = HEAD_TIMEOUT_S,
        grace_s: float = 10.0,
    ) -> None:
        self._app = Application(engine, router, now_ns)
        self._headers = (
            f"Api-Version: {MAXIMUM}\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
            f"Server: Sealane/{version} (linux)\r\n"
        ).encode()
        self._head_timeout_s = head_timeout_s
        self._grace_s = grace_s
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._closing = asyncio.Event()
        self._closed = asyncio.Event()

    async def serve(self, sock: socket.socket) -> None:
        """Serve until ``close``; the socket is listening already and belongs to the server from now on."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:

                def accept() -> Duplex:
                    return Duplex(lambda duplex: self._open(group, duplex))

                if sock.family == socket.AF_UNIX:
                    server = await loop.create_unix_server(accept, sock=sock)
                else:
                    server = await loop.create_server(accept, sock=sock)
                try:
                    await self._closing.wait()
                finally:
                    server.close()
                await self._finish()
        finally:
            self._closed.set()

    async def close(self) -> None:
        """Stop serving and wait until it has stopped. Idempotent; only after ``serve`` was started."""
        self._closing.set()
        await self._closed.wait()

    def _open(self, group: asyncio.TaskGroup, duplex: Duplex) -> None:
        if self._closing.is_set():
            duplex.abort()
            return
        connection = Connection(duplex, self._app, headers=self._headers, head_timeout_s=self._head_timeout_s)
        task = group.create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    async def _finish(self) -> None:
        """Cut what may be cut, give the rest its time."""
        for task, connection in list(self._connections.items()):
            connection.finish()
            if connection.idle:
                task.cancel()
        tasks = list(self._connections)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._grace_s)
            for task in late:
                log.warning("a request did not finish within %s s of the engine's end", self._grace_s)
                task.cancel()
