"""Netlink messages as bytes (golden ones of a little-endian machine): built, read back, and rubbish refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.linux.netlink import codec

PAYLOADS = st.binary(max_size=40)
KINDS = st.integers(0, 0x3FFF)


def test_a_message_as_bytes() -> None:
    """ip link show dev lo, as strace(1) shows it."""
    made = codec.message(18, codec.NLM_F_REQUEST, 7, bytes(16) + codec.text(3, "lo"))
    assert made.hex(" ", 4) == (
        "28000000 12000100 07000000 00000000 "  # length 40, RTM_GETLINK, request, sequence 7
        "00000000 00000000 00000000 00000000 "
        "07000300 6c6f0000"  # IFLA_IFNAME "lo"
    )


def test_attributes_as_bytes() -> None:
    assert codec.u32(4, 1500).hex() == "08000400dc050000"
    assert codec.u8(33, 1).hex() == "0500210001000000"
    assert codec.nested(18, codec.text(1, "veth")).hex() == "10001280090001007665746800000000"


@given(st.lists(st.tuples(KINDS, PAYLOADS)))
def test_attributes_come_back_in_order(items: list[tuple[int, bytes]]) -> None:
    data = b"".join(codec.attribute(kind, payload) for kind, payload in items)
    assert len(data) % 4 == 0
    assert codec.attribute_list(data) == items
    assert codec.attributes(data) == dict(items)
    assert codec.attribute_list(b"head" + data, 4) == items


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), PAYLOADS)))
def test_messages_come_back_in_order(items: list[tuple[int, int, int, bytes]]) -> None:
    padded = [codec.message(*item) + bytes(-len(item[3]) % 4) for item in items]
    found = list(codec.messages(b"".join(padded)))
    assert [(item.kind, item.flags, item.sequence, item.body) for item in found] == items
    assert list(codec.kinds(b"".join(padded))) == [item[0] for item in items]


@given(st.binary(max_size=200))
def test_rubbish_ends_in_value_errors_and_never_in_a_loop(data: bytes) -> None:
    for read in (codec.messages, codec.attribute_list, codec.kinds):
        try:
            list(read(data))
        except ValueError:
            pass


def test_a_truncated_message_is_refused() -> None:
    whole = codec.message(16, 0, 1, bytes(8))
    with pytest.raises(ValueError, match="length does not fit"):
        list(codec.messages(whole[:-1]))
    with pytest.raises(ValueError, match="shorter than its header"):
        list(codec.messages(whole + b"12345678"))


def error(number: int, flags: int = 0, tail: bytes = b"", asked: bytes = b"") -> codec.Message:
    header = struct.pack("=IHHII", 16 + len(asked), 16, 0, 1, 0)
    return codec.Message(codec.NLMSG_ERROR, flags, 1, struct.pack("=i", -number) + header + asked + tail)


def test_an_acknowledgement_is_no_error() -> None:
    assert codec.reply(error(0)) == codec.Reply(0, "")


def test_an_error_with_the_kernels_explanation() -> None:
    """The request comes back whole, or only its header where NETLINK_CAP_ACK is on."""
    words = codec.text(1, "Device does not exist")
    capped = error(19, codec.NLM_F_ACK_TLVS | codec.NLM_F_CAPPED, words)
    assert codec.reply(capped) == codec.Reply(19, "Device does not exist")
    whole = error(19, codec.NLM_F_ACK_TLVS, words, asked=bytes(7) + b"\0")
    assert codec.reply(whole) == codec.Reply(19, "Device does not exist")
    assert codec.reply(error(19)) == codec.Reply(19, "")


@given(st.integers(0, 2**32 - 1), st.text("abc.-é", max_size=20))
def test_numbers_and_texts(number: int, words: str) -> None:
    assert codec.to_int(codec.attributes(codec.u32(1, number))[1]) == number
    assert codec.to_text(codec.attributes(codec.text(1, words))[1]) == words
