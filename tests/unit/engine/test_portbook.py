"""The book of published ports: who holds what, and what the relay is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest

from sealane.engine.container import Container
from sealane.engine.model import PortBinding
from sealane.engine.portbook import PortBook
from sealane.errors import Conflict, Internal
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.relay.publisher import Listener
from sealane.values import ContainerPort, IPAddress, NetworkId, PublishedPort, Transport
from unit.engine.making import container, context, endpoint, network

HTTP, DNS = ContainerPort(80), ContainerPort(53, Transport.UDP)


class FakeRelay:
    """Keeps what it is given; refuses the ports in *refuses*."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}
        self.refuses: set[int] = set()

    async def put(self, key: str, listener: Listener) -> None:
        if listener.host_port in self.refuses:
            raise Conflict(f"cannot listen on {listener}")
        self.listeners[key] = listener

    async def drop(self, key: str) -> None:
        self.listeners.pop(key, None)

    async def held(self) -> dict[str, Listener]:
        return dict(self.listeners)


def free(address: IPAddress, transport: Transport, port: int) -> str:
    if address == ip_address("203.0.113.7"):
        raise OSError(99, "Cannot assign requested address")
    return ""


@pytest.fixture
def relay() -> FakeRelay:
    return FakeRelay()


@pytest.fixture
def book(relay: FakeRelay) -> PortBook:
    return PortBook(context(), relay, free, lambda: (40000, 40009), True)  # type: ignore[arg-type]


def allocate(
    book: PortBook,
    box: Container,
    endpoints: Sequence[EndpointSpec] | None = None,
    net: NetworkSpec | None = None,
) -> tuple[PublishedPort, ...]:
    net = net or network()
    networks: dict[NetworkId, NetworkSpec] = {net.id: net}
    return book.allocate(box, (endpoint(),) if endpoints is None else endpoints, networks)


def web(name: str = "web", number: int = 1, port: str = "8080", ip: str = "") -> Container:
    return container(name, number, port_bindings=(PortBinding(HTTP, ip, port),))


def test_both_families_of_the_host(book: PortBook) -> None:
    assert [str(port) for port in allocate(book, web())] == ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]


def test_a_network_without_a_way_out_publishes_nothing(book: PortBook) -> None:
    assert allocate(book, web(), [endpoint(default_route_ipv4=False)]) == ()
    assert allocate(book, web(), []) == ()


def test_the_networks_own_binding_address(book: PortBook) -> None:
    red = network()
    assert red.bridge is not None
    bound = replace(red, bridge=replace(red.bridge, host_binding=ip_address("192.0.2.1")))

    assert [str(port) for port in allocate(book, web(), net=bound)] == ["192.0.2.1:8080->80/tcp"]


def test_the_engines_own_binding_address(relay: FakeRelay) -> None:
    book = PortBook(
        context(default_bind=ip_address("127.0.0.1")),
        relay,
        free,
        lambda: (40000, 40009),
        True,  # type: ignore[arg-type]
    )

    assert [str(port) for port in allocate(book, web())] == ["127.0.0.1:8080->80/tcp"]


def test_a_conflict_names_the_holder_by_its_present_name(book: PortBook) -> None:
    first = web("web")
    allocate(book, first)
    first.record = replace(first.record, name="shop")

    with pytest.raises(Internal) as caught:
        allocate(book, web("other", 2), [endpoint(2, container_name="other")])
    assert caught.value.message.startswith(
        "failed to set up container networking: driver failed programming external connectivity on endpoint other ("
    )
    assert caught.value.message.endswith("Bind for 0.0.0.0:8080 failed: port is already allocated (by container shop)")


def test_a_refused_allocation_holds_nothing(book: PortBook) -> None:
    allocate(book, web("web"))
    two = container("two", 2, port_bindings=(PortBinding(HTTP, "", "9090"), PortBinding(DNS, "", "8080")))
    allocate(book, two)  # udp is another space
    three = container("three", 3, port_bindings=(PortBinding(HTTP, "", "9191"), PortBinding(HTTP, "", "8080")))
    with pytest.raises(Internal):
        allocate(book, three)

    assert len(allocate(book, web("four", 4, "9191"))) == 2


