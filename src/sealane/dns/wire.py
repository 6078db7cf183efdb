"""The DNS wire format, as much as a resolver for containers needs: read a question, write a reply, read a reply.

Pure, and safe with any bytes: a message that cannot be read raises ``Unanswerable`` and nothing else. Sources: RFC 1035
(format), RFC 6891 (EDNS), RFC 3225 (DO), RFC 4343 (case), RFC 3596 (AAAA, ip6.arpa).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from sealane.values import IPAddress

HEADER: Final = struct.Struct("!6H")
_FIXED: Final = struct.Struct("!HHIH")  # type, class, TTL, rdata length
_QTAIL: Final = struct.Struct("!HH")

MAX_UDP_PLAIN: Final = 512  # without EDNS, RFC 1035 section 4.2.1
MAX_TCP: Final = 65535
OUR_UDP_SIZE: Final = 4096  # what we tell clients that we accept; the path is a loopback device
MAX_NAME: Final = 255
MAX_LABEL: Final = 63

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
OPCODE_MASK: Final = 0x7800
DO: Final = 0x8000


class Type(enum.IntEnum):
    """Record types that are more than a number to us."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    OPT = 41
    SVCB = 64
    HTTPS = 65
    ANY = 255


class Class(enum.IntEnum):
    """Record classes."""

    IN = 1
    CH = 3
    ANY = 255


