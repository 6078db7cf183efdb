"""The small values that everything shares."""

from __future__ import annotations

import copy
import pickle
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.values import (
    ContainerPort,
    IfName,
    MacAddress,
    PublishedPort,
    Transport,
    parse_digest,
    short,
)


def test_a_short_id() -> None:
    assert short("0123456789abcdef") == "0123456789ab"
    assert short("sha256:0123456789abcdef") == "0123456789ab"
    assert short("abc") == "abc"


def test_a_digest() -> None:
    good = "sha256:" + "0123456789abcdef" * 4

    assert parse_digest(good) == good


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha512:" + "0" * 64, "sha256:" + "G" * 64,
     "sha256:" + "A" * 64, "sha256:" + "0" * 64 + "\n", " sha256:" + "0" * 64],
)  # fmt: skip
def test_a_bad_digest_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid digest"):
        parse_digest(text)


@pytest.mark.parametrize("text", ["02:42:ac:11:00:02", "02-42-AC-11-00-02", "02:42:AC:11:00:02"])
def test_a_mac_address(text: str) -> None:
    address = MacAddress(text)

    assert str(address) == "02:42:ac:11:00:02"
    assert address == MacAddress(bytes.fromhex("0242ac110002"))
    assert hash(address) == hash(MacAddress("02:42:ac:11:00:02"))
    assert address != "02:42:ac:11:00:02"


@pytest.mark.parametrize(
    "value",
    ["", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "0242ac110002", "02:42:ac:11:00:0g", "2:42:ac:11:0:2",
     "02:42:ac:11:00:02\n", b"", b"12345", b"1234567"],
)  # fmt: skip
def test_a_bad_mac_address_is_named(value: str | bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid MAC address"):
        MacAddress(value)


@given(st.binary(min_size=6, max_size=6))
def test_a_mac_address_reads_what_it_prints(octets: bytes) -> None:
    address = MacAddress(octets)

    assert MacAddress(str(address)) == address
    assert pickle.loads(pickle.dumps(address)) == copy.copy(address) == address


def test_a_mac_address_does_not_change() -> None:
    with pytest.raises(AttributeError):
        MacAddress("02:42:ac:11:00:02").octets = b"123456"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["eth0", "a", "x" * 15, "sl-0123456789ab", "é" * 7, "eth0.10"])
def test_an_interface_name(name: str) -> None:
    assert IfName(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 16, "é" * 8, "a b", "a/b", "a:b", "a\n", "\t"])
def test_a_bad_interface_name_is_named(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid interface name"):
        IfName(name)


@pytest.mark.parametrize(
    ("text", "number", "transport"),
    [
        ("80", 80, Transport.TCP),
        ("80/tcp", 80, Transport.TCP),
        ("53/UDP", 53, Transport.UDP),
        ("65535/sctp", 65535, Transport.SCTP),
        ("1/", 1, Transport.TCP),
    ],
)
def test_a_container_port(text: str, number: int, transport: Transport) -> None:
    port = ContainerPort.parse(text)

    assert (port.number, port.transport) == (number, transport)
    assert ContainerPort.parse(str(port)) == port


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "x", "80/icmp", "80/tcp/udp", "8 0", "/tcp", "80.0"])
def test_a_bad_container_port_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid port specification"):
        ContainerPort.parse(text)


def test_container_ports_have_an_order() -> None:
    texts = ["443/tcp", "53/udp", "53/tcp", "80/tcp"]

    assert [str(port) for port in sorted(map(ContainerPort.parse, texts))] == ["53/tcp", "53/udp", "80/tcp", "443/tcp"]


@pytest.mark.parametrize(
    ("address", "text"),
    [("0.0.0.0", "0.0.0.0:8080->80/tcp"), ("::", "[::]:8080->80/tcp"), ("127.0.0.1", "127.0.0.1:8080->80/tcp")],
)
def test_a_published_port(address: str, text: str) -> None:
    assert str(PublishedPort(ip_address(address), 8080, ContainerPort(80))) == text
