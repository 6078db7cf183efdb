"""Turns the host into a router for its containers (Documentation/networking/ip-sysctl.rst in the kernel)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sealane.linux import namespaces, sysctl

_ALL4: Final = "net.ipv4.ip_forward"
_ALL6: Final = "net.ipv6.conf.all.forwarding"
_CONF6: Final = Path("/proc/sys/net/ipv6/conf")


def enable(host_ns: Path | None, ipv6: bool) -> None:
    """Switch IPv4 forwarding on, and IPv6's when some network has IPv6. Nothing is written that is on already."""
    _in(host_ns, _enable4)
    if ipv6:
        _in(host_ns, _enable6)


def _in(host_ns: Path | None, work: Callable[[], None]) -> None:
    if host_ns is None:
        work()
    else:
        namespaces.run_in(host_ns, work)


def _enable4() -> None:
    if sysctl.get(_ALL4) == "0":
        sysctl.put(_ALL4, "1")


def _enable6() -> None:
    if sysctl.get(_ALL6) != "0":
        return
    # A forwarding interface ignores router advertisements unless accept_ra is 2: without this the host would lose the
    # default route that it got from its router.
    for folder in _CONF6.iterdir():
        if (folder / "accept_ra").read_text().strip() == "1":
            (folder / "accept_ra").write_text("2")
    sysctl.put(_ALL6, "1")
