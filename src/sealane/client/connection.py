"""One connection to an engine: requests, replies in pieces, and the raw stream that attach and exec take over.

Contract: a :class:`Connection` owns its socket; :meth:`Reply.take_over` hands the socket on to a :class:`RawStream`,
which then owns it. Closing is idempotent. All calls block; a signal handler may raise out of any of them.
"""

from __future__ import annotations

# The C half of ``socket``: the whole module brings selectors and enum along, 7 ms of a command that takes 15.
import _socket
import errno

from sealane.client.address import DEFAULT_SOCKET
from sealane.client.errors import Unreachable
from sealane.client.wire import ReplyReader, render_chunk, render_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Final, TypeAlias

    from sealane.client.address import Address

    Socket: TypeAlias = _socket.socket

_READ_SIZE: Final = 64 * 1024


class RawStream:
    """The connection as two plain byte streams, after HTTP is over. ``early`` is what came with the reply's head."""

    __slots__ = ("early", "sock")

    def __init__(self, sock: Socket, early: bytes) -> None:
        self.sock = sock
        self.early = early

    def read(self) -> bytes:
        """The next bytes; ``b""`` when the engine has closed its direction."""
        if self.early:
            data, self.early = self.early, b""
            return data
        try:
            return self.sock.recv(_READ_SIZE)
        except ConnectionResetError:
            return b""

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close_write(self) -> None:
        """Half-close: the process in the container reads end-of-file, and its output still comes."""
        try:
            self.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self.sock.close()


class Reply:
    """A reply whose head was read; the body is read by :meth:`chunks` or :meth:`read`."""

    __slots__ = ("_early", "_owner", "_reader")

    def __init__(self, owner: Connection, reader: ReplyReader, early: bytes) -> None:
        self._owner = owner
        self._reader = reader
        self._early = early

    @property
    def status(self) -> int:
        return self._reader.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        return self._reader.headers

    @property
    def reason(self) -> str:
        return self._reader.reason

    @property
    def raw(self) -> bool:
        """Whether the body is a raw stream without framing, to be read by :meth:`take_over`."""
        return self._reader.takeover

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces, as they come."""
        early, self._early = self._early, b""
        if early:
            yield early
        while not self._reader.done and not self._reader.takeover:
            data = self._reader.feed(self._owner.receive())
            if data:
                yield data

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def fileno(self) -> int:
        """For poll(): readable when more of the reply came."""
        return self._owner.fileno()

    def take_over(self) -> RawStream:
        """The socket as a raw stream; the connection gives it up."""
        return RawStream(self._owner.release(), self._early + self._reader.rest)


class Connection:
    """One socket, at most one request under way."""

    __slots__ = ("_address", "_reader", "_sock")

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sock: Socket | None = None
        self._reader: ReplyReader | None = None

    @property
    def idle(self) -> bool:
        """Whether the next request may go out on this connection: nothing under way, and the engine still there."""
        if self._reader is None:
            return True
        if not self._reader.reusable or self._sock is None:
            return False
        try:
            self._sock.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False  # closed meanwhile (an engine may close connections that idle), or bytes that nobody asked for

    def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes] | None = None
    ) -> Reply:
        """Send one request and read the head of its reply. Raises Unreachable when there is no connection."""
        fields = {"Host": self._address.host or "sealane", **headers}
        if isinstance(body, bytes):
            fields["Content-Length"] = str(len(body))
        elif body is not None:
            fields["Transfer-Encoding"] = "chunked"
        elif method != "GET":
            fields["Content-Length"] = "0"
        self._send(render_head(method, target, fields), body)
        self._reader = reader = ReplyReader(method)
        early = b""
        while not reader.status or reader.status in (100, 102, 103):
            early = reader.feed(self.receive())
        return Reply(self, reader, early)

    def _send(self, head: bytes, body: bytes | Iterable[bytes] | None) -> None:
        sock = self._connected()
        if isinstance(body, bytes):
            sock.sendall(head + body)
            return
        sock.sendall(head)
        if body is None:
            return
        try:
            for piece in body:
                if piece:
                    sock.sendall(render_chunk(piece))
            sock.sendall(render_chunk(b""))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the engine has already answered (with an error) and does not want the rest; the reply says why

    def receive(self) -> bytes:
        try:
            return self._connected().recv(_READ_SIZE)
        except ConnectionResetError:
            return b""

    def fileno(self) -> int:
        return self._connected().fileno()

    def release(self) -> Socket:
        sock, self._sock, self._reader = self._connected(), None, None
        return sock

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = self._reader = None

    def _connected(self) -> Socket:
        if self._sock is None:
            self._sock = _connect(self._address)
        return self._sock


def _connect(address: Address) -> Socket:
    try:
        if not address.path:
            import socket

            return socket.create_connection((address.host, address.port))
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.connect(address.path)
        except OSError:
            sock.close()
            raise
        return sock
    except OSError as error:
        raise Unreachable(_why_unreachable(address, error)) from error


def _why_unreachable(address: Address, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"permission denied while trying to connect to the Sealane daemon socket at {address.text}: "
            f"run as root, or join the group that owns the socket (ls -l {address.path})"
        )
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        start = "\nStart it with: sealane system start" if address.path == DEFAULT_SOCKET else ""
        return f"Cannot connect to the Sealane daemon at {address.text}. Is the sealane daemon running?{start}"
    return f"Cannot connect to the Sealane daemon at {address.text}: {error.strerror or error}"
