"""Elements as nft reads them and as it lists them: what is written is what is read back."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sealane.network.firewall import FirewallSettings, base_ruleset
from sealane.network.ruleset import Atom, Element, Family, Set, SetId, Type
from sealane.values import IfName, Transport
from sealane.wiring.observe import parse_elements
from sealane.wiring.render_nft import add_elements, render

SETS = {
    SetId(table.family, item.name): item
    for table in base_ruleset(FirewallSettings(icc_guard=True)).tables
    for item in table.sets
}
ATOMS: dict[Type, st.SearchStrategy[Atom]] = {
    Type.IFNAME: st.text("abz019-_.+*@", min_size=1, max_size=15).filter(lambda t: t not in (".", "..")).map(IfName),
    Type.IPV4: st.builds(IPv4Address, st.integers(0, 2**32 - 1)),
    Type.IPV6: st.builds(IPv6Address, st.integers(0, 2**128 - 1)),
    Type.PROTO: st.sampled_from(Transport),
    Type.PORT: st.integers(1, 65535),
}


def element_of(item: tuple[SetId, Set]) -> st.SearchStrategy[Element]:
    where, what = item
    keys, data = (st.tuples(*(ATOMS[kind] for kind in types)) for types in (what.key, what.data))
    return st.builds(Element, st.just(where), keys, data)


ELEMENTS = st.sampled_from(sorted(SETS.items(), key=lambda item: item[0].name)).flatmap(element_of)


def listed(elements: list[Element]) -> str:
    """As ``nft -j list table`` has it (seen with nft 1.0.6)."""

    def part(atom: Atom) -> Any:
        return atom if isinstance(atom, int) else atom.value if isinstance(atom, Transport) else str(atom)

    def whole(atoms: tuple[Atom, ...]) -> Any:
        parts = [part(atom) for atom in atoms]
        return {"concat": parts} if len(parts) > 1 else parts[0]

    items: list[dict[str, Any]] = [{"metainfo": {}}, {"table": {"family": "inet", "name": "sealane"}}]
    for element in elements:
        key: Any = whole(element.key)
        if SETS[element.set].counter:
            key = {"elem": {"val": key, "counter": {"packets": 3, "bytes": 180}}}
        kind = "map" if element.data else "set"
        entry = [key, whole(element.data)] if element.data else key
        items.append({kind: {"family": "inet", "name": element.set.name, "elem": [entry]}})
    return json.dumps({"nftables": items})


@given(st.lists(ELEMENTS))
def test_what_nft_lists_is_what_was_added(elements: list[Element]) -> None:
    for family in Family:
        own = [element for element in elements if element.set.family is family]
        assert list(parse_elements(listed(own), family, SETS)) == own


def test_sets_of_another_version_of_ours_are_passed_over() -> None:
    unknown = {"nftables": [{"set": {"family": "inet", "name": "later", "elem": ["x"]}}, {"chain": {"name": "raw"}}]}
    assert list(parse_elements(json.dumps(unknown), Family.INET, SETS)) == []
    empty = {"nftables": [{"set": {"family": "inet", "name": "bridges"}}]}
    assert list(parse_elements(json.dumps(empty), Family.INET, SETS)) == []


@given(st.lists(ELEMENTS, min_size=1))
def test_every_element_is_added_once_to_its_set(elements: list[Element]) -> None:
    lines = add_elements("t", elements).splitlines()
    assert len(lines) == len({element.set for element in elements})
    for element in elements:
        (line,) = [
            line for line in lines if line.startswith(f"add element {element.set.family.value} t {element.set.name} ")
        ]
        assert str(element) in line


def test_a_table_with_its_elements_is_one_text() -> None:
    element = Element(SetId(Family.INET, "bridges"), (IfName("sl-0"),))
    text = render(base_ruleset(FirewallSettings(icc_guard=True)), [element])
    assert text.count('elements = { "sl-0" }') == 1
    assert text.index('elements = { "sl-0" }') < text.index("table bridge sealane")
