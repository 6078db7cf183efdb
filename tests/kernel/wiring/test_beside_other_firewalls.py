"""Containers keep their traffic beside firewalls that drop what they do not know."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Address
from pathlib import Path

from kernel.wiring.drawing import BRIDGE, REMOTE4, REMOTE6, UPLINK4, Drawing, publish, tcp
from sealane.wiring.fabric import Fabric


def iptables(drawing: Drawing, *lines: str) -> None:
    for line in lines:
        subprocess.run(["nsenter", f"--net={drawing.host}", *line.split()], check=True, capture_output=True)


def listed(drawing: Drawing, command: str) -> str:
    done = subprocess.run(
        ["nsenter", f"--net={drawing.host}", *command.split()], check=True, capture_output=True, text=True
    )
    return done.stdout


#: What Docker 26 leaves in the filter table after it switched forwarding on itself.
DOCKER = (
    "iptables -P FORWARD DROP",
    "ip6tables -P FORWARD DROP",
    "iptables -N DOCKER-USER",
    "iptables -A FORWARD -j DOCKER-USER",
    "iptables -A FORWARD -i docker0 -j ACCEPT",
    "iptables -A DOCKER-USER -j RETURN",
)


def check_traffic(drawing: Drawing, custom_bridge: str = "") -> None:
    options = {BRIDGE + "name": custom_bridge} if custom_bridge else {}
    red, blue = drawing.network("red", ipv6=True, **options), drawing.network("blue")
    a = drawing.container("a", red, ports=[publish(8080, tcp(80))])
    b, c = drawing.container("b", red), drawing.container("c", blue)
    with drawing.serving(a.ns, tcp(80)), drawing.serving(drawing.remote, tcp(80)):
        assert drawing.seen_from(b.ns, a.ipv4, tcp(80)) is not None
        assert drawing.seen_from(b.ns, a.ipv6, tcp(80)) is not None
        assert drawing.seen_from(a.ns, REMOTE4.ip, tcp(80)) == str(UPLINK4.ip)
        assert drawing.seen_from(a.ns, REMOTE6.ip, tcp(80)) is not None
        for asker in (drawing.remote, b.ns, c.ns, a.ns):
            assert drawing.seen_from(asker, UPLINK4.ip, tcp(8080)) is not None
        assert drawing.seen_from(drawing.host, IPv4Address("127.0.0.1"), tcp(8080)) is not None
        # Leave was asked of others; our own table still decides.
        assert drawing.cut_off(c.ns, a.ipv4, tcp(80))
        assert drawing.cut_off(drawing.remote, a.ipv4, tcp(80))


def test_beside_docker_with_its_drop_policy(drawing: Drawing) -> None:
    iptables(drawing, *DOCKER)
    drawing.fabric.prepare([], [])
    check_traffic(drawing)
    assert "-A SEALANE -i sl-+ -j ACCEPT" in listed(drawing, "iptables -S SEALANE")


def test_bridges_with_names_of_their_own_are_let_through_too(drawing: Drawing) -> None:
    iptables(drawing, *DOCKER)
    drawing.fabric.prepare([], [])
    check_traffic(drawing, custom_bridge="mine0")


def test_beside_a_closing_reject_rule(drawing: Drawing) -> None:
    iptables(drawing, "iptables -A FORWARD -j REJECT", "ip6tables -A FORWARD -j REJECT")
    drawing.fabric.prepare([], [])
    check_traffic(drawing)


def test_asking_twice_changes_nothing(host: Drawing) -> None:
    iptables(host, *DOCKER)
    host.fabric.prepare([], [])
    once = listed(host, "iptables-save")
    host.fabric.prepare([], [])
    assert _rules(listed(host, "iptables-save")) == _rules(once)
    assert once.count("-j SEALANE") == 1


def test_others_rules_before_ours_still_hold(host: Drawing) -> None:
    """A drop in DOCKER-USER is for our containers as well."""
    iptables(host, *DOCKER, "iptables -I DOCKER-USER -d 198.51.100.9 -j DROP")
    host.fabric.prepare([], [])
    a = host.container("a", host.network("red"))
    with host.serving(host.remote, tcp(80)):
        assert host.cut_off(a.ns, REMOTE4.ip, tcp(80))


def test_we_open_no_way_into_bridges_of_others(host: Drawing) -> None:
    iptables(host, *DOCKER)
    host.fabric.prepare([], [])
    a = host.container("a", host.network("red"))
    theirs = host.namespace("theirs")
    host.ip(host.host, "link add docker0 type bridge")
    host.ip(host.host, "addr add 10.99.0.1/24 dev docker0")
    host.ip(host.host, "link set docker0 up")
    host.ip(host.host, f"link add v0 master docker0 up type veth peer name eth0 netns {theirs}")
    for line in ("addr add 10.99.0.2/24 dev eth0", "link set eth0 up", "route add default via 10.99.0.1"):
        host.ip(theirs, line)
    with host.serving(theirs, tcp(80)):
        assert host.seen_from(host.host, IPv4Address("10.99.0.2"), tcp(80)) is not None
        assert host.cut_off(a.ns, IPv4Address("10.99.0.2"), tcp(80))


#: How ufw 0.36 builds FORWARD with DEFAULT_FORWARD_POLICY=REJECT: the last word is not spoken by the last rule.
UFW = (
    "iptables -N ufw-before-forward",
    "iptables -N ufw-reject-forward",
    "iptables -N ufw-track-forward",
    "iptables -A FORWARD -j ufw-before-forward",
    "iptables -A FORWARD -j ufw-reject-forward",
    "iptables -A FORWARD -j ufw-track-forward",
    "iptables -A ufw-before-forward -d 203.0.113.1 -j DROP",
    "iptables -A ufw-reject-forward -j REJECT",
)


def test_beside_ufw(drawing: Drawing) -> None:
    iptables(drawing, *UFW)
    drawing.fabric.prepare([], [])
    check_traffic(drawing)
    assert targets(drawing) == ["ufw-before-forward", "SEALANE", "ufw-reject-forward", "ufw-track-forward"]


def test_a_firewall_that_comes_later_is_met_when_we_look_around(drawing: Drawing) -> None:
    with drawing.fabric.rule_events() as events:
        red = drawing.network("red", ipv6=True)
        a = drawing.container("a", red)
        events.read()
        drawing.container("b", red)
        assert not events.read()  # our own changes
        iptables(drawing, *UFW)
        assert events.read()
        with drawing.serving(drawing.remote, tcp(80)):
            assert drawing.cut_off(a.ns, REMOTE4.ip, tcp(80))
            assert drawing.fabric.look_around([red], drawing.endpoints()) == ()
            assert drawing.seen_from(a.ns, REMOTE4.ip, tcp(80)) is not None
        assert not events.read()


def test_looking_around_writes_only_where_something_is_wrong(host: Drawing) -> None:
    iptables(host, *DOCKER)
    host.fabric.prepare([], [])
    iptables(host, "iptables -Z SEALANE", "iptables -A SEALANE -j RETURN")
    handles = listed(host, "nft -a list chain ip filter SEALANE")
    host.fabric.look_around([], [])
    mended = listed(host, "nft -a list chain ip filter SEALANE")
    assert mended != handles  # a rule that is not ours is taken out
    host.fabric.look_around([], [])
    assert listed(host, "nft -a list chain ip filter SEALANE") == mended


def test_two_engines_do_not_push_each_other_aside(host: Drawing, tmp_path: Path) -> None:
    iptables(host, *DOCKER)
    host.fabric.prepare([], [])
    (tmp_path / "other").mkdir()
    with Fabric(tmp_path / "other", host.host, "sealane-other") as other:
        other.prepare([], [])
        both = listed(host, "nft -a list chain ip filter FORWARD")
        assert targets(host)[-2:] == ["SEALANE", "SEALANE-OTHER"]
        for fabric in (host.fabric, other, host.fabric):
            fabric.look_around([], [])
            assert listed(host, "nft -a list chain ip filter FORWARD") == both
        other.dismantle()
    assert targets(host)[-1] == "SEALANE"


def test_tables_that_somebody_flushed_are_put_back(host: Drawing) -> None:
    red = host.network("red", enable_icc="false")
    a = host.container("a", red, ports=[publish(8080, tcp(80))])
    with host.fabric.rule_events() as events, host.serving(a.ns, tcp(80)):
        events.read()
        iptables(host, "nft flush ruleset")
        assert events.read()
        assert host.cut_off(host.remote, UPLINK4.ip, tcp(8080))
        host.fabric.look_around([red], host.endpoints())
        assert host.seen_from(host.remote, UPLINK4.ip, tcp(8080)) is not None
        iptables(host, "nft delete table bridge sealane")  # just the guard of icc=false
        host.fabric.look_around([red], host.endpoints())
    assert "table bridge sealane" in listed(host, "nft list tables")


def test_rules_that_came_after_ours_go_before_it_when_we_look_again(host: Drawing) -> None:
    iptables(host, *DOCKER)
    host.fabric.prepare([], [])
    iptables(host, "iptables -N LATER", "iptables -A FORWARD -j LATER")
    assert targets(host)[-2:] == ["SEALANE", "LATER"]
    host.fabric.prepare([], [])
    assert targets(host)[-2:] == ["LATER", "SEALANE"]
    iptables(host, "iptables -I FORWARD 1 -j DROP")
    host.fabric.prepare([], [])
    assert targets(host)[:2] == ["SEALANE", "DROP"]
    assert targets(host).count("SEALANE") == 1


def test_what_somebody_elses_chain_says_before_it_closes_is_heard(host: Drawing) -> None:
    """A chain of rules that ends in a drop is its owner's policy, and no closing rule to step in front of."""
    iptables(host, *DOCKER, "iptables -F DOCKER-USER", "iptables -A DOCKER-USER -s 203.0.113.1 -j RETURN")
    iptables(host, "iptables -A DOCKER-USER -j DROP")
    host.fabric.prepare([], [])
    a = host.container("a", host.network("red"))
    assert targets(host)[0] == "DOCKER-USER"
    with host.serving(host.remote, tcp(80)):
        assert host.cut_off(a.ns, REMOTE4.ip, tcp(80))


