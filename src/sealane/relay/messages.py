"""What engine and relay say to each other. Pure.

One JSON object per line; every one is answered in order with ``{}`` or with ``{"error": text, "errno": number}``::

    put   key, listener      listen, or change the target of what listens already
    drop  key                stop, and end its connections
    held                  -> listeners
    hello                 -> pid
    shutdown                 (tests and uninstalling)
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from sealane.values import IPAddress, Transport

EXIT_HELD: Final = 3  # sealane-relay: another process serves the same socket

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listener:
    """One host address and port, and where it leads. ``target`` None: the port is held, and nothing is relayed."""

    host_ip: IPAddress
    host_port: int
    transport: Transport
    target: tuple[IPAddress, int] | None

    def same_place(self, other: Listener) -> bool:
        """True when both are the same port of the same address."""
        place = (self.host_ip, self.host_port, self.transport)
        return place == (other.host_ip, other.host_port, other.transport)

    def __str__(self) -> str:
        host = f"[{self.host_ip}]" if self.host_ip.version == 6 else str(self.host_ip)
        return f"{host}:{self.host_port}/{self.transport.value}"


def listener_to_json(listener: Listener) -> Json:
    """Inverse of ``listener_from_json``."""
    target = listener.target
    return {
        "host_ip": str(listener.host_ip),
        "host_port": listener.host_port,
        "transport": listener.transport.value,
        "target": None if target is None else [str(target[0]), target[1]],
    }


def listener_from_json(data: Json) -> Listener:
    """Raises KeyError, TypeError or ValueError when *data* is not what ``listener_to_json`` makes."""
    target = data["target"]
    return Listener(
        ip_address(data["host_ip"]),
        int(data["host_port"]),
        Transport(data["transport"]),
        None if target is None else (ip_address(target[0]), int(target[1])),
    )