class Rcode(enum.IntEnum):
    """Response codes; BADVERS needs EDNS to be said (RFC 6891 section 6.1.3)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Unanswerable(Exception):
    """A message that is no question for us. ``rcode`` is what to say about it; None: say nothing at all."""

    def __init__(self, rcode: Rcode | None) -> None:
        super().__init__(rcode)
        self.rcode = rcode


@dataclass(frozen=True, slots=True)
class Edns:
    """The OPT record of a question. ``options`` are not interpreted."""

    udp_size: int
    version: int
    dnssec_ok: bool
    options: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """One question. ``name`` is as sent, without the closing dot; ``question`` are the raw bytes of its section."""

    id: int
    flags: int
    name: str
    qtype: int
    qclass: int
    question: bytes
    edns: Edns | None

    @property
    def udp_limit(self) -> int:
        """The largest UDP reply that the asker takes, in bytes."""
        return max(MAX_UDP_PLAIN, self.edns.udp_size) if self.edns else MAX_UDP_PLAIN


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a reply that was read. ``rdata`` is raw; names in it are not expanded."""

    name: str
    type: int
    rclass: int
    ttl: int
    rdata: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, read for diagnosis and tests."""

    id: int
    flags: int
    questions: tuple[tuple[str, int, int], ...]
    answers: tuple[Record, ...]
    authority: tuple[Record, ...]
    additional: tuple[Record, ...]

    @property
    def rcode(self) -> int:
        """The four bits of the header; extended bits of an OPT record are not added."""
        return self.flags & 0xF


def parse_query(data: bytes) -> Query:
    """Read a question. Raises Unanswerable for everything else, with the code that the sender should get."""
    if len(data) < HEADER.size:
        raise Unanswerable(None)
    ident, flags, questions, answers, authority, additional = HEADER.unpack_from(data)
    if flags & QR:
        raise Unanswerable(None)  # answering answers would let two resolvers talk forever
    if flags & OPCODE_MASK:
        raise Unanswerable(Rcode.NOTIMP)
    if questions != 1:
        raise Unanswerable(Rcode.FORMERR)
    try:
        name, end = _read_name(data, HEADER.size)
        qtype, qclass = _QTAIL.unpack_from(data, end)
        end += _QTAIL.size
        question = data[HEADER.size : end]
        edns = _read_edns(data, end, answers + authority, additional) if answers + authority + additional else None
    except (struct.error, IndexError):
        raise Unanswerable(Rcode.FORMERR) from None
    if qtype == Type.OPT:
        raise Unanswerable(Rcode.FORMERR)
    return Query(ident, flags, name, qtype, qclass, question, edns)


def _read_edns(data: bytes, at: int, before: int, additional: int) -> Edns | None:
    """The OPT record among the additional ones; records before them are stepped over. Two of them are an error."""
    found: Edns | None = None
    for index in range(before + additional):
        name, at = _read_name(data, at)
        rtype, rclass, ttl, length = _FIXED.unpack_from(data, at)
        at += _FIXED.size + length
        if at > len(data):
            raise IndexError
        if rtype == Type.OPT and index >= before:
            if found is not None or name:
                raise IndexError
            found = Edns(rclass, ttl >> 16 & 0xFF, bool(ttl & DO), data[at - length : at])
    return found


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    """The name at *at* and where the bytes after it begin. Raises IndexError or struct.error when it is not one."""
    labels: list[bytes] = []
    size = 1
    end = 0
    limit = at  # every pointer must lead further back than the one before: no loops
    while length := data[at]:
        if length < 0x40:
            label = data[at + 1 : at + 1 + length]
            if len(label) < length:
                raise IndexError
            labels.append(label)
            size += length + 1
            if size > MAX_NAME:
                raise IndexError
            at += length + 1
        elif length >= 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1]
            end = end or at + 2
            if target >= limit or target < HEADER.size:
                raise IndexError
            at = limit = target
        else:
            raise IndexError
    return _presentation(labels), end or at + 1


def _presentation(labels: list[bytes]) -> str:
    """Labels as one dotted name. A dot inside a label is escaped, so that it equals no name of ours."""
    return b".".join(label.replace(b".", b"\\.") for label in labels).decode("utf-8", "surrogateescape")


def encode_name(name: str) -> bytes:
    """*name* as labels, without compression. Raises ValueError when it cannot stand in a message."""
    out = bytearray()
    for label in name.removesuffix(".").encode("utf-8", "surrogateescape").split(b".") if name.strip(".") else ():
        if not 0 < len(label) <= MAX_LABEL:
            raise ValueError(f"{name!r} is no domain name: a label has 1 to {MAX_LABEL} bytes")
        out.append(len(label))
        out += label
    out.append(0)
    if len(out) > MAX_NAME:
        raise ValueError(f"{name!r} is no domain name: it has more than {MAX_NAME} bytes")
    return bytes(out)


def build_query(ident: int, name: str, qtype: int, *, udp_size: int | None = None, flags: int = RD) -> bytes:
    """A question as a client sends it; with an OPT record when *udp_size* is given."""
    opt = b"" if udp_size is None else b"\0" + _FIXED.pack(Type.OPT, udp_size, 0, 0)
    question = encode_name(name) + _QTAIL.pack(qtype, Class.IN)
    return HEADER.pack(ident, flags, 1, 0, 0, 1 if opt else 0) + question + opt


def build_reply(query: Query, rcode: Rcode, rdatas: Sequence[bytes], rtype: int, ttl: int, limit: int) -> bytes:
    """The reply to *query*: one record of *rtype* for each of *rdatas*, all under the name that was asked.

    What does not fit into *limit* bytes is left out and TC is set, so that the asker comes again over TCP.
    """
    opt = b""
    if query.edns is not None:
        extended = (rcode >> 4) << 24 | (DO if query.edns.dnssec_ok else 0)
        opt = b"\0" + _FIXED.pack(Type.OPT, OUR_UDP_SIZE, extended, 0)
    records = [b"\xc0\x0c" + _FIXED.pack(rtype, Class.IN, ttl, len(rdata)) + rdata for rdata in rdatas]
    room = limit - HEADER.size - len(query.question) - len(opt)
    fitting = 0
    while fitting < len(records) and len(records[fitting]) <= room:
        room -= len(records[fitting])
        fitting += 1
    flags = QR | RA | (query.flags & (RD | CD)) | (rcode & 0xF) | (TC if fitting < len(records) else 0)
    header = HEADER.pack(query.id, flags, 1, fitting, 0, 1 if opt else 0)
    return b"".join((header, query.question, *records[:fitting], opt))


def build_refusal(data: bytes, rcode: Rcode) -> bytes:
    """A bare header that tells the sender of the unreadable message *data* (12 bytes or more) what was wrong."""
    ident, flags = struct.unpack_from("!HH", data)
    return HEADER.pack(ident, QR | RA | (flags & (OPCODE_MASK | RD)) | (rcode & 0xF), 0, 0, 0, 0)


def parse_message(data: bytes) -> Message:
    """Read a whole message. Raises Unanswerable(FORMERR) when it is not well formed."""
    try:
        ident, flags, *counts = HEADER.unpack_from(data)
        at = HEADER.size
        questions = []
        for _ in range(counts[0]):
            name, at = _read_name(data, at)
            questions.append((name, *_QTAIL.unpack_from(data, at)))
            at += _QTAIL.size
        sections: list[tuple[Record, ...]] = []
        for count in counts[1:]:
            records = []
            for _ in range(count):
                name, at = _read_name(data, at)
                rtype, rclass, ttl, length = _FIXED.unpack_from(data, at)
                at += _FIXED.size + length
                if at > len(data):
                    raise IndexError
                records.append(Record(name, rtype, rclass, ttl, data[at - length : at]))
            sections.append(tuple(records))
    except (struct.error, IndexError):
        raise Unanswerable(Rcode.FORMERR) from None
    return Message(ident, flags, tuple(questions), sections[0], sections[1], sections[2])


def reverse_name(address: IPAddress) -> str:
    """The name under which *address* is looked up in reverse."""
    return address.reverse_pointer


def reverse_address(name: str) -> IPAddress | None:
    """The address that a name in in-addr.arpa or ip6.arpa stands for; None when it stands for none, or for a range."""
    labels = name.lower().split(".")
    if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
        octets = labels[3::-1]
        if all(octet.isascii() and octet.isdigit() and len(octet) <= 3 and int(octet) < 256 for octet in octets):
            return IPv4Address(bytes(int(octet) for octet in octets))
    if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
        nibbles = labels[31::-1]
        if all(len(nibble) == 1 and nibble in "0123456789abcdef" for nibble in nibbles):
            return IPv6Address(int("".join(nibbles), 16))
    return None