def test_where_nothing_is_closed_any_more_nothing_of_ours_is_left(host: Drawing) -> None:
    iptables(host, *DOCKER)
    before = _rules(listed(host, "iptables-save"))
    host.fabric.prepare([], [])
    iptables(host, "iptables -P FORWARD ACCEPT")
    host.fabric.prepare([], [])
    assert _rules(listed(host, "iptables-save")) == [line.replace("FORWARD DROP", "FORWARD ACCEPT") for line in before]
    assert "SEALANE" in listed(host, "ip6tables-save")  # which still drops


def test_a_bridge_name_is_let_through_no_longer_than_its_network_lives(host: Drawing) -> None:
    iptables(host, *DOCKER)
    host.fabric.prepare([], [])
    network = host.network("red", **{BRIDGE + "name": "mine0"})
    assert "-A SEALANE -o mine0 -j ACCEPT" in listed(host, "iptables -S SEALANE")
    host.fabric.remove_network(network)
    assert "mine0" not in listed(host, "iptables -S SEALANE")


def test_legacy_iptables_is_named(host: Drawing) -> None:
    assert host.fabric.warnings == ()
    iptables(host, "iptables-legacy -P FORWARD DROP")
    host.fabric.prepare([], [])
    assert any("legacy iptables" in warning for warning in host.fabric.warnings)


