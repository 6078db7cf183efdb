"""Connection tracking messages: an entry as the kernel dumped it here, and the request that deletes it."""

from __future__ import annotations

from ipaddress import ip_address

from sealane.linux.netlink import ctnetlink
from sealane.linux.netlink.codec import attribute, attributes, nested
from sealane.linux.netlink.ctnetlink import Flow, Tuple, parse_flow


def entry(*ends: str, protocol: int = 17, ports: tuple[int, ...] = (40000, 53, 53, 40000)) -> bytes:
    """source, destination, and of the answers source, destination."""
    version = ip_address(ends[0]).version
    first = 1 if version == 4 else 3  # CTA_IP_V4_SRC, CTA_IP_V6_SRC

    def tuple_(kind: int, source: str, destination: str, source_port: int, destination_port: int) -> bytes:
        address = nested(
            1,
            attribute(first, ip_address(source).packed),
            attribute(first + 1, ip_address(destination).packed),
        )
        numbers = nested(
            2,
            attribute(1, bytes((protocol,))),
            attribute(2, source_port.to_bytes(2, "big")),
            attribute(3, destination_port.to_bytes(2, "big")),
        )
        return nested(kind, address, numbers)

    body = bytes((2 if version == 4 else 10, 0, 0, 0)) + tuple_(1, *ends[:2], *ports[:2])
    return body + tuple_(2, *ends[2:], *ports[2:]) + attribute(12, b"\1\2\3\4") + attribute(3, bytes(4))


def test_an_entry_is_read() -> None:
    found = parse_flow(entry("198.51.100.9", "192.0.2.1", "10.1.0.2", "198.51.100.9"))
    assert found.original == Tuple(ip_address("198.51.100.9"), ip_address("192.0.2.1"), 17, 40000, 53)
    assert found.reply == Tuple(ip_address("10.1.0.2"), ip_address("198.51.100.9"), 17, 53, 40000)
    six = parse_flow(entry("2001:db8::9", "2001:db8::1", "fd00::2", "2001:db8::9", protocol=6))
    assert (str(six.reply.source), six.original.protocol) == ("fd00::2", 6)


def test_an_entry_without_ports() -> None:
    body = bytes((2, 0, 0, 0)) + b"".join(
        nested(
            kind,
            nested(1, attribute(1, bytes((10, 0, 0, 1))), attribute(2, bytes((10, 0, 0, 2)))),
            nested(2, attribute(1, b"\1")),
        )
        for kind in (1, 2)
    )
    assert parse_flow(body).original == Tuple(ip_address("10.0.0.1"), ip_address("10.0.0.2"), 1, 0, 0)


def test_the_request_to_delete_names_just_that_entry() -> None:
    whole = entry("198.51.100.9", "192.0.2.1", "10.1.0.2", "198.51.100.9")
    request = ctnetlink.del_flow(parse_flow(whole))
    asked, seen = attributes(request.body, 4), attributes(whole, 4)
    assert request.kind == ctnetlink.IPCTNL_MSG_CT_DELETE
    assert set(asked) == {1, 12}  # the first direction and the id
    assert (asked[1], asked[12]) == (seen[1], seen[12])


def test_needles_are_found_in_entries() -> None:
    whole = entry("198.51.100.9", "192.0.2.1", "10.1.0.2", "198.51.100.9")
    assert ctnetlink.address_needle(ip_address("10.1.0.2")) in whole
    assert ctnetlink.address_needle(ip_address("10.1.0.3")) not in whole
    assert ctnetlink.destination_port_needle(53) in whole
    assert ctnetlink.destination_port_needle(54) not in whole


def test_counting() -> None:
    assert ctnetlink.parse_stats(bytes(4) + attribute(1, (258).to_bytes(4, "big"))) == 258
    assert ctnetlink.parse_stats(bytes(4)) == 0


def test_flows_are_values() -> None:
    whole = entry("198.51.100.9", "192.0.2.1", "10.1.0.2", "198.51.100.9")
    assert parse_flow(whole) == parse_flow(whole)
    assert isinstance(hash(parse_flow(whole)), int)
    assert isinstance(parse_flow(whole), Flow)
