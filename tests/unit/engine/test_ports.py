"""Which host ports a container gets."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.engine.model import PortBinding
from sealane.engine.ports import (
    AddressRefused,
    Allocator,
    PortTaken,
    Taken,
    binding_addresses,
    clashes,
    parse_range,
    wanted_bindings,
)
from sealane.errors import InvalidArgument
from sealane.values import ContainerPort, IPAddress, PublishedPort, Transport

HTTP = ContainerPort(80)
ANY4, ANY6 = IPv4Address(0), IPv6Address(0)
EVERYWHERE = (ANY4, ANY6)
EPHEMERAL = (32768, 32771)


def free(address: IPAddress, transport: Transport, port: int) -> str:
    return ""


def taken(text: str, holder: str = "web") -> Taken:
    """``tcp 0.0.0.0 8080``."""
    transport, address, number = text.split()
    return Taken(PublishedPort(ip_address(address), int(number), ContainerPort(80, Transport(transport))), holder)


def allocator(*held: str, cursor: int = 0) -> Allocator:
    return Allocator([taken(text) for text in held], EPHEMERAL, cursor, free)


def numbers(ports: Sequence[PublishedPort]) -> set[int]:
    return {port.host_port for port in ports}


def test_one_number_on_every_address() -> None:
    ports = allocator().allocate(PortBinding(HTTP, "", "8080"), EVERYWHERE, "box")

    assert [str(port) for port in ports] == ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]


@pytest.mark.parametrize(
    ("held", "asked", "free_there"),
    [
        ("tcp 0.0.0.0 8080", "0.0.0.0", False),
        ("tcp 0.0.0.0 8080", "127.0.0.1", False),  # the unspecified address is every address
        ("tcp 127.0.0.1 8080", "0.0.0.0", False),
        ("tcp 127.0.0.1 8080", "127.0.0.1", False),
        ("tcp 127.0.0.1 8080", "127.0.0.2", True),
        ("tcp 127.0.0.1 8080", "::", True),  # of its family
        ("tcp :: 8080", "::1", False),
        ("udp 0.0.0.0 8080", "0.0.0.0", True),
        ("tcp 0.0.0.0 8081", "0.0.0.0", True),
    ],
)
def test_what_is_in_the_way(held: str, asked: str, free_there: bool) -> None:
    binding = PortBinding(HTTP, asked, "8080")
    if free_there:
        assert numbers(allocator(held).allocate(binding, (ip_address(asked),), "box")) == {8080}
        return
    with pytest.raises(PortTaken) as caught:
        allocator(held).allocate(binding, (ip_address(asked),), "box")
    refusal = caught.value
    assert (str(refusal.address), refusal.port, refusal.holder) == (asked, 8080, "web")
    assert not refusal.by_host
    assert not refusal.whole_range


def test_a_range_gives_its_first_free_number() -> None:
    ports = allocator("tcp 0.0.0.0 8000", "tcp :: 8001").allocate(PortBinding(HTTP, "", "8000-8003"), EVERYWHERE, "box")

    assert numbers(ports) == {8002}


def test_a_full_range_says_so() -> None:
    with pytest.raises(PortTaken) as caught:
        allocator("tcp 0.0.0.0 8000", "tcp 0.0.0.0 8001").allocate(PortBinding(HTTP, "", "8000-8001"), EVERYWHERE, "x")

    assert caught.value.whole_range


def test_free_numbers_go_round() -> None:
    """A port that was just given up is not handed out at once: an old client might still call."""
    book = allocator("tcp 0.0.0.0 32769")
    chosen = [book.allocate(PortBinding(HTTP), EVERYWHERE, "box")[0].host_port for _ in range(3)]

    assert chosen == [32768, 32770, 32771]
    again = allocator(cursor=book.cursor)
    assert numbers(again.allocate(PortBinding(HTTP), EVERYWHERE, "box")) == {32768}


def test_a_number_chosen_here_is_taken_for_the_next_binding() -> None:
    book = allocator()
    book.allocate(PortBinding(HTTP, "", "8080"), EVERYWHERE, "box")

    with pytest.raises(PortTaken) as caught:
        book.allocate(PortBinding(ContainerPort(81), "127.0.0.1", "8080"), (ip_address("127.0.0.1"),), "box")
    assert caught.value.holder == "box"


def test_a_program_of_the_host_is_named() -> None:
    def nginx(address: IPAddress, transport: Transport, port: int) -> str:
        return "nginx, pid 9" if (str(address), port) == ("::", 8080) else ""

    with pytest.raises(PortTaken) as caught:
        Allocator([], EPHEMERAL, 0, nginx).allocate(PortBinding(HTTP, "", "8080"), EVERYWHERE, "box")
    assert (caught.value.holder, caught.value.by_host, caught.value.address) == ("nginx, pid 9", True, ANY6)


def test_an_address_that_is_not_the_hosts_is_asked_for_once() -> None:
    asked = []

    def foreign(address: IPAddress, transport: Transport, port: int) -> str:
        asked.append(port)
        raise OSError(99, "Cannot assign requested address")

    with pytest.raises(AddressRefused) as caught:
        Allocator([], EPHEMERAL, 0, foreign).allocate(PortBinding(HTTP), (ip_address("203.0.113.7"),), "box")
    assert (caught.value.reason, asked) == ("cannot assign requested address", [32768])


def test_containers_are_asked_before_the_host() -> None:
    """The relay holds the sockets of published ports: asked first, the host would name the relay."""

    def relay(address: IPAddress, transport: Transport, port: int) -> str:
        return "sealane-relay, pid 5"

    with pytest.raises(PortTaken) as caught:
        Allocator([taken("tcp :: 8080")], EPHEMERAL, 0, relay).allocate(
            PortBinding(HTTP, "", "8080"), EVERYWHERE, "box"
        )
    assert caught.value.holder == "web"


@pytest.mark.parametrize(
    ("text", "meant"),
    [("", None), ("0", None), ("1", (1, 1)), ("65535", (65535, 65535)), ("8000-8010", (8000, 8010)), ("5-5", (5, 5))],
)
def test_a_range_as_text(text: str, meant: tuple[int, int] | None) -> None:
    assert parse_range(text) == meant


@pytest.mark.parametrize("text", ["x", "65536", "-1", "8010-8000", "0-5", "1-", "-", "1-2-3", "1.5"])
def test_a_bad_range_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f'^invalid port specification: "{text}"$'):
        parse_range(text)


@pytest.mark.parametrize(
    ("host_ip", "default", "ipv6", "addresses"),
    [
        ("", None, True, "0.0.0.0 ::"),
        ("", None, False, "0.0.0.0"),
        ("", "127.0.0.1", True, "127.0.0.1"),
        ("", "0.0.0.0", True, "0.0.0.0 ::"),
        ("0.0.0.0", None, True, "0.0.0.0"),  # asked for by number: one family
        ("::", None, True, "::"),
        ("127.0.0.1", "10.0.0.1", True, "127.0.0.1"),
    ],
)
def test_the_addresses_of_a_binding(host_ip: str, default: str | None, ipv6: bool, addresses: str) -> None:
    found = binding_addresses(host_ip, ip_address(default) if default else None, True, ipv6)

    assert " ".join(map(str, found)) == addresses


def test_publish_all_adds_what_is_exposed_and_not_bound() -> None:
    udp = ContainerPort(53, Transport.UDP)
    bound = PortBinding(HTTP, "", "8080")

    assert wanted_bindings((bound, bound), (HTTP, udp), True) == (bound, PortBinding(udp))
    assert wanted_bindings((bound, bound), (HTTP, udp), False) == (bound,)


ADDRESSES = st.sampled_from([ANY4, ANY6, ip_address("127.0.0.1"), ip_address("::1"), ip_address("10.0.0.1")])
BINDINGS = st.lists(
    st.tuples(ADDRESSES, st.sampled_from(["", "32768", "32769", "32768-32771"]), st.sampled_from(list(Transport))),
    max_size=10,
)


@given(BINDINGS)
def test_no_two_ports_ever_clash(wanted: list[tuple[IPAddress, str, Transport]]) -> None:
    book, given_out = allocator(), []
    for address, text, transport in wanted:
        try:
            given_out += book.allocate(PortBinding(ContainerPort(80, transport), "", text), (address,), "box")
        except PortTaken:
            continue
    for index, one in enumerate(given_out):
        for other in given_out[index + 1 :]:
            same_socket = (one.host_port, one.container_port) == (other.host_port, other.container_port)
            assert not (same_socket and clashes(one.host_ip, other.host_ip))


@given(ADDRESSES, ADDRESSES)
def test_clashing_is_mutual(one: IPAddress, other: IPAddress) -> None:
    assert clashes(one, other) == clashes(other, one)
