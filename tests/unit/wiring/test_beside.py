"""Reading other programs' rulesets: which forward chains are closed, and where our jump belongs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealane.values import IfName
from sealane.wiring.beside import BaseChain, Listing, leave

Json = dict[str, Any]
DROP, ACCEPT, COUNTER = {"drop": None}, {"accept": None}, {"counter": {"packets": 0, "bytes": 0}}
REJECT = {"xt": {"type": "target", "name": "REJECT"}}
OURS = {"jump": {"target": "SEALANE"}}


def chain(name: str, hook: str = "", policy: str = "accept", family: str = "ip", table: str = "filter") -> Json:
    said: Json = {"family": family, "table": table, "name": name, "handle": 1}
    return {"chain": said | ({"hook": hook, "policy": policy} if hook else {})}


def rules(name: str, *expressions: list[Json], family: str = "ip", table: str = "filter") -> list[Json]:
    """Rules with the handles 10, 11, …"""
    return [
        {"rule": {"family": family, "table": table, "chain": name, "handle": 10 + number, "expr": expr}}
        for number, expr in enumerate(expressions)
    ]


def listing(*items: Json) -> Listing:
    return Listing.parse(json.dumps({"nftables": [{"metainfo": {}}, *items]}))


def closed(*items: Json) -> list[BaseChain]:
    return list(listing(*items).closed("sealane"))


FORWARD = chain("FORWARD", "forward", "drop")
OPEN = chain("FORWARD", "forward")


def test_an_open_chain_is_nobodys_trouble() -> None:
    assert closed(OPEN, *rules("FORWARD", [COUNTER, ACCEPT])) == []
    assert closed(chain("INPUT", "input", "drop")) == []
    assert closed(chain("forward", "forward", "drop", "inet", "sealane")) == []
    assert closed(chain("forward", "forward", "drop", "bridge", "filter")) == []


def test_a_policy_of_drop() -> None:
    (found,) = closed(FORWARD, *rules("FORWARD", [COUNTER, ACCEPT]))
    assert found == BaseChain("ip", "filter", "FORWARD")
    assert found.iptables


@pytest.mark.parametrize("last", [[DROP], [COUNTER, DROP], [COUNTER, REJECT], [{"log": None}, {"reject": {}}]])
def test_a_rule_that_closes(last: list[Json]) -> None:
    (found,) = closed(OPEN, *rules("FORWARD", [ACCEPT, {"match": {}}], last))
    assert found.closing == 11


def test_a_rule_with_a_condition_closes_nothing() -> None:
    assert closed(OPEN, *rules("FORWARD", [{"match": {}}, DROP])) == []


def test_a_chain_that_only_rejects_closes_and_one_that_says_more_does_not() -> None:
    jump = [COUNTER, {"jump": {"target": "sub"}}]
    (found,) = closed(OPEN, chain("sub"), *rules("FORWARD", jump), *rules("sub", [COUNTER, REJECT]))
    assert found.closing == 10
    assert closed(OPEN, chain("sub"), *rules("FORWARD", jump), *rules("sub", [{"match": {}}, ACCEPT], [DROP])) == []
    assert closed(OPEN, chain("sub"), *rules("FORWARD", jump)) == []
    assert closed(OPEN, *rules("FORWARD", [COUNTER, {"goto": {"target": "FORWARD"}}])) == []  # no endless walk


def test_our_jump_is_placed_last_or_before_the_rule_that_closes() -> None:
    assert closed(FORWARD, *rules("FORWARD", [ACCEPT], [COUNTER, OURS]))[0].placed
    assert not closed(FORWARD, *rules("FORWARD", [COUNTER, OURS], [ACCEPT]))[0].placed
    assert closed(OPEN, *rules("FORWARD", [COUNTER, OURS], [DROP], [ACCEPT]))[0].placed
    assert not closed(OPEN, *rules("FORWARD", [DROP], [COUNTER, OURS]))[0].placed
    twice = closed(FORWARD, *rules("FORWARD", [OURS], [OURS]))[0]
    assert not twice.placed
    assert twice.jumps == (10, 11)


def test_what_is_written() -> None:
    placed = BaseChain("ip", "filter", "FORWARD", placed=True)
    lines = list(leave(placed, "sealane", [IfName("mine0")]))
    assert lines[:2] == ["add chain ip filter SEALANE", "flush chain ip filter SEALANE"]
    assert 'add rule ip filter SEALANE oifname "mine0" counter accept' in lines
    order = [line.split("oifname ")[-1] for line in lines if "oifname" in line]
    assert order.index('"sl-*" counter accept') < order.index('"br-*" counter return')
    assert lines[-1] == 'add rule ip filter SEALANE iifname "mine0" counter accept'
    last = list(leave(BaseChain("ip6", "filter", "FORWARD", jumps=(7,)), "sealane", []))
    assert last[-2:] == [
        "delete rule ip6 filter FORWARD handle 7",
        "add rule ip6 filter FORWARD counter jump SEALANE",
    ]
    before = list(leave(BaseChain("ip", "filter", "FORWARD", closing=9), "sealane", []))
    assert before[-1] == "insert rule ip filter FORWARD handle 9 counter jump SEALANE"


def test_what_is_taken_back_is_ours_alone() -> None:
    found = listing(
        FORWARD,
        chain("SEALANE"),
        chain("SEALANE", table="mangle"),
        *rules("FORWARD", [COUNTER, OURS], [ACCEPT]),
        *rules("SEALANE", [ACCEPT]),
        *rules("PREROUTING", [OURS], table="mangle"),
    )
    assert list(found.traces("sealane", ("ip", "ip6"))) == [
        "delete rule ip filter FORWARD handle 10",
        "flush chain ip filter SEALANE",
        "delete chain ip filter SEALANE",
    ]
    assert list(found.traces("sealane", ("ip6",))) == []
    assert list(found.traces("sealane-other", ("ip",))) == []
