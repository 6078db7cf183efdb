"""Netlink messages and attributes as bytes (netlink(7), linux/netlink.h). Pure.

A message is a 16-byte header (length, type, flags, sequence, port) and a body; a body is a fixed part and attributes,
each a 4-byte header (length, type) and a payload padded to four bytes. Numbers are in the machine's byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3

NLM_F_REQUEST: Final = 0x001
NLM_F_MULTI: Final = 0x002
NLM_F_ACK: Final = 0x004
NLM_F_DUMP_INTR: Final = 0x010
NLM_F_CAPPED: Final = 0x100
NLM_F_ACK_TLVS: Final = 0x200
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_DUMP: Final = 0x300

NLA_F_NESTED: Final = 0x8000
_NLA_TYPE_MASK: Final = 0x3FFF
_NLMSGERR_ATTR_MSG: Final = 1

_HEADER: Final = struct.Struct("=IHHII")
_KIND: Final = struct.Struct("=IH")
_ATTRIBUTE: Final = struct.Struct("=HH")


@dataclass(frozen=True, slots=True)
class Message:
    """One message as received. ``body`` is what follows the header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An NLMSG_ERROR: ``errno`` 0 is an acknowledgement; ``text`` is the kernel's extended explanation, if any."""

    errno: int
    text: str


class Request(NamedTuple):
    """A message that has no sequence number yet. ``about`` names the object for error texts."""

    kind: int
    flags: int
    body: bytes
    about: str


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A request, ready to be sent."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a NUL-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "little" if _LITTLE else "big"))


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, bytes((value,)))


_LITTLE: Final = struct.pack("=H", 1) == b"\1\0"


def messages(data: bytes) -> Iterator[Message]:
    """Split what one ``recv`` gave. A truncated tail ends the iteration with ValueError."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise ValueError("netlink: message shorter than its header")
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            raise ValueError("netlink: message length does not fit")
        yield Message(kind, flags, sequence, data[offset + _HEADER.size : offset + length])
        offset += (length + 3) & ~3


def kinds(data: bytes) -> Iterator[int]:
    """The types of the messages in what one ``recv`` gave, by their headers alone."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind = _KIND.unpack_from(data, offset)
        yield kind
        offset += (max(length, _HEADER.size) + 3) & ~3


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from *offset* on, by type (nesting bits removed); a repeated type keeps the last."""
    found: dict[int, bytes] = {}
    for kind, payload in attribute_list(data, offset):
        found[kind] = payload
    return found


def attribute_list(data: bytes, offset: int = 0) -> list[tuple[int, bytes]]:
    """The attributes from *offset* on, in order."""
    found: list[tuple[int, bytes]] = []
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            raise ValueError("netlink: attribute length does not fit")
        found.append((kind & _NLA_TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]))
        offset += (length + 3) & ~3
    return found


def reply(received: Message) -> Reply:
    """Read an NLMSG_ERROR (or the NLMSG_DONE that ends a dump)."""
    if len(received.body) < 4:
        return Reply(0, "")
    number = -int.from_bytes(received.body[:4], "little" if _LITTLE else "big", signed=True)
    explanation = ""
    if received.kind == NLMSG_ERROR and received.flags & NLM_F_ACK_TLVS and len(received.body) >= 20:
        (asked,) = struct.unpack_from("=I", received.body, 4)
        start = 20 if received.flags & NLM_F_CAPPED else 4 + ((asked + 3) & ~3)
        told = attributes(received.body, start).get(_NLMSGERR_ATTR_MSG, b"")
        explanation = told.rstrip(b"\0").decode(errors="replace")
    return Reply(number, explanation)


def to_int(payload: bytes) -> int:
    """A number attribute's value, whatever its width."""
    return int.from_bytes(payload, "little" if _LITTLE else "big")


def to_text(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode(errors="replace")
