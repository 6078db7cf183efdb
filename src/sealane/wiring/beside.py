"""Living beside other firewalls: what they drop of our containers' traffic, and the one place where we ask leave.

A packet is forwarded only when EVERY base chain at the forward hook accepts it: an accept in our table cannot overrule
a drop in another's (nft(8), "Verdict statement"). Docker sets the policy of iptables' FORWARD chain to drop when it was
the one to switch forwarding on, ufw does so too; beside them our containers would be cut off, and with br_netfilter on
even two neighbours on one bridge. Our own table has no means against that, so here, and only here, we write into a
table that is not ours: into iptables' ``filter`` (of nft's ip and ip6 families), one chain by our name with a jump to
it at the end of FORWARD. What it says, iptables can read as well (``iptables -S SEALANE``):

* packets on their way into a bridge of ours: accepted, because ``inet sealane`` has decided about them already;
* packets on their way into a bridge of other programs: back to their rules;
* packets from our bridges: accepted.

The jump stands last, or right before the rule that closes the chain, so that everything that was said before, by ufw's
rules or in DOCKER-USER, goes first. Where nothing is closed we write nothing, and take back what we wrote. Other tables
that drop (firewalld's) have their own ways of being asked; they are named in a warning.
See docs/decisions/0002-beside-other-firewalls.md.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sealane.linux import namespaces
from sealane.linux.nft import Nft
from sealane.values import IfName

#: Bridges of Docker, libvirt, Podman, LXC and LXD: their own rules decide who gets in.
OTHERS_BRIDGES: Final = ("docker0", "docker_gwbridge", "br-*", "virbr*", "podman*", "cni*", "lxcbr*", "lxdbr*")
OUR_BRIDGES: Final = "sl-*"
#: Of the thread's own namespace; /proc/net is that of the process's first thread.
_LEGACY: Final = tuple(Path(f"/proc/thread-self/net/{family}_tables_names") for family in ("ip", "ip6"))
_QUIET: Final = frozenset(("counter", "log"))  # statements that let the packet go on

_LEGACY_WARNING: Final = (
    "the host uses legacy iptables (ip_tables): if its FORWARD policy is DROP, containers are cut off; "
    "iptables-legacy -A FORWARD -i sl-+ -j ACCEPT and -o sl-+ -j ACCEPT let them through"
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A base chain of somebody else that lets forwarded packets through only when told to.

    ``closing`` is the handle of the rule that drops or rejects the rest, 0 where the policy does it. ``jumps`` are the
    handles of our jumps in it, ``placed`` says that there is one and that it stands where it should.
    """

    family: str
    table: str
    name: str
    closing: int = 0
    jumps: tuple[int, ...] = ()
    placed: bool = False

    @property
    def iptables(self) -> bool:
        """True when this is the FORWARD chain of iptables' filter table."""
        return self.family in ("ip", "ip6") and (self.table, self.name) == ("filter", "FORWARD")


