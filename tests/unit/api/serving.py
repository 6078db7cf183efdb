"""A real server on a real Unix socket, with the fake engine behind it, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from sealane.api.backend import Engine
from sealane.api.routes import build_router
from sealane.api.server import ApiServer
from unit.api.fake_engine import FakeEngine
from unit.api.fake_parts import NOW


class Served:
    """One running server: its socket, its engine, and clients for it."""

    def __init__(self, path: Path, engine: FakeEngine, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self.engine = engine
        self.loop = loop

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call something in the server's event loop."""

        async def inside() -> Any:
            return function()

        return self.run(inside())

    def eventually(self, probe: Callable[[], object]) -> None:
        """Wait until *probe*, called in the server's event loop, finds it so."""

        async def wait() -> None:
            async with asyncio.timeout(10):
                while not probe():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)

        self.run(wait())

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        return client

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers, body."""
        connection = http.client.HTTPConnection("d")
        connection.sock = self.connect()
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, data

    def json(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        """As ``ask``; the status must be *status*, and the body is decoded."""
        got, _, data = self.ask(method, path, body)
        assert got == status, data
        return json.loads(data)

    def message(self, method: str, path: str, body: object = None, status: int = 400) -> str:
        """The error's text; the status must be *status*."""
        text = self.json(method, path, body, status)["message"]
        assert isinstance(text, str)
        return text

    def container(self, name: str, *, start: bool = True, **config: object) -> str:
        made = self.json("POST", f"/containers/create?name={name}", {"Image": "centos:7.6.1810", **config}, 201)
        if start:
            assert self.ask("POST", f"/containers/{name}/start")[0] == 204
        return str(made["Id"])


@contextlib.contextmanager
def serving(folder: Path, **options: Any) -> Iterator[Served]:
    """Serve until the end of the block."""
    path = folder / "api.sock"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(64)
    ready: threading.Event = threading.Event()
    found: list[Served] = []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        engine = FakeEngine()
        typed: Engine = engine
        server = ApiServer(typed, build_router(), version="0.1.0", now_ns=lambda: NOW + 65 * 10**9, **options)
        loop = asyncio.get_running_loop()
        closing = asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(closing.set))
        found.append(Served(path, engine, loop))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sock))
            ready.set()
            await closing.wait()
            await server.close()
            await engine.close()

    thread = threading.Thread(target=lambda: asyncio.run(main(), debug=False))
    thread.start()
    try:
        assert ready.wait(10)
        yield found[0]
    finally:
        stop[0]()
        thread.join(20)
        assert not thread.is_alive()
