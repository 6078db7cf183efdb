"""Living beside other firewalls: what they drop of our containers' traffic, and the one place where we ask leave.

A packet is forwarded only when EVERY base chain at the forward hook accepts it: an accept in our table cannot overrule
a drop in another's (nft(8), "Verdict statement"). Docker sets the policy of iptables' FORWARD chain to drop when it was
the one to switch forwarding on, ufw does so too; beside them our containers would be cut off, and with br_netfilter on
even two neighbours on one bridge. Our own table has no means against that, so here, and only here, we write into a
table that is not ours: into iptables' ``filter`` (of nft's ip and ip6 families), one chain by our name with a jump to
it at the end of FORWARD. What it says, iptables can read as well (``iptables -S SEALANE``):

* packets on their way into a bridge of other programs: back to their rules;
* packets from or to our bridges: accepted, because ``inet sealane`` has decided about them already.

The jump stands last, so that everything that was said before, by ufw's rules or in DOCKER-USER, goes first. Other
tables that drop (firewalld's) have their own ways of being asked; they are named in a warning. See docs/decisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealane.linux import namespaces
from sealane.linux.nft import Nft
from sealane.values import IfName

#: Bridges of Docker, libvirt, Podman, LXC and LXD: their own rules decide who gets in.
OTHERS_BRIDGES: Final = ("docker0", "docker_gwbridge", "br-*", "virbr*", "podman*", "cni*", "lxcbr*", "lxdbr*")
OUR_BRIDGES: Final = "sl-*"
_LEGACY: Final = (Path("/proc/net/ip_tables_names"), Path("/proc/net/ip6_tables_names"))


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A base chain of somebody else that lets forwarded packets through only when told to.

    ``last`` is the handle of a closing rule that drops or rejects the rest, 0 where the policy does it.
    """

    family: str
    table: str
    name: str
    last: int
    jumps: bool = False  # it has our jump already

    @property
    def iptables(self) -> bool:
        """True when this is the FORWARD chain of iptables' filter table."""
        return self.family in ("ip", "ip6") and (self.table, self.name) == ("filter", "FORWARD")


def closed_chains(listing: str, own_table: str) -> Iterator[BaseChain]:
    """The forward chains in nft's JSON *listing* (of the whole ruleset) that drop what nobody accepts."""
    items = [item for item in json.loads(listing)["nftables"] if "chain" in item or "rule" in item]
    rules: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for item in items:
        if "rule" in item:
            rule = item["rule"]
            rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(rule)
    for item in items:
        chain = item.get("chain")
        if chain is None or chain.get("hook") != "forward" or chain["table"] == own_table:
            continue
        if chain["family"] not in ("ip", "ip6", "inet"):
            continue
        own = rules.get((chain["family"], chain["table"], chain["name"]), [])
        last = own[-1]["handle"] if own and _closes(own[-1]) else 0
        if last or chain.get("policy") == "drop":
            jumps = any(_jumps_to(rule, own_table.upper()) for rule in own)
            yield BaseChain(chain["family"], chain["table"], chain["name"], last, jumps)


def _closes(rule: dict[str, Any]) -> bool:
    """True for a rule that drops or rejects everything that gets to it."""
    said = [part for part in rule.get("expr", []) if "counter" not in part]
    if len(said) != 1:
        return False
    target = (said[0].get("xt") or {}).get("name", "")  # an extension of iptables
    return target in ("REJECT", "DROP") or bool({"drop", "reject"} & said[0].keys())


def _jumps_to(rule: dict[str, Any], chain: str) -> bool:
    return any(part.get("jump", {}).get("target") == chain for part in rule.get("expr", []) if "jump" in part)


