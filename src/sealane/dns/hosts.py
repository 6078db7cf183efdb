"""The host's own name servers: ``resolv.conf``, read again whenever the file has become another one."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Final

from sealane.dns.answer import Upstream

MAX_SERVERS: Final = 3  # MAXNS of resolv.conf(5)
_OURSELVES: Final = IPv4Address("127.0.0.11")


def parse_resolv_conf(text: str) -> tuple[Upstream, ...]:
    """The name servers that *text* names, in its order. Lines that cannot be understood are skipped, as libc does."""
    servers: list[Upstream] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = ip_address(words[1])
            except ValueError:
                continue
            if address != _OURSELVES:
                servers.append(Upstream(address))
    return tuple(servers[:MAX_SERVERS])


class HostServers:
    """The servers of one ``resolv.conf``. A missing or unreadable file names none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int, int] | None = None
        self._servers: tuple[Upstream, ...] = ()

    def current(self) -> tuple[Upstream, ...]:
        """The servers as the file has them now: one stat(2) when nothing has changed."""
        try:
            now = os.stat(self._path)
            seen = (now.st_mtime_ns, now.st_ino, now.st_dev, now.st_size)
            if seen != self._seen:
                self._servers = parse_resolv_conf(self._path.read_text(errors="replace"))
                self._seen = seen
        except OSError:
            self._servers, self._seen = (), None
        return self._servers
