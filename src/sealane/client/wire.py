"""HTTP/1.1 as bytes, from the client's side. Pure: no sockets.

Contract: one request is rendered by :func:`render_head`; its reply is read by a :class:`ReplyReader`, which takes bytes
in pieces of any size. The tests hold both against h11, which is not used here because importing it costs more time
than a whole ``sealane ps``.

Out of scope: trailers (they are skipped), obsolete line folding, compression, pipelining.
Source: RFC 9112.
"""

from __future__ import annotations

from sealane.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_MAX_HEAD: Final = 256 * 1024
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@")


def quote(text: str) -> str:
    """Percent-encode *text* for a path segment or query value (RFC 3986); ``/``, ``:`` and ``@`` stay as they are."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in data)


def render_target(path: str, query: Mapping[str, object]) -> str:
    """The request target: *path*, then the query. None and False values are left out, True becomes ``1``."""
    parts = []
    for key, value in query.items():
        if value is None or value is False:
            continue
        items = value if isinstance(value, (list, tuple)) else [value]
        parts += [f"{quote(key)}={quote('1' if item is True else str(item))}" for item in items]
    return f"{path}?{'&'.join(parts)}" if parts else path


def render_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Request line and headers, with the empty line that ends them. The header that frames the body is the caller's."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def render_chunk(data: bytes) -> bytes:
    """One chunk of a body of unknown length; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ReplyReader:
    """Reads one reply. ``status`` is 0 until the head is complete; ``done`` says that the body is complete."""

    __slots__ = ("_buffer", "_chunked", "_left", "_method", "done", "headers", "reason", "status", "takeover")

    def __init__(self, method: str) -> None:
        self._method = method
        self._buffer = bytearray()
        self._chunked = False
        self._left: int | None = 0  # bytes left of the body or chunk; None: until the connection closes
        self.status = 0
        self.reason = ""
        self.headers: dict[str, str] = {}
        self.done = False
        self.takeover = False

    @property
    def rest(self) -> bytes:
        """Bytes received behind what was read so far; after a take-over they belong to the raw stream."""
        return bytes(self._buffer)

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request now."""
        return self.done and self._left is not None and self.headers.get("connection", "").lower() != "close"

    def feed(self, data: bytes) -> bytes:
        """Take received bytes and return the part of the body that became readable. ``b""`` as *data*: peer closed."""
        if not data:
            return self._closed()
        self._buffer += data
        while not self.status or self.status in (100, 102, 103):
            if not self._read_head():
                return b""
        if self.done or self.takeover:
            return b""
        return self._read_chunks() if self._chunked else self._read_plain()

    def _closed(self) -> bytes:
        if self.status and not self.done and self._left is None:
            self.done = True
        if not self.done:
            raise Internal("the engine closed the connection in the middle of its reply")
        return b""

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise Internal("the engine's reply has headers without end")
            return False
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        version, _, rest = lines[0].partition(" ")
        code, _, self.reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not code.isdigit():
            raise Internal(f"the engine's reply is not HTTP: {lines[0][:80]!r}")
        self.status = int(code)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self._frame_body(version)
        return True

    def _frame_body(self, version: str) -> None:
        length = self.headers.get("content-length", "")
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        raw = self.status == 200 and "docker.raw-stream" in self.headers.get("content-type", "") and not self._chunked
        if self.status == 101 or raw:
            self.takeover = True
        elif self._method == "HEAD" or self.status in (204, 304) or 100 <= self.status < 200:
            self.done = self.status >= 200
            self._left, self._chunked = 0, False
        elif self._chunked:
            self._left = 0
        elif length.isdigit():
            self._left = int(length)
            self.done = self._left == 0
        else:
            self._left = None
        if version == "HTTP/1.0":
            self.headers.setdefault("connection", "close")

    def _read_plain(self) -> bytes:
        if self._left is None:
            out = bytes(self._buffer)
            self._buffer.clear()
            return out
        out = bytes(self._buffer[: self._left])
        del self._buffer[: len(out)]
        self._left -= len(out)
        self.done = self._left == 0
        return out

    def _read_chunks(self) -> bytes:
        """``_left`` counts what the present chunk still lacks, its closing CRLF included; 0: a size line comes next."""
        out = bytearray()
        while not self.done:
            if self._left:
                piece = self._buffer[: self._left]
                if not piece:
                    break
                body = max(0, min(len(piece), self._left - 2))
                out += piece[:body]
                del self._buffer[: len(piece)]
                self._left -= len(piece)
            elif not self._next_chunk():
                break
        return bytes(out)

    def _next_chunk(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        text = bytes(self._buffer[:end]).split(b";")[0].strip()
        try:
            size = int(text, 16)
        except ValueError:
            raise Internal(f"the engine's reply has a broken chunk size: {text[:20]!r}") from None
        if size == 0:
            return self._skip_trailers(end)
        del self._buffer[: end + 2]
        self._left = size + 2
        return True

    def _skip_trailers(self, end: int) -> bool:
        if self._buffer[end : end + 4] == b"\r\n\r\n":
            stop = end + 4
        else:
            stop = self._buffer.find(b"\r\n\r\n", end) + 4
            if stop < 4:
                return False
        del self._buffer[:stop]
        self.done = True
        return True
