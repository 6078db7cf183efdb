"""HTTP/1.1 over a Unix socket, kept alive: the same few lines for every engine, so that only engines differ."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


class Refused(Exception):
    """The engine answered with an error."""


@dataclass(slots=True)
class Connection:
    """One connection; requests go one after the other."""

    sock: socket.socket
    _rest: bytes = b""

    @classmethod
    def to(cls, address: str) -> Self:
        """*address* is ``unix:///path``."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(300)
        sock.connect(address.removeprefix("unix://"))
        return cls(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """One request and its whole answer; JSON if it is JSON, else bytes. Raises Refused."""
        self.send(method, path, body, kind)
        return self.answer(method, path)

    def send(self, method: str, path: str, body: Any = None, kind: str = "application/json", extra: str = "") -> None:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        typed = f"Content-Type: {kind}\r\n" if raw else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: engine\r\n{typed}{extra}Content-Length: {len(raw)}\r\n\r\n"
        self.sock.sendall(head.encode() + raw)

    def answer(self, method: str, path: str) -> Any:
        status, headers = self._head()
        body = self._body(status, headers)
        if status >= 400:
            raise Refused(f"{method} {path}: {status} {body.decode('utf-8', 'replace').strip()}")
        return json.loads(body) if body and "json" in headers.get("content-type", "") and b"\n{" not in body else body

    def take_over(self, method: str, path: str, body: Any = None) -> None:
        """A request after which the connection carries a process's streams. Raises Refused."""
        self.send(method, path, body, extra="Connection: Upgrade\r\nUpgrade: tcp\r\n")
        status, _ = self._head()
        if status not in (101, 200):
            raise Refused(f"{method} {path}: {status}")

    def read_to_end(self) -> bytes:
        parts = [self._rest]
        self._rest = b""
        while part := self.sock.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def _more(self) -> None:
        part = self.sock.recv(65536)
        if not part:
            raise Refused("the engine closed the connection")
        self._rest += part

    def _until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._more()
        text, _, self._rest = self._rest.partition(end)
        return text

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _head(self) -> tuple[int, Mapping[str, str]]:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return int(first.split()[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _body(self, status: int, headers: Mapping[str, str]) -> bytes:
        if status in (204, 304) or status < 200:
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self._until(b"\r\n").split(b";")[0], 16):
                parts.append(self._exactly(size))
                self._exactly(2)
            self._until(b"\r\n")
            return b"".join(parts)
        return self._exactly(int(headers.get("content-length", "0")))
