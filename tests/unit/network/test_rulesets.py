"""Golden rulesets: what is loaded into nft for each kind of network, one file per topology in golden/.

``SEALANE_GOLDEN=write pytest tests/unit/network/test_rulesets.py`` writes the files anew; read the difference before it
is committed. The fixed part of the ruleset stands in ``empty.nft``; the others hold what is added to its sets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from sealane.network.drivers.registry import endpoint_topology, network_topology
from sealane.network.firewall import FirewallSettings, base_ruleset
from sealane.network.ruleset import Element, SetId
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.network.topology import union
from sealane.values import Transport
from sealane.wiring.render_nft import add_elements, del_elements, render, replace_tables
from unit.network.specs import ANY6, SANDBOX, net, plug, publish

GOLDEN = Path(__file__).with_name("golden")


def held(text: str, name: str) -> None:
    """Compare with the golden file, or write it when told so."""
    file = GOLDEN / name
    if os.environ.get("SEALANE_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def elements(parts: Iterable[tuple[NetworkSpec, tuple[EndpointSpec, ...]]]) -> tuple[Element, ...]:
    topologies = []
    for network, endpoints in parts:
        topologies.append(network_topology(network))
        topologies += [endpoint_topology(network, endpoint, SANDBOX) for endpoint in endpoints]
    return union(topologies).elements


def everything() -> dict[str, tuple[Element, ...]]:
    red, dual = net("red"), net("dual", 2, ipv6=True)
    ports = (
        publish(8080, 80),
        publish(5353, 53, Transport.UDP),
        publish(8443, 443, at=IPv4Address("127.0.0.1")),
        publish(8443, 443, at=IPv4Address("192.0.2.7")),
        publish(8080, 80, at=ANY6),
        publish(9000, 90, Transport.SCTP, at=IPv6Address("2001:db8::7")),
    )
    ranges = tuple(publish(port, port - 1000) for port in range(9000, 9004))
    closed, inside = net("closed", 3, ipv6=True, enable_icc="false"), net("inside", 4, internal=True)
    plain = net("plain", 5, ipv6=True, enable_ip_masquerade="false")
    source = net("source", 6, ipv6=True, **{"com.docker.network.host_ipv4": "192.0.2.9"})
    routed = net("routed", 7, ipv6=True, gateway_mode_ipv4="routed", gateway_mode_ipv6="routed")
    open_ = net("open", 8, ipv6=True, gateway_mode_ipv4="nat-unprotected", trusted_host_interfaces="wg0:eth9")
    only6 = net("only6", 9, ipv6=True, ipv4=False)
    return {
        "one-container": elements([(red, (plug(red),))]),
        "published-ports": elements([(dual, (plug(dual, "srv1", 2, *ports),))]),
        "port-range": elements([(red, (plug(red, "srv1", 2, *ranges),))]),
        "host-port-without-the-family": elements([(red, (plug(red, "srv1", 2, publish(8080, 80, at=ANY6)),))]),
        "two-networks": elements([(red, (plug(red),)), (dual, (plug(dual, "srv2"),))]),
        "icc-false": elements([(closed, (plug(closed), plug(closed, "srv2", 3)))]),
        "internal": elements([(inside, (plug(inside, "srv1", 2, publish(8080, 80)),))]),
        "no-masquerade": elements([(plain, (plug(plain),))]),
        "host-ipv4": elements([(source, (plug(source),))]),
        "routed": elements([(routed, (plug(routed, "srv1", 2, *ports),))]),
        "nat-unprotected-and-trusted": elements([(open_, (plug(open_),))]),
        "ipv6-only": elements([(only6, (plug(only6, "srv1", 2, publish(8080, 80, at=ANY6)),))]),
        "macvlan": elements([(net("wire", driver="macvlan", parent="eth0"), ())]),
    }


def test_the_fixed_part() -> None:
    held(render(base_ruleset(FirewallSettings())), "empty.nft")


def test_the_guard_of_networks_without_icc() -> None:
    bridge = base_ruleset(FirewallSettings(icc_guard=True)).tables[1]
    whole = render(base_ruleset(FirewallSettings(icc_guard=True)))
    assert whole.startswith(render(base_ruleset(FirewallSettings())))
    held(whole.removeprefix(render(base_ruleset(FirewallSettings())) + "\n"), "guard.nft")
    assert bridge.family.value == "bridge"


@pytest.mark.parametrize("name", everything())
def test_what_a_topology_adds(name: str) -> None:
    held(add_elements("sealane", everything()[name]) + "\n", f"{name}.nft")


def test_every_golden_file_belongs_to_a_test() -> None:
    names = {f"{name}.nft" for name in (*everything(), "empty", "guard")}
    assert {file.name for file in GOLDEN.iterdir()} == names


@pytest.mark.parametrize("name", everything())
def test_what_is_deleted_is_what_was_added(name: str) -> None:
    added, deleted = add_elements("sealane", everything()[name]), del_elements("sealane", everything()[name])
    as_sets = [line.replace("add ", "delete ", 1) for line in added.splitlines() if " : " not in line]
    assert [line for line in deleted.splitlines() if line in as_sets] == as_sets
    assert len(deleted.splitlines()) == len(added.splitlines())
    assert " : " not in deleted


@pytest.mark.parametrize("name", everything())
def test_elements_go_into_sets_that_exist_and_fit(name: str) -> None:
    known = {
        SetId(table.family, item.name): item
        for table in base_ruleset(FirewallSettings(icc_guard=True)).tables
        for item in table.sets
    }
    for element in everything()[name]:
        item = known[element.set]
        assert (len(element.key), len(element.data)) == (len(item.key), len(item.data))


def test_replacing_tables_is_one_transaction_that_needs_nothing_to_be_there() -> None:
    ruleset = base_ruleset(FirewallSettings(table="sealane-other"))
    surplus = base_ruleset(FirewallSettings(icc_guard=True, table="sealane-other")).tables[1:]
    text = replace_tables(ruleset, everything()["one-container"], surplus)
    assert text.splitlines()[:4] == [
        "add table inet sealane-other",
        "delete table inet sealane-other",
        "add table bridge sealane-other",
        "delete table bridge sealane-other",
    ]
    assert "table bridge sealane-other {" not in text
    assert 'elements = { "sl-010101010101" }' in text
