"""Who has which address."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from sealane.engine.addresses import AddressBook
from sealane.network.spec import Subnet
from sealane.values import ContainerId, NetworkId
from unit.engine.making import identifier, network

RED, BLUE = NetworkId(identifier(100)), NetworkId(identifier(200))
A, B = ContainerId("a"), ContainerId("b")
TWO = ip_address("10.1.0.2")


@pytest.fixture
def running() -> set[ContainerId]:
    return set()


@pytest.fixture
def book(running: set[ContainerId]) -> AddressBook:
    return AddressBook(lambda container: f"name-of-{container}", running.__contains__)


def test_an_address_is_held_per_network(book: AddressBook) -> None:
    book.hold(RED, TWO, A)
    book.hold(BLUE, TWO, B)

    assert (book.holder(RED, TWO), book.holder(BLUE, TWO)) == (A, B)


def test_only_its_holder_gives_it_up(book: AddressBook) -> None:
    book.hold(RED, TWO, A)
    book.release(RED, TWO, B)
    assert book.holder(RED, TWO) == A

    book.release(RED, TWO, A)
    book.release(RED, TWO, A)
    assert book.holder(RED, TWO) is None


def test_a_removed_network_holds_nothing(book: AddressBook) -> None:
    book.hold(RED, TWO, A)
    book.forget_network(RED)

    assert book.holder(RED, TWO) is None


def test_what_is_taken_says_by_whom(book: AddressBook) -> None:
    red = network(
        subnets=(
            Subnet(network().subnets[0].subnet, ip_address("10.1.0.1"), None, (("router", ip_address("10.1.0.9")),)),
        )
    )
    book.hold(RED, TWO, A)

    assert book.taken(red, B) == {
        TWO: "container name-of-a",
        ip_address("10.1.0.1"): "the gateway of network red",
        ip_address("10.1.0.9"): "the auxiliary address router of network red",
    }
    assert TWO not in book.taken(red, A)


def test_a_sleeping_holder_keeps_its_address_from_those_who_take_any(book: AddressBook) -> None:
    book.hold(RED, TWO, A)

    assert TWO in book.taken(network(), B)


def test_a_sleeping_holder_loses_it_to_one_who_asks_for_it_by_name(
    book: AddressBook, running: set[ContainerId]
) -> None:
    book.hold(RED, TWO, A)
    assert TWO not in book.taken(network(), B, {TWO})
    assert book.free_for(RED, TWO, B)

    running.add(A)
    assert TWO in book.taken(network(), B, {TWO})
    assert not book.free_for(RED, TWO, B)
    assert book.free_for(RED, TWO, A)
