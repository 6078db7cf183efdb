"""The table of names: who resolves what, in which order, and what a change leaves behind."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import NotFound
from sealane.network.names import ContainerView, Directory, EndpointNames, Link, endpoint_names, fold
from sealane.values import ContainerId, EndpointId, NetworkId

RED, BLUE = NetworkId("r" * 64), NetworkId("b" * 64)
SRV1, SRV2 = ContainerId("1" * 64), ContainerId("2" * 64)


def names(container: ContainerId, *labels: str, v4: str = "172.18.0.2", v6: str | None = None) -> EndpointNames:
    return EndpointNames(container, labels, (IPv4Address(v4),), (IPv6Address(v6),) if v6 else ())


@pytest.fixture
def directory() -> Directory:
    table = Directory()
    table.put_network(RED, "Red", (IPv4Network("172.18.0.0/16"), IPv6Network("fd00:1::/64")))
    table.put_network(BLUE, "blue.example", (IPv4Network("172.19.0.0/24"),))
    table.put_endpoint(RED, EndpointId("e1"), names(SRV1, "Srv1", "web", v6="fd00:1::2"))
    table.put_endpoint(RED, EndpointId("e2"), names(SRV2, "srv2", "web", v4="172.18.0.3"))
    table.put_endpoint(BLUE, EndpointId("e3"), names(SRV2, "srv2", "only-blue", v4="172.19.0.3"))
    return table


def view(*networks: NetworkId, links: tuple[Link, ...] = ()) -> ContainerView:
    return ContainerView(container=SRV1, networks=networks, links=links)


def addresses(directory: Directory, eyes: ContainerView, name: str) -> list[str] | None:
    found = directory.find(eyes, name)
    return None if found is None else [str(address) for each in found for address in each.ipv4]


def test_names_of_an_endpoint_keep_their_order_and_lose_repetitions() -> None:
    assert endpoint_names("srv1", ["web", "WEB", "srv1"], SRV1, "web.host") == ("srv1", "web", "1" * 12, "web.host")


def test_a_name_is_found_in_any_case_and_with_its_network(directory: Directory) -> None:
    for asked in ("srv1", "SRV1", "Srv1.red", "srv1.RED", "srv1."):
        assert addresses(directory, view(RED), asked) == ["172.18.0.2"], asked
    assert addresses(directory, view(BLUE), "srv2.blue.example") == ["172.19.0.3"]


def test_a_shared_alias_gives_every_endpoint(directory: Directory) -> None:
    assert addresses(directory, view(RED), "web") == ["172.18.0.2", "172.18.0.3"]


def test_the_first_network_that_knows_the_name_wins(directory: Directory) -> None:
    assert addresses(directory, view(RED, BLUE), "srv2") == ["172.18.0.3"]
    assert addresses(directory, view(BLUE, RED), "srv2") == ["172.19.0.3"]


def test_names_of_other_networks_do_not_exist(directory: Directory) -> None:
    assert addresses(directory, view(RED), "only-blue") is None
    assert addresses(directory, view(RED), "only-blue.blue.example") is None
    assert directory.pointer(view(RED), IPv4Address("172.19.0.3")) is None
    assert addresses(directory, view(), "srv1") is None


def test_reverse_gives_the_first_name_and_the_network(directory: Directory) -> None:
    assert directory.pointer(view(RED), IPv4Address("172.18.0.2")) == "Srv1.Red"
    assert directory.pointer(view(RED), IPv6Address("fd00:1::2")) == "Srv1.Red"


def test_own_subnets_are_known_until_the_network_goes(directory: Directory) -> None:
    assert directory.owns(IPv4Address("172.19.0.77"))
    assert directory.owns(IPv6Address("fd00:1::ffff"))
    assert not directory.owns(IPv4Address("172.19.1.1"))
    directory.drop_network(BLUE)
    directory.drop_network(BLUE)
    assert not directory.owns(IPv4Address("172.19.0.77"))


def test_a_link_is_for_its_container_only_and_hides_the_name_while_the_target_is_away(directory: Directory) -> None:
    linked = view(RED, links=(Link("db", "srv2", RED), Link("web", "nobody", RED)))
    assert addresses(directory, linked, "db") == ["172.18.0.3"]
    assert addresses(directory, linked, "DB.red") == ["172.18.0.3"]
    assert addresses(directory, linked, "web") is None
    assert addresses(directory, view(RED), "db") is None


def test_rename_and_new_address_replace_what_was(directory: Directory) -> None:
    directory.put_endpoint(RED, EndpointId("e1"), names(SRV1, "new", v4="172.18.0.9"))
    assert addresses(directory, view(RED), "srv1") is None
    assert addresses(directory, view(RED), "new") == ["172.18.0.9"]
    assert directory.pointer(view(RED), IPv4Address("172.18.0.2")) is None
    directory.put_network(RED, "crimson")
    assert addresses(directory, view(RED), "new.crimson") == ["172.18.0.9"]
    assert addresses(directory, view(RED), "new.red") is None


def test_an_endpoint_needs_its_network(directory: Directory) -> None:
    with pytest.raises(NotFound, match="ghost"):
        directory.put_endpoint(NetworkId("ghost"), EndpointId("e"), names(SRV1, "x"))


operations = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("123"), st.sets(st.sampled_from(["x", "X", "y"])) | st.none())
)


@given(operations)
def test_after_any_history_the_table_equals_one_made_afresh(history: list[tuple[str, str, set[str] | None]]) -> None:
    lived, wanted = Directory(), {}
    for network in "ab":
        lived.put_network(NetworkId(network), network)
    for network, endpoint, given_names in history:
        if given_names is None:
            lived.drop_endpoint(NetworkId(network), EndpointId(endpoint))
            wanted.pop((network, endpoint), None)
        else:
            record = names(SRV1, *sorted(given_names), v4=f"10.0.0.{endpoint}")
            lived.put_endpoint(NetworkId(network), EndpointId(endpoint), record)
            wanted.pop((network, endpoint), None)
            wanted[network, endpoint] = record
    for network in "ab":
        eyes = ContainerView(container=SRV1, networks=(NetworkId(network),))
        for label in "xy":
            known = [record for (on, _), record in wanted.items() if on == network and label in map(fold, record.names)]
            assert set(lived.find(eyes, label) or ()) == set(known)
        assert dict(lived.zones()[NetworkId(network)].records) == {
            EndpointId(endpoint): record for (on, endpoint), record in wanted.items() if on == network
        }