def leave(chain: BaseChain, own_table: str, bridges: Iterable[IfName]) -> str:
    """The transaction that lets our traffic through iptables' *chain*; *bridges* are those with names of their own.

    The rules are such as iptables writes them, so that its tools can list and keep them.
    """
    name = own_table.upper()
    place = f"{chain.family} {chain.table}"
    ours = (OUR_BRIDGES, *bridges)
    lines = [f"add chain {place} {name}", f"flush chain {place} {name}"]
    lines += [f'add rule {place} {name} oifname "{bridge}" counter accept' for bridge in ours]
    lines += [f'add rule {place} {name} oifname "{bridge}" counter return' for bridge in OTHERS_BRIDGES]
    lines += [f'add rule {place} {name} iifname "{bridge}" counter accept' for bridge in ours]
    if not chain.jumps and chain.last:
        lines.append(f"insert rule {place} {chain.name} handle {chain.last} counter jump {name}")
    elif not chain.jumps:
        lines.append(f"add rule {place} {chain.name} counter jump {name}")
    return "\n".join(lines)


def unleave(listing: str, own_table: str) -> str:
    """The transaction that takes our chain and every jump to it out of the tables of others; may be empty."""
    name = own_table.upper()
    lines = []
    for item in json.loads(listing)["nftables"]:
        rule = item.get("rule")
        if rule is not None and _jumps_to(rule, name):
            lines.append(f"delete rule {rule['family']} {rule['table']} {rule['chain']} handle {rule['handle']}")
    for item in json.loads(listing)["nftables"]:
        chain = item.get("chain")
        if chain is not None and chain["name"] == name and chain["table"] == "filter":
            place = f"{chain['family']} {chain['table']} {name}"
            lines += [f"flush chain {place}", f"delete chain {place}"]
    return "\n".join(lines)


class Neighbours:
    """Keeps the way open in one host namespace. ``warnings`` says what we could not do anything about."""

    def __init__(self, nft: Nft, host_ns: Path | None, own_table: str) -> None:
        self._nft = nft
        self._host_ns = host_ns
        self._own_table = own_table
        self._closed: list[BaseChain] = []
        self._bridges: list[IfName] = []
        self.warnings: tuple[str, ...] = ()

    def look(self, bridges: Iterable[IfName]) -> None:
        """See which chains are closed now, and ask leave in those of iptables. Raises OSError."""
        found = list(closed_chains(self._nft.query_json("list ruleset"), self._own_table))
        self._closed = [chain for chain in found if chain.iptables]
        self._bridges = [bridge for bridge in bridges if not bridge.startswith("sl-")]
        warnings = [_warning(chain) for chain in found if not chain.iptables]
        if self._legacy():
            warnings.append(
                "the host uses legacy iptables (ip_tables): if its FORWARD policy is DROP, containers are cut off; "
                "iptables-legacy -A FORWARD -i sl-+ -j ACCEPT and -o sl-+ -j ACCEPT let them through"
            )
        self.warnings = tuple(warnings)
        self._ask()

    def welcome(self, bridge: IfName) -> None:
        """A bridge with a name of its own has come."""
        if self._closed and not bridge.startswith("sl-") and bridge not in self._bridges:
            self._bridges.append(bridge)
            self._closed = [BaseChain(c.family, c.table, c.name, c.last, jumps=True) for c in self._closed]
            self._ask()

    def withdraw(self) -> None:
        """Take back what was written into tables of others."""
        text = unleave(self._nft.query_json("list ruleset"), self._own_table)
        if text:
            self._nft.run(text)

    def _ask(self) -> None:
        for chain in self._closed:
            self._nft.run(leave(chain, self._own_table, self._bridges))

    def _legacy(self) -> bool:
        """True when legacy iptables has a filter table here: nft does not show it."""
        return _legacy_filter() if self._host_ns is None else namespaces.run_in(self._host_ns, _legacy_filter)


def _legacy_filter() -> bool:
    return any(path.exists() and "filter" in path.read_text().split() for path in _LEGACY)


def _warning(chain: BaseChain) -> str:
    text = (
        f"the chain {chain.name} of the nftables table {chain.family} {chain.table} drops forwarded packets that it "
        "does not know: containers may be cut off"
    )
    if chain.table == "firewalld":
        return text + "; firewall-cmd --zone=trusted --add-interface=BRIDGE lets a network through"
    return text + f'; accept iifname "{OUR_BRIDGES}" and oifname "{OUR_BRIDGES}" there'
