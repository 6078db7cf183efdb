"""What to say to a question: a pure decision on the table of names, in the eyes of one container.

Names of ours are never asked of anybody else, whatever type is asked: a name that exists has no TXT or HTTPS record
here (NOERROR, empty), and a reverse lookup inside our own subnets ends here (NXDOMAIN when nobody has the address).
Everything else is forwarded; whether it may leave at all is decided in ``forward``.

The types of ``network.names`` go through this module to the rest of ``dns``: it is the only one that knows the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from sealane.dns.wire import Class, Query, Rcode, Type, encode_name, reverse_address
from sealane.network.names import ContainerView, Directory, EndpointNames, Link, NetworkZone, Upstream
from sealane.values import IPAddress

__all__ = [
    "Answer",
    "ContainerView",
    "Directory",
    "EndpointNames",
    "Link",
    "NetworkZone",
    "Upstream",
    "decide",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply of our own: records of one type, in no particular order."""

    rcode: Rcode = Rcode.NOERROR
    rtype: int = Type.A
    rdatas: tuple[bytes, ...] = ()


def decide(directory: Directory, view: ContainerView, query: Query) -> Answer | None:
    """The answer to *query* in the eyes of *view*; None when it is not ours to answer."""
    if query.edns is not None and query.edns.version != 0:
        return Answer(Rcode.BADVERS)
    address = reverse_address(query.name)
    if address is not None:
        return _reverse(directory, view, query, address)
    found = directory.find(view, query.name)
    if found is not None:
        return _forward_lookup(query, found)
    if view.ndots is not None and query.qtype in (Type.A, Type.AAAA) and query.name and "." not in query.name:
        return Answer()
    return None


def _forward_lookup(query: Query, found: tuple[EndpointNames, ...]) -> Answer:
    if query.qclass not in (Class.IN, Class.ANY):
        return Answer()
    addresses: dict[bytes, None] = {}
    if query.qtype == Type.A:
        addresses = {address.packed: None for names in found for address in names.ipv4}
    elif query.qtype == Type.AAAA:
        addresses = {address.packed: None for names in found for address in names.ipv6}
    return Answer(Rcode.NOERROR, query.qtype, tuple(addresses))


def _reverse(directory: Directory, view: ContainerView, query: Query, address: IPAddress) -> Answer | None:
    target = directory.pointer(view, address)
    if target is None:
        return Answer(Rcode.NXDOMAIN) if directory.owns(address) else None
    if query.qtype != Type.PTR:
        return Answer()
    try:
        return Answer(Rcode.NOERROR, Type.PTR, (encode_name(target),))
    except ValueError:  # a container name of more than 63 bytes exists, but cannot be said in DNS
        return Answer(Rcode.NXDOMAIN)