@dataclass(frozen=True, slots=True)
class Listing:
    """The whole ruleset of a host, as nft's JSON gives it (libnftables-json(5))."""

    chains: tuple[Json, ...]
    rules: Mapping[tuple[str, str, str], Sequence[Json]]  # by family, table and chain

    @classmethod
    def parse(cls, *texts: str) -> Listing:
        items = [item for text in texts for item in json.loads(text)["nftables"]]
        rules: dict[tuple[str, str, str], list[Json]] = {}
        for item in items:
            if "rule" in item:
                rule = item["rule"]
                rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(rule)
        return cls(tuple(item["chain"] for item in items if "chain" in item), rules)

    def closed(self, own_table: str) -> Iterator[BaseChain]:
        """The forward chains that drop what nobody accepts, those of our own table left out."""
        for chain in self.chains:
            if chain.get("hook") != "forward" or chain["table"] == own_table:
                continue
            if chain["family"] in ("ip", "ip6", "inet"):
                found = self._closed(chain, own_table.upper())
                if found is not None:
                    yield found

    def _closed(self, chain: Json, name: str) -> BaseChain | None:
        own = self.rules.get((chain["family"], chain["table"], chain["name"]), ())
        closing = next((number for number, rule in enumerate(own) if self._closes(rule)), None)
        if closing is None and chain.get("policy") != "drop":
            return None
        end = len(own) if closing is None else closing
        jumps = [number for number, rule in enumerate(own) if _jumps_to(rule, name)]
        return BaseChain(
            chain["family"],
            chain["table"],
            chain["name"],
            closing=0 if closing is None else own[closing]["handle"],
            jumps=tuple(own[number]["handle"] for number in jumps),
            placed=len(jumps) == 1
            and jumps[0] < end
            and all(self._to_a_sister(rule) for rule in own[jumps[0] + 1 : end]),
        )

    def _to_a_sister(self, rule: Json) -> bool:
        """True for the jump of another engine of ours: were each to go last, they would never come to rest."""
        first = self.rules.get((rule["family"], rule["table"], _target_of(rule)), ())[:1]
        return bool(first) and _spoken(first[0]) == said(())[0]

    def _closes(self, rule: Json) -> bool:
        """True for a rule that drops or rejects every packet that gets to it, by itself or by the chain that it jumps
        to (ufw-reject-forward). A chain that says anything before counts as its owner's business."""
        parts = [part for part in rule.get("expr", []) if not _QUIET & part.keys()]
        if len(parts) != 1:
            return False
        target = _target(parts[0])
        if target:
            first = self.rules.get((rule["family"], rule["table"], target), ())[:1]
            return bool(first) and not _target_of(first[0]) and self._closes(first[0])
        extension = (parts[0].get("xt") or {}).get("name", "")  # of iptables
        return extension in ("REJECT", "DROP") or bool({"drop", "reject"} & parts[0].keys())

    def written(self, family: str, own_table: str) -> list[tuple[str, str, str]]:
        """What our chain in iptables' filter table says now, as ``said`` has it."""
        return [_spoken(rule) for rule in self.rules.get((family, "filter", own_table.upper()), ())]

    def traces(self, own_table: str, families: Iterable[str]) -> Iterator[str]:
        """The commands that take our chain and every jump to it out of the tables of others."""
        name = own_table.upper()
        for family in families:
            for (where, table, chain), rules in self.rules.items():
                if (where, table) == (family, "filter"):
                    jumps = [rule["handle"] for rule in rules if _jumps_to(rule, name)]
                    yield from (f"delete rule {family} {table} {chain} handle {handle}" for handle in jumps)
            for own in self.chains:
                if (own["family"], own["table"], own["name"]) == (family, "filter", name):
                    yield from (f"flush chain {family} filter {name}", f"delete chain {family} filter {name}")


def _spoken(rule: Json) -> tuple[str, str, str]:
    match: Json = next((part["match"] for part in rule.get("expr", []) if "match" in part), {})
    left, right = match.get("left"), match.get("right", "")
    field = left.get("meta", {}).get("key", "") if isinstance(left, dict) else ""
    verdict = next((word for part in rule.get("expr", []) for word in ("accept", "return") if word in part), "")
    return field, str(right), verdict


def _target(part: Json) -> str:
    """The chain that a statement leads to, if it does."""
    said = part.get("jump") or part.get("goto") or {}
    return str(said.get("target", ""))


def _target_of(rule: Json) -> str:
    return next((target for part in rule.get("expr", []) if (target := _target(part))), "")


def _jumps_to(rule: Json, chain: str) -> bool:
    return _target_of(rule) == chain


def said(bridges: Iterable[IfName]) -> list[tuple[str, str, str]]:
    """The rules of our chain: what is looked at, the bridge, the verdict."""
    ours = (OUR_BRIDGES, *bridges)
    return [
        *(("oifname", bridge, "accept") for bridge in ours),
        *(("oifname", bridge, "return") for bridge in OTHERS_BRIDGES),
        *(("iifname", bridge, "accept") for bridge in ours),
    ]


