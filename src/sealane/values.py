"""Small immutable values that every package shares: identifiers, MAC addresses, interface names, ports.

Pure: parses, checks and prints, and knows nothing of the kernel, of Docker's JSON or of files. Internet addresses
are the standard library's ``ipaddress`` objects everywhere.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Final, NewType

from sealane.errors import InvalidArgument

#: 64 lower-case hex digits each, made once by the engine's id source and never reused.
ContainerId = NewType("ContainerId", str)
NetworkId = NewType("NetworkId", str)
EndpointId = NewType("EndpointId", str)
ExecId = NewType("ExecId", str)

#: ``sha256:`` and 64 lower-case hex digits.
Digest = NewType("Digest", str)
#: The digest of an image's configuration blob, as Docker names images.
ImageId = NewType("ImageId", str)

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface

SHORT_ID: Final = 12
IFNAMSIZ: Final = 16  # linux/if.h, the closing NUL included

_MAC = re.compile(r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$")
_IFNAME_BAD = re.compile(r"[\s/:]")
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


def short(identifier: str) -> str:
    """The first twelve hex digits of an id, as people see it; a ``sha256:`` prefix is left out."""
    return identifier.removeprefix("sha256:")[:SHORT_ID]


def parse_digest(text: str) -> Digest:
    """Check that *text* is a sha256 digest. Raises InvalidArgument naming it."""
    if not _DIGEST.fullmatch(text):
        raise InvalidArgument(f"invalid digest {text!r}: it should be sha256: and 64 hex digits")
    return Digest(text)


class MacAddress:
    """An EUI-48 address: compares and hashes by its six octets, prints as ``aa:bb:cc:dd:ee:ff``."""

    __slots__ = ("octets",)
    octets: bytes

    def __init__(self, value: str | bytes) -> None:
        if isinstance(value, str):
            if not _MAC.fullmatch(value):
                raise InvalidArgument(f"invalid MAC address: {value}")
            value = bytes.fromhex(value.replace(":", "").replace("-", ""))
        if len(value) != 6:
            raise InvalidArgument(f"invalid MAC address: {value.hex(':')} (it should have six octets)")
        object.__setattr__(self, "octets", value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("MacAddress is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MacAddress) and other.octets == self.octets

    def __hash__(self) -> int:
        return hash(self.octets)

    def __str__(self) -> str:
        return self.octets.hex(":")

    def __repr__(self) -> str:
        return f"MacAddress('{self}')"

    def __reduce__(self) -> tuple[type[MacAddress], tuple[str]]:
        return (MacAddress, (str(self),))


class IfName(str):
    """The name of a network interface: 1 to 15 bytes, no blanks, no ``/``, no ``:`` (kernel: dev_valid_name)."""

    __slots__ = ()

    def __new__(cls, value: str) -> IfName:
        if not value or len(value.encode()) >= IFNAMSIZ or value in (".", "..") or _IFNAME_BAD.search(value):
            raise InvalidArgument(
                f"invalid interface name {value!r}: it should be 1 to 15 bytes without blanks, '/' or ':'"
            )
        return super().__new__(cls, value)


class Transport(enum.Enum):
    """A transport protocol that ports can be published for."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port inside a container; prints as Docker's ``80/tcp``."""

    number: int
    transport: Transport = Transport.TCP

    def __post_init__(self) -> None:
        if not 1 <= self.number <= 65535:
            raise InvalidArgument(f"invalid port specification: {self.number!s} (a port is 1 to 65535)")

    def __str__(self) -> str:
        return f"{self.number}/{self.transport.value}"

    @classmethod
    def parse(cls, text: str) -> ContainerPort:
        """Read ``80``, ``80/tcp`` or ``53/udp``. Raises InvalidArgument naming the text."""
        number, _, transport = text.partition("/")
        try:
            return cls(int(number), Transport(transport.lower() or "tcp"))
        except ValueError:
            raise InvalidArgument(f'invalid port specification: "{text}"') from None

    def __lt__(self, other: object) -> bool:  # Transport has no order of its own
        if not isinstance(other, ContainerPort):
            return NotImplemented
        return (self.number, self.transport.value) < (other.number, other.transport.value)


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """One host port that leads to one container port.

    ``host_ip`` is the unspecified address (``0.0.0.0`` or ``::``) for every address of its family. ``host_port`` is the
    number really taken, never 0.
    """

    host_ip: IPAddress
    host_port: int
    container_port: ContainerPort

    def __str__(self) -> str:
        host = f"[{self.host_ip}]" if self.host_ip.version == 6 else str(self.host_ip)
        return f"{host}:{self.host_port}->{self.container_port}"
