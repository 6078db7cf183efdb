"""Decisions of the resolver: ours or not, and what is said."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest

from sealane.dns import wire
from sealane.dns.answer import Answer, ContainerView, Directory, EndpointNames, decide
from sealane.dns.wire import Query, Rcode, Type
from sealane.values import ContainerId, EndpointId, NetworkId

NET = NetworkId("n")
EYES = ContainerView(container=ContainerId("1"), networks=(NET,))


@pytest.fixture
def directory() -> Directory:
    table = Directory()
    table.put_network(NET, "my-network", (IPv4Network("172.18.0.0/16"),))
    table.put_network(NetworkId("other"), "other", (IPv4Network("172.19.0.0/16"),))
    table.put_endpoint(
        NET,
        EndpointId("e1"),
        EndpointNames(ContainerId("1"), ("srv1", "web"), (IPv4Address("172.18.0.2"),), (IPv6Address("fd00::2"),)),
    )
    table.put_endpoint(
        NET, EndpointId("e2"), EndpointNames(ContainerId("2"), ("srv2", "web"), (IPv4Address("172.18.0.3"),))
    )
    long_name = EndpointNames(ContainerId("3"), ("x" * 80,), (IPv4Address("172.18.0.4"),))
    table.put_endpoint(NET, EndpointId("e3"), long_name)
    return table


def ask(name: str, qtype: int, **options: int) -> Query:
    return wire.parse_query(wire.build_query(1, name, qtype, **options))


def test_addresses(directory: Directory) -> None:
    both = (IPv4Address("172.18.0.2").packed, IPv4Address("172.18.0.3").packed)
    assert decide(directory, EYES, ask("WEB.my-network", Type.A)) == Answer(Rcode.NOERROR, Type.A, both)
    assert decide(directory, EYES, ask("srv1", Type.AAAA)) == Answer(
        Rcode.NOERROR, Type.AAAA, (IPv6Address("fd00::2").packed,)
    )


@pytest.mark.parametrize("qtype", [Type.AAAA, Type.TXT, Type.MX, Type.HTTPS, Type.SVCB, Type.ANY, Type.SOA, 4711])
def test_a_known_name_has_no_other_records_and_is_not_forwarded(directory: Directory, qtype: int) -> None:
    answer = decide(directory, EYES, ask("srv2", qtype))
    assert answer is not None
    assert (answer.rcode, answer.rdatas) == (Rcode.NOERROR, ())


def test_another_class_of_a_known_name_is_empty(directory: Directory) -> None:
    query = wire.parse_query(wire.build_query(1, "srv2", Type.A)[:-2] + b"\0\3")
    assert decide(directory, EYES, query) == Answer()


def test_unknown_names_are_not_ours(directory: Directory) -> None:
    assert decide(directory, EYES, ask("example.com", Type.A)) is None
    assert decide(directory, EYES, ask("srv9.my-network", Type.A)) is None
    assert decide(directory, EYES, ask("", Type.NS)) is None


def test_reverse(directory: Directory) -> None:
    name = IPv4Address("172.18.0.2").reverse_pointer
    said = Answer(Rcode.NOERROR, Type.PTR, (wire.encode_name("srv1.my-network"),))
    assert decide(directory, EYES, ask(name, Type.PTR)) == said
    assert decide(directory, EYES, ask(name, Type.TXT)) == Answer()


@pytest.mark.parametrize("address", ["172.18.0.1", "172.18.9.9", "172.19.0.2", "172.18.0.4"])
def test_reverse_of_our_own_subnets_never_leaves(directory: Directory, address: str) -> None:
    query = ask(IPv4Address(address).reverse_pointer, Type.PTR)
    assert decide(directory, EYES, query) == Answer(Rcode.NXDOMAIN)


def test_reverse_of_other_private_addresses_may_leave(directory: Directory) -> None:
    assert decide(directory, EYES, ask(IPv4Address("192.168.1.1").reverse_pointer, Type.PTR)) is None


def test_single_labels_stay_when_a_person_set_ndots(directory: Directory) -> None:
    eyes = ContainerView(container=ContainerId("1"), networks=(NET,), ndots=1)
    assert decide(directory, eyes, ask("nobody", Type.A)) == Answer()
    assert decide(directory, eyes, ask("nobody", Type.MX)) is None
    assert decide(directory, eyes, ask("nobody.example", Type.A)) is None


def test_a_newer_edns_version_is_refused(directory: Directory) -> None:
    data = bytearray(wire.build_query(1, "srv1", Type.A, udp_size=1232))
    data[-5] = 1
    answer = decide(directory, EYES, wire.parse_query(bytes(data)))
    assert answer == Answer(Rcode.BADVERS)
