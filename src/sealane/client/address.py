"""Where the engine listens: which address wins, and what its parts are. Pure.

Out of scope: TLS and SSH transports; both are refused by name.
"""

from __future__ import annotations

from sealane.errors import InvalidArgument, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

DEFAULT_SOCKET: Final = "/run/sealane/sealane.sock"
_PLAIN_PORT: Final = 2375  # the port that Docker uses for HTTP without TLS


class Address:
    """Either a Unix socket (``path`` is set) or a TCP host and port. ``text`` is the address as people write it."""

    __slots__ = ("host", "path", "port", "text")

    def __init__(self, text: str, *, path: str = "", host: str = "", port: int = 0) -> None:
        self.text = text
        self.path = path
        self.host = host
        self.port = port


def choose(asked: str | None, environ: Mapping[str, str]) -> Address:
    """The address to use: the one asked for, else SEALANE_HOST, else DOCKER_HOST, else Sealane's own socket."""
    text = asked or environ.get("SEALANE_HOST") or environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    return parse(text)


def parse(text: str) -> Address:
    """Read ``unix:///path``, ``/path``, ``tcp://host:port`` or ``host:port``. Raises InvalidArgument or Unsupported."""
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = ("unix", text) if text.startswith("/") else ("tcp", text)
    if scheme == "unix":
        if not rest:
            raise InvalidArgument(f"invalid engine address {text!r}: the path of the socket is missing")
        return Address(f"unix://{rest}", path=rest)
    if scheme in ("tcp", "http"):
        return _parse_tcp(text, rest)
    if scheme in ("ssh", "https", "fd", "npipe"):
        raise Unsupported(
            f"cannot use the engine address {text!r}: {scheme}:// is not supported, use unix:// or tcp://"
        )
    raise InvalidArgument(f"invalid bind address format: {text}: use unix:///path/to/socket or tcp://host:port")


def _parse_tcp(text: str, rest: str) -> Address:
    rest = rest.rstrip("/")
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        port = tail.removeprefix(":")
    else:
        host, _, port = rest.partition(":")
    if port and not port.isdigit():
        raise InvalidArgument(f"invalid engine address {text!r}: {port!r} is not a port number")
    return Address(f"tcp://{rest}", host=host or "127.0.0.1", port=int(port) if port else _PLAIN_PORT)
