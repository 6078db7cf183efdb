"""Changes are told as they happen, by whomever they are made."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Callable
from pathlib import Path

from kernel.linux.eyes import ip
from sealane.linux import namespaces
from sealane.linux.netlink.monitor import Change, Monitor
from sealane.linux.netlink.rtnl import Address, Link, Route
from support.poll import until


def collect(monitor: Monitor, wanted: Callable[[list[Change]], bool]) -> list[Change]:
    found: list[Change] = []

    def look() -> bool:
        select.select([monitor], [], [], 0.2)
        changes, lost = monitor.read()
        assert not lost
        found.extend(changes)
        return wanted(found)

    until(look, "the changes are told")
    return found


def name_of(change: Change) -> str:
    item = change.item
    if isinstance(item, Link):
        return item.name
    return str(item.interface if isinstance(item, Address) else item.dst)


def test_links_addresses_and_routes_of_one_namespace(ns: Path, other: Path) -> None:
    with namespaces.run_in(ns, Monitor) as monitor:
        assert monitor.read() == ([], False)
        ip(other, "link add elsewhere type bridge")
        for command in (
            "link add br0 type bridge",
            "link set br0 up",
            "addr add 10.1.0.1/24 dev br0",
            "route add 10.2.0.0/24 dev br0",
            "addr del 10.1.0.1/24 dev br0",
            "link del br0",
        ):
            ip(ns, command)

        def gone(found: list[Change]) -> bool:
            return any(c.action == "del" and isinstance(c.item, Link) and c.item.name == "br0" for c in found)

        found = collect(monitor, gone)
    told = [(change.action, name_of(change)) for change in found]
    order = [("add", "br0"), ("add", "10.1.0.1/24"), ("add", "10.2.0.0/24"), ("del", "10.1.0.1/24"), ("del", "br0")]
    places = [told.index(item) for item in order]
    assert places == sorted(places)
    assert ("add", "elsewhere") not in told
    assert any(isinstance(c.item, Route) for c in found)
    assert any(isinstance(c.item, Link) and c.item.up for c in found)


def test_losing_changes_is_told(ns: Path) -> None:
    """A reader that is too slow hears of it, and then only of what comes after."""
    with namespaces.run_in(ns, Monitor) as monitor:
        ip(ns, "link add br0 type bridge")

        def flood() -> bool:
            verbs = [(verb, n) for verb in ("add", "del") for n in range(4000)]
            batch = "\n".join(f"addr {verb} 10.{n // 250}.{n % 250}.1/32 dev br0" for verb, n in verbs)
            _ip_batch(ns, batch)
            return monitor.read()[1]

        until(flood, "changes are lost", timeout_s=60)
        assert monitor.read() == ([], False)
        ip(ns, "link set br0 up")
        assert collect(monitor, bool)


def _ip_batch(ns: Path, lines: str) -> None:
    subprocess.run(["nsenter", f"--net={ns}", "ip", "-batch", "-"], input=lines, text=True, check=True)
