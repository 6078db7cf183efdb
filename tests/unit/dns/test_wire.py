"""The wire format: what we write can be read, and no bytes whatever make the reader fail in another way."""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.dns import wire
from sealane.dns.wire import Rcode, Type, Unanswerable

labels = st.text(alphabet="abcXYZ019-_é", min_size=1, max_size=20)
domain_names = st.lists(labels, min_size=1, max_size=5).map(".".join)
rdata_lists = st.lists(st.binary(min_size=4, max_size=4), max_size=60)


@given(domain_names, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.none() | st.integers(0, 0xFFFF))
def test_a_query_that_we_build_is_read_back(name: str, ident: int, qtype: int, size: int | None) -> None:
    data = wire.build_query(ident, name, qtype, udp_size=size)
    if qtype == Type.OPT:
        with pytest.raises(Unanswerable):
            wire.parse_query(data)
        return
    query = wire.parse_query(data)
    assert (query.id, query.name, query.qtype, query.qclass) == (ident, name, qtype, 1)
    assert (query.edns.udp_size if query.edns else None) == size
    assert query.udp_limit == max(512, size or 0)


@given(domain_names, rdata_lists, st.none() | st.integers(512, 1500), st.integers(100, 1500))
def test_a_reply_fits_its_limit_and_says_when_it_is_cut(
    name: str, rdatas: list[bytes], size: int | None, limit: int
) -> None:
    query = wire.parse_query(wire.build_query(7, name, Type.A, udp_size=size))
    limit = max(limit, 12 + len(query.question) + 11)
    data = wire.build_reply(query, Rcode.NOERROR, rdatas, Type.A, 1, limit)
    reply = wire.parse_message(data)
    assert len(data) <= limit
    assert [record.rdata for record in reply.answers] == rdatas[: len(reply.answers)]
    assert bool(reply.flags & wire.TC) == (len(reply.answers) < len(rdatas))
    assert all((record.name, record.ttl) == (name, 1) for record in reply.answers)
    assert reply.questions == ((name, Type.A, 1),)
    assert [record.type for record in reply.additional] == ([Type.OPT] if size is not None else [])


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_read_and_nothing_else(data: bytes) -> None:
    try:
        query = wire.parse_query(data)
    except Unanswerable as refusal:
        reply = wire.build_refusal(data, refusal.rcode) if refusal.rcode is not None else None
    else:
        reply = wire.build_reply(query, Rcode.NOERROR, [b"1234"], Type.A, 0, 512)
    if reply is not None:
        assert wire.parse_message(reply).id == int.from_bytes(data[:2])


@given(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3), st.binary(max_size=80))
def test_garbage_behind_a_header_is_refused_or_read(qd: int, an: int, ns: int, ar: int, tail: bytes) -> None:
    data = struct.pack("!6H", 1, 0, qd, an, ns, ar) + tail
    for reader in (wire.parse_query, wire.parse_message):
        try:
            reader(data)
        except Unanswerable:
            pass


@given(st.data())
def test_a_damaged_query_is_refused_or_read(data: st.DataObject) -> None:
    sound = bytearray(wire.build_query(1, "srv1.my-network", Type.A, udp_size=1232))
    at = data.draw(st.integers(0, len(sound) - 1))
    sound[at] = data.draw(st.integers(0, 255))
    try:
        wire.parse_query(bytes(sound[: data.draw(st.integers(0, len(sound)))]))
    except Unanswerable:
        pass


def test_pointers_that_lead_in_circles_end() -> None:
    for pointer in (b"\xc0\x0c", b"\xc0\x0e", b"\x01a\xc0\x0c", b"\xc0\x00", b"\xff\xff", b"\xc0"):
        with pytest.raises(Unanswerable) as refusal:
            wire.parse_query(struct.pack("!6H", 1, 0, 1, 0, 0, 0) + pointer + b"\0\1\0\1")
        assert refusal.value.rcode == Rcode.FORMERR


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (b"", None),
        (b"\0" * 11, None),
        (struct.pack("!6H", 1, wire.QR, 1, 0, 0, 0) + b"\0\0\1\0\1", None),
        (struct.pack("!6H", 1, 4 << 11, 1, 0, 0, 0) + b"\0\0\1\0\1", Rcode.NOTIMP),
        (struct.pack("!6H", 1, 0, 0, 0, 0, 0), Rcode.FORMERR),
        (struct.pack("!6H", 1, 0, 2, 0, 0, 0) + b"\0\0\1\0\1" * 2, Rcode.FORMERR),
        (struct.pack("!6H", 1, 0, 1, 0, 0, 2) + b"\0\0\1\0\1" + b"\0\0\x29\x04\xd0\0\0\0\0\0\0" * 2, Rcode.FORMERR),
    ],
)
def test_what_is_no_question_for_us(data: bytes, rcode: Rcode | None) -> None:
    with pytest.raises(Unanswerable) as refusal:
        wire.parse_query(data)
    assert refusal.value.rcode == rcode


def test_flags_of_a_reply() -> None:
    query = wire.parse_query(wire.build_query(9, "x", Type.A, flags=wire.RD | wire.CD | wire.AD))
    flags = wire.parse_message(wire.build_reply(query, Rcode.NXDOMAIN, [], Type.A, 0, 512)).flags
    assert flags == wire.QR | wire.RD | wire.RA | wire.CD | Rcode.NXDOMAIN


def test_names_that_cannot_be_said() -> None:
    assert wire.encode_name("") == wire.encode_name(".") == b"\0"
    assert wire.encode_name("a.bc.") == b"\1a\2bc\0"
    for bad in ("a..b", "x" * 64, ".".join(["x" * 60] * 5), ".a"):
        with pytest.raises(ValueError, match="is no domain name"):
            wire.encode_name(bad)


def test_a_dot_inside_a_label_is_no_dot() -> None:
    raw = struct.pack("!6H", 1, 0, 1, 0, 0, 0) + b"\4a.bc\0\0\1\0\1"
    assert wire.parse_query(raw).name == "a\\.bc"


@given(st.ip_addresses())
def test_reverse_names(address: IPv4Address | IPv6Address) -> None:
    assert wire.reverse_address(wire.reverse_name(address).upper()) == address


def test_names_that_are_no_reverse_of_one_address() -> None:
    for name in ("in-addr.arpa", "18.172.in-addr.arpa", "256.0.0.1.in-addr.arpa", "1.2.3.x.in-addr.arpa", "²" * 3):
        assert wire.reverse_address(name) is None
    assert wire.reverse_address(ip_address("fd00::1").reverse_pointer[2:]) is None