def targets(drawing: Drawing) -> list[str]:
    """Where the rules of FORWARD lead, in order."""
    lines = listed(drawing, "iptables -S FORWARD").splitlines()
    return [line.split("-j ")[1].split()[0] for line in lines if "-j " in line]


def test_firewalls_that_we_do_not_touch_are_named(host: Drawing) -> None:
    text = "table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; reject; }; }"
    subprocess.run(["nsenter", f"--net={host.host}", "nft", text], check=True)
    host.fabric.prepare([], [])
    assert any("inet firewalld" in warning for warning in host.fabric.warnings)


def test_dismantling_takes_everything_of_ours_away(host: Drawing) -> None:
    iptables(host, *DOCKER)
    before = (listed(host, "iptables-save"), listed(host, "nft list tables"), host.ip(host.host, "-br link"))
    host.fabric.prepare([], [])
    network = host.network("red", enable_icc="false")
    assert network.bridge is not None
    host.fabric.dismantle()
    after = (listed(host, "iptables-save"), listed(host, "nft list tables"), host.ip(host.host, "-br link"))
    assert _rules(after[0]) == _rules(before[0])
    assert [line for line in after[1].splitlines() if "sealane" in line] == []
    assert after[2] == before[2]


def _rules(text: str) -> list[str]:
    return [line.split("[")[0] for line in text.splitlines() if not line.startswith("#")]
