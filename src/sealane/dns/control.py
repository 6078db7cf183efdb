"""The resolver's control socket: takes the engine's changes and acknowledges each when answers reflect it.

Whoever can connect (root: the socket is 0600) may change everything; two engines at once, an old one that is about to
end and its successor, disturb each other no more than two people at one keyboard. A line that is no message ends its
connection. Verbs are in ``messages``.
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from collections.abc import Callable
from ipaddress import ip_network
from typing import Final

from sealane.dns.answer import Directory
from sealane.dns.guest import Guest
from sealane.dns.loop import IN, OUT, Loop
from sealane.dns.messages import (
    FDS_OF_OPEN,
    PROTOCOL,
    HeldContainer,
    Json,
    held_to_json,
    names_from_json,
    view_from_json,
)
from sealane.dns.resolver import Resolver
from sealane.errors import SealaneError

_READ: Final = 65536
_MAX_FDS: Final = 32
MAX_LINE: Final = 1 << 20


class Verbs:
    """The verbs of the protocol: message in, what to add to the acknowledgement out."""

    def __init__(self, loop: Loop, resolver: Resolver, directory: Directory) -> None:
        self._loop = loop
        self._resolver = resolver
        self._directory = directory
        self._table: dict[str, Callable[[Json], Json]] = {
            "hello": self._hello,
            "put_network": self._put_network,
            "drop_network": self._drop_network,
            "put_endpoint": self._put_endpoint,
            "drop_endpoint": self._drop_endpoint,
            "update_container": self._update_container,
            "close_container": self._close_container,
            "held": self._held,
            "shutdown": self._shutdown,
        }

    def do(self, message: Json, fds: list[int]) -> Json:
        """Run one message. The descriptors are used or closed."""
        try:
            verb = message["do"]
            if verb == "open_container":
                return self._open_container(message, fds)
            handler = self._table.get(verb)
            return handler(message) if handler is not None else {"error": f"unknown verb {verb!r}"}
        except SealaneError as error:
            return {"error": error.message}
        except (KeyError, TypeError, ValueError, OSError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            for fd in fds:
                os.close(fd)

    def _hello(self, _message: Json) -> Json:
        """Who is there."""
        return {"pid": os.getpid(), "protocol": PROTOCOL}

    def _put_network(self, message: Json) -> Json:
        """Add or rename a network."""
        subnets = tuple(ip_network(subnet) for subnet in message["subnets"])
        self._directory.put_network(message["network"], message["name"], subnets)
        return {}

    def _drop_network(self, message: Json) -> Json:
        """Forget a network."""
        self._directory.drop_network(message["network"])
        return {}

    def _put_endpoint(self, message: Json) -> Json:
        """Add or replace the names of an endpoint."""
        self._directory.put_endpoint(message["network"], message["endpoint"], names_from_json(message))
        return {}

    def _drop_endpoint(self, message: Json) -> Json:
        """Forget an endpoint."""
        self._directory.drop_endpoint(message["network"], message["endpoint"])
        return {}

    def _update_container(self, message: Json) -> Json:
        """Replace what a container may resolve."""
        view = view_from_json(message["view"])
        return {} if self._resolver.update(view) else {"error": f"container {view.container} is not served"}

    def _close_container(self, message: Json) -> Json:
        """Stop serving a container."""
        self._resolver.close(message["container"])
        return {}

    def _held(self, _message: Json) -> Json:
        """Everything that we hold."""
        guests = self._resolver.guests
        containers = {container: HeldContainer(guest.view, guest.cookie) for container, guest in guests.items()}
        return held_to_json(self._directory.zones(), containers)

    def _shutdown(self, _message: Json) -> Json:
        """End the process after this acknowledgement."""
        self._loop.stop()
        return {}

    def _open_container(self, message: Json, fds: list[int]) -> Json:
        """Serve a container on the sockets that came with the message."""
        view = view_from_json(message["view"])
        if len(fds) != FDS_OF_OPEN:
            return {"error": f"open_container came with {len(fds)} descriptors and needs {FDS_OF_OPEN}"}
        namespace = fds.pop()
        tcp = socket.socket(fileno=fds.pop())
        udp = socket.socket(fileno=fds.pop())
        self._resolver.open(Guest(view, udp, tcp, namespace))
        return {}


class ControlServer:
    """Accepts the engine's connections on *listener*, which it owns."""

    def __init__(self, loop: Loop, listener: socket.socket, verbs: Verbs) -> None:
        self._loop = loop
        self._listener = listener
        self._verbs = verbs
        self._connections: set[_Connection] = set()
        loop.watch(listener.fileno(), self._accept)

    def close(self) -> None:
        """Close the listening socket and every connection. Idempotent."""
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        for connection in list(self._connections):
            connection.close()

    def _accept(self, _events: int) -> None:
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        self._connections.add(_Connection(self._loop, sock, self._verbs, self._connections))


class _Connection:
    """One engine. Descriptors come ahead of or with the line that they belong to, in order."""

    def __init__(self, loop: Loop, sock: socket.socket, verbs: Verbs, siblings: set[_Connection]) -> None:
        self._loop = loop
        self._sock = sock
        self._verbs = verbs
        self._siblings = siblings
        self._received = bytearray()
        self._unsent = bytearray()
        self._fds: deque[int] = deque()
        loop.watch(sock.fileno(), self._ready)

    def close(self) -> None:
        """End the connection. Idempotent."""
        self._siblings.discard(self)
        if self._sock.fileno() >= 0:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
        while self._fds:
            os.close(self._fds.popleft())

    def _ready(self, events: int) -> None:
        try:
            if events & ~OUT:
                self._read()
            if self._unsent and self._sock.fileno() >= 0:
                self._flush()
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, ValueError, TypeError, AttributeError):
            self.close()

    def _read(self) -> None:
        data, fds, _flags, _address = socket.recv_fds(self._sock, _READ, _MAX_FDS)
        self._fds.extend(fds)
        if not data:
            self.close()
            return
        self._received += data
        while (end := self._received.find(b"\n")) >= 0:
            message = json.loads(self._received[:end])
            del self._received[: end + 1]
            fds = [self._fds.popleft() for _ in range(message.get("fds", 0)) if self._fds]
            reply = {"seq": message.get("seq"), **self._verbs.do(message, fds)}
            self._unsent += json.dumps(reply, separators=(",", ":")).encode() + b"\n"
        if len(self._received) > MAX_LINE:
            self.close()

    def _flush(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
            del self._unsent[:sent]
        finally:
            self._loop.modify(self._sock.fileno(), (IN | OUT) if self._unsent else IN)
