"""What a run of the tests has left on the host: taken before and after, compared.

Looked at with other eyes than the engine's (ip, nft, /proc). Only what could be ours counts: by name, by place, and for
processes by the mark in their environment. Things that carry the mark of another run beside this one do not count.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from support.session import MARK_VARIABLE, RUN, STATE, Session

_LINK: Final = re.compile(r"sl-[0-9a-f]{12}|sl[0-9a-f]{13}|slc-.*|sealane.*")
_PROGRAMS: Final = ("sealaned", "sealane-dns", "sealane-relay", "conmon", "docker-registry")
_OTHERS: Final = re.compile(r"(?:sealane[-/]|slc-)([0-9a-f]{4})-\d")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is of ours, as lines that a person can read."""

    own_namespace: frozenset[str]  # this process must not have strayed into another
    links: frozenset[str]
    mounts: frozenset[str]  # network namespaces with a name are mounts too
    tables: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    directories: frozenset[str]

    def since(self, before: Snapshot) -> list[str]:
        """What is here and was not before."""
        return [
            f"{field.name}: {item}"
            for field in fields(self)
            for item in sorted(getattr(self, field.name) - getattr(before, field.name))
        ]


def look(session: Session, *places: Path) -> Snapshot:
    """The host as it is now; *places* are directories of this run in which nothing may stay mounted."""

    def ours(items: Iterator[str]) -> frozenset[str]:
        return frozenset(item for item in items if _belongs(item, session))

    return Snapshot(
        own_namespace=frozenset({os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/mnt")}),
        links=ours(_links()),
        mounts=ours(_mounts(places)),
        tables=ours(_tables()),
        cgroups=ours(_cgroups()),
        processes=frozenset(_processes(session)),
        directories=ours(_directories()),
    )


def _belongs(item: str, session: Session) -> bool:
    """False for what says that it is of another run."""
    marks = _OTHERS.findall(item)
    return not marks or session.mark in marks


def _json(*command: str) -> Any:
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def _links() -> Iterator[str]:
    listed = _json("ip", "-json", "-details", "link", "show")
    marks = {link["ifname"]: " ".join(link.get("altnames", ())) for link in listed}
    for link in listed:
        if _LINK.fullmatch(link["ifname"]):
            master = link.get("master", "")
            yield " ".join(filter(None, (link["ifname"], marks[link["ifname"]], master, marks.get(master, ""))))


def _mounts(places: tuple[Path, ...]) -> Iterator[str]:
    below = tuple(f"{place}/" for place in places)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        path = line.split()[4]
        if "/sealane" in path.replace("/sealane-peers", "") or path.startswith(below):
            yield path


def _tables() -> Iterator[str]:
    for item in _json("nft", "-j", "list", "ruleset")["nftables"]:
        if "table" in item and item["table"]["name"].startswith("sealane"):
            yield f"{item['table']['family']} {item['table']['name']}"
        if "chain" in item and item["chain"]["name"].startswith("SEALANE"):
            name = item["chain"]["name"].lower()
            yield f"{item['chain']['family']} {item['chain']['table']} {name}"


def _cgroups() -> Iterator[str]:
    root = Path("/sys/fs/cgroup")
    roots = [root] if (root / "cgroup.controllers").exists() else list(root.iterdir())
    for hierarchy in roots:
        for top in hierarchy.glob("sealane*"):
            for folder, _, _ in os.walk(top):  # groups of others come and go meanwhile
                yield folder


def _processes(session: Session) -> Iterator[str]:
    mark = f"{MARK_VARIABLE}={session.mark}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environ = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        names = {os.path.basename(word).decode("utf-8", "replace") for word in words[:2]}
        if mark in environ and names & set(_PROGRAMS):
            yield f"{entry.name} {b' '.join(words[:6]).decode('utf-8', 'replace')}"


def _directories() -> Iterator[str]:
    for place in (RUN, STATE):
        yield from (str(path) for path in place.glob("sealane*"))