def leave(chain: BaseChain, own_table: str, bridges: Iterable[IfName]) -> Iterator[str]:
    """The commands that let our traffic through iptables' *chain*; *bridges* are those with names of their own.

    The rules are such as iptables writes them, so that its tools can list and keep them.
    """
    name = own_table.upper()
    place = f"{chain.family} {chain.table}"
    yield from (f"add chain {place} {name}", f"flush chain {place} {name}")
    yield from (
        f'add rule {place} {name} {field} "{bridge}" counter {verdict}' for field, bridge, verdict in said(bridges)
    )
    if chain.placed:
        return
    yield from (f"delete rule {place} {chain.name} handle {handle}" for handle in chain.jumps)
    if chain.closing:
        yield f"insert rule {place} {chain.name} handle {chain.closing} counter jump {name}"
    else:
        yield f"add rule {place} {chain.name} counter jump {name}"


class Neighbours:
    """Keeps the way open in one host namespace. ``warnings`` says what we could not do anything about."""

    def __init__(self, nft: Nft, host_ns: Path | None, own_table: str) -> None:
        self._nft = nft
        self._host_ns = host_ns
        self._own_table = own_table
        self._asked = False
        self._bridges: frozenset[IfName] = frozenset()
        self.warnings: tuple[str, ...] = ()

    def look(self, bridges: Iterable[IfName], everywhere: bool = True) -> None:
        """See which chains are closed now, ask leave in those of iptables, and take back what is needed no more.

        *bridges* are those of all our networks. Nothing is written where all is as it should be. *everywhere* looks for
        reasons to warn in all tables, which takes some ms, not only at iptables'. Raises OSError.
        """
        self._bridges = _named(bridges)
        listing = Listing.parse(self._nft.query_json("list ruleset")) if everywhere else self._filter_tables()
        found = list(listing.closed(self._own_table))
        closed = [chain for chain in found if chain.iptables]
        if everywhere:
            self.warnings = (*(_warning(chain) for chain in found if not chain.iptables), *self._legacy_warnings())
        opened = [family for family in ("ip", "ip6") if all(chain.family != family for chain in closed)]
        lines = [*listing.traces(self._own_table, opened)]
        named = sorted(self._bridges)
        for chain in closed:
            if not chain.placed or listing.written(chain.family, self._own_table) != said(named):
                lines += leave(chain, self._own_table, named)
        if lines:
            self._nft.run("\n".join(lines))
        self._asked = bool(closed)

    def update(self, bridges: Iterable[IfName]) -> None:
        """Networks have come or gone; *bridges* are those of all that there are. Only names of their own matter."""
        if self._asked and _named(bridges) != self._bridges:
            self.look(bridges, everywhere=False)

    def withdraw(self) -> None:
        """Take back what was written into tables of others."""
        lines = [*self._filter_tables().traces(self._own_table, ("ip", "ip6"))]
        if lines:
            self._nft.run("\n".join(lines))
        self._asked = False

    def _filter_tables(self) -> Listing:
        texts = []
        for family in ("ip", "ip6"):
            try:
                texts.append(self._nft.query_json(f"list table {family} filter"))
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
        return Listing.parse(*texts)

    def _legacy_warnings(self) -> list[str]:
        """Legacy iptables is not shown by nft, and its policy is not to be had without it."""
        closed = _legacy_filter() if self._host_ns is None else namespaces.run_in(self._host_ns, _legacy_filter)
        return [_LEGACY_WARNING] if closed else []


def _named(bridges: Iterable[IfName]) -> frozenset[IfName]:
    """Those whose name somebody else chose."""
    return frozenset(bridge for bridge in bridges if not bridge.startswith(OUR_BRIDGES.removesuffix("*")))


def _legacy_filter() -> bool:
    """True when legacy iptables has a filter table in the thread's namespace."""
    return any(path.exists() and "filter" in path.read_text().split() for path in _LEGACY)


def _warning(chain: BaseChain) -> str:
    text = (
        f"the chain {chain.name} of the nftables table {chain.family} {chain.table} drops forwarded packets that it "
        "does not know: containers may be cut off"
    )
    if chain.table == "firewalld":
        return text + "; firewall-cmd --zone=trusted --add-interface=BRIDGE lets a network through"
    return text + f'; accept iifname "{OUR_BRIDGES}" and oifname "{OUR_BRIDGES}" there'