@pytest.mark.parametrize(
    ("ip", "port", "reason"),
    [
        ("203.0.113.7", "8080", "failed to bind host port 203.0.113.7:8080/tcp: cannot assign requested address"),
        ("203.0.113.7", "", "failed to bind host port 203.0.113.7:40000/tcp: cannot assign requested address"),
    ],
)
def test_an_address_that_the_host_does_not_have(book: PortBook, ip: str, port: str, reason: str) -> None:
    with pytest.raises(Internal) as caught:
        allocate(book, web(port=port, ip=ip))
    assert caught.value.message.endswith(reason)


def test_a_full_range(book: PortBook) -> None:
    allocate(book, web("a", 1, "8000"))
    allocate(book, web("b", 2, "8001"))

    with pytest.raises(Internal, match=r"Bind for 0\.0\.0\.0:8001 failed: all ports are allocated$"):
        allocate(book, web("c", 3, "8000-8001"))


def test_given_up_ports_are_free_and_the_next_free_one_is_another(book: PortBook) -> None:
    box = web(port="")
    first = allocate(book, box)[0].host_port
    asyncio.run(book.give_up(box))

    assert allocate(book, box)[0].host_port == first + 1
    asyncio.run(book.give_up(box))
    assert allocate(book, web(port=str(first)))[0].host_port == first


def test_adopted_ports_are_held(book: PortBook) -> None:
    box = web("old", 9)
    book.adopt(box, (PublishedPort(ip_address("0.0.0.0"), 8080, HTTP),))

    with pytest.raises(Internal, match="by container old"):
        allocate(book, web())


def test_the_relay_holds_what_nat_carries_and_relays_the_rest(book: PortBook, relay: FakeRelay) -> None:
    box = web()
    ports = allocate(book, box)
    asyncio.run(book.take(box, ports, (endpoint(),)))

    assert {(str(item.host_ip), item.target) for item in relay.listeners.values()} == {
        ("0.0.0.0", None),
        ("::", (ip_address("10.1.0.2"), 80)),
    }
    asyncio.run(book.give_up(box))
    assert relay.listeners == {}


def test_to_an_ipv6_container_if_it_has_one(book: PortBook, relay: FakeRelay) -> None:
    box = web()
    both = endpoint(address6="fd00::2/64", default_route_ipv6=True)
    asyncio.run(book.take(box, allocate(book, box, [both]), [both]))

    assert [item.target for item in relay.listeners.values() if item.host_ip.version == 6] == [
        (ip_address("fd00::2"), 80)
    ]


def test_taking_again_leads_to_the_new_place(book: PortBook, relay: FakeRelay) -> None:
    """After a network was disconnected: same ports, another endpoint."""
    box = web()
    ports = allocate(book, box)
    asyncio.run(book.take(box, ports, [endpoint()]))
    asyncio.run(book.take(box, ports, [endpoint(address="10.9.0.9/24")]))

    assert {item.target for item in relay.listeners.values()} == {None, (ip_address("10.9.0.9"), 80)}
    assert len(relay.listeners) == 2


def test_one_refused_port_refuses_all(book: PortBook, relay: FakeRelay) -> None:
    relay.refuses.add(8081)
    box = container("web", port_bindings=(PortBinding(HTTP, "", "8080"), PortBinding(HTTP, "", "8081")))
    ports = allocate(book, box)

    with pytest.raises(Conflict):
        asyncio.run(book.take(box, ports, [endpoint()]))
    asyncio.run(book.give_up(box))
    assert relay.listeners == {}


def test_reconciling_drops_what_nobody_has_and_puts_what_is_missing(book: PortBook, relay: FakeRelay) -> None:
    box = web()
    ports = allocate(book, box)
    box.live = replace(box.live, ports=ports, endpoints=(endpoint(),))
    relay.listeners["stale"] = Listener(ip_address("0.0.0.0"), 1, Transport.TCP, None)
    asyncio.run(book.reconcile([box]))

    assert "stale" not in relay.listeners
    assert {item.host_port for item in relay.listeners.values()} == {8080}
