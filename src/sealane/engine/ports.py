"""Which host ports a container gets. Pure: the ports in use are given, and whether a port is free on the host is asked.

Rules (moby, ``portallocator`` and ``bridge/port_mapping_linux``): a binding without an address means every IPv4 and
every IPv6 address, with the same number on both; an unspecified address clashes with every specific one of its family;
a range gives its first free port; an empty port takes one of the ephemeral range, going round so that a port just given
up is not handed out again at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from sealane.engine.model import PortBinding
from sealane.errors import InvalidArgument
from sealane.values import ContainerPort, IPAddress, PublishedPort, Transport


@dataclass(frozen=True, slots=True)
class Taken:
    """A host port in use: by which container, for the error text."""

    port: PublishedPort
    holder: str


class PortTaken(Exception):
    """No port of what was asked is free: the address and port tried last, and the container that holds it."""

    def __init__(self, address: IPAddress, port: int, holder: str, *, by_host: bool, whole_range: bool) -> None:
        super().__init__(holder)
        self.address, self.port, self.holder = address, port, holder
        self.by_host, self.whole_range = by_host, whole_range


class AddressRefused(Exception):
    """The host does not let anybody bind that address: it is not its own."""

    def __init__(self, address: IPAddress, port: int, reason: str) -> None:
        super().__init__(reason)
        self.address, self.port, self.reason = address, port, reason


def clashes(first: IPAddress, second: IPAddress) -> bool:
    """True when two bindings of one port number cannot both exist."""
    if first.version != second.version:
        return False
    return first == second or first.is_unspecified or second.is_unspecified


def wanted_bindings(
    bindings: Iterable[PortBinding], exposed: Iterable[ContainerPort], publish_all: bool
) -> tuple[PortBinding, ...]:
    """The bindings to serve: those asked, each once, and with ``-P`` one for every exposed port that has none."""
    chosen = list(dict.fromkeys(bindings))
    if publish_all:
        bound = {binding.container_port for binding in chosen}
        chosen += [PortBinding(port) for port in exposed if port not in bound]
    return tuple(chosen)


def parse_range(text: str) -> tuple[int, int] | None:
    """``""`` → None (any port), ``"8080"`` → (8080, 8080), ``"8000-8010"``. Raises InvalidArgument."""
    if text in ("", "0"):
        return None
    first, dash, last = text.partition("-")
    try:
        start, end = int(first), int(last) if dash else int(first)
    except ValueError:
        raise InvalidArgument(f'invalid port specification: "{text}"') from None
    if not 1 <= start <= end <= 65535:
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return start, end


def binding_addresses(host_ip: str, default: IPAddress | None, ipv4: bool, ipv6: bool) -> tuple[IPAddress, ...]:
    """The host addresses of one binding: one, or every address of the families that the host has."""
    address = ip_address(host_ip) if host_ip else default
    if address is None or (address.is_unspecified and not host_ip):
        families: tuple[tuple[bool, IPAddress], ...] = ((ipv4, IPv4Address(0)), (ipv6, IPv6Address(0)))
        return tuple(unspecified for present, unspecified in families if present)
    return (address,)


class Allocator:
    """Hands out host ports for one container; a number, once chosen here, counts as taken."""

    def __init__(
        self,
        taken: Iterable[Taken],
        ephemeral: tuple[int, int],
        cursor: int,
        probe: Callable[[IPAddress, Transport, int], str],
    ) -> None:
        self._probe = probe
        self._taken: dict[tuple[Transport, int], list[Taken]] = {}
        self._ephemeral = ephemeral
        self.cursor = cursor
        for item in taken:
            self._note(item)

    def _note(self, item: Taken) -> None:
        key = (item.port.container_port.transport, item.port.host_port)
        self._taken.setdefault(key, []).append(item)

    def holder(self, address: IPAddress, transport: Transport, number: int) -> str | None:
        """The container that holds a port that clashes, or None."""
        for item in self._taken.get((transport, number), ()):
            if clashes(item.port.host_ip, address):
                return item.holder
        return None

    def allocate(self, binding: PortBinding, addresses: Sequence[IPAddress], owner: str) -> tuple[PublishedPort, ...]:
        """One port number on every one of *addresses*. Raises PortTaken, AddressRefused."""
        asked = parse_range(binding.host_port)
        first, last = asked or self._ephemeral
        count = last - first + 1
        offset = 0 if asked else (self.cursor - first) % count
        refusal: PortTaken | None = None
        for step in range(count):
            number = first + (offset + step) % count
            blocked = self._blocked(addresses, binding.container_port.transport, number)
            if blocked is None:
                if asked is None:
                    self.cursor = number + 1
                return self._take(binding, addresses, number, owner)
            address, holder, by_host = blocked
            refusal = PortTaken(address, number, holder, by_host=by_host, whole_range=first != last)
        assert refusal is not None
        raise refusal

    def _blocked(
        self, addresses: Sequence[IPAddress], transport: Transport, number: int
    ) -> tuple[IPAddress, str, bool] | None:
        """The address on which the number is not free, who holds it, and whether that is a program of the host."""
        for address in addresses:
            holder = self.holder(address, transport, number)
            if holder is not None:
                return address, holder, False
        for address in addresses:
            try:
                program = self._probe(address, transport, number)
            except OSError as error:
                raise AddressRefused(address, number, (error.strerror or str(error)).lower()) from error
            if program:
                return address, program, True
        return None

    def _take(
        self, binding: PortBinding, addresses: Sequence[IPAddress], number: int, owner: str
    ) -> tuple[PublishedPort, ...]:
        ports = tuple(PublishedPort(address, number, binding.container_port) for address in addresses)
        for port in ports:
            self._note(Taken(port, owner))
        return ports
