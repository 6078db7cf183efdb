"""What every manager of the engine is given: where files lie, what time it is, fresh ids, settings.

ROOT (/var/lib/sealane)                      RUN (/run/sealane)
├── state.db            see store.database   ├── sealane.sock        Engine API
├── image/              see image.store      ├── sealaned.pid
├── containers/ID/                           ├── dns.sock relay.sock control of the helper processes
│   ├── hostname hosts resolv.conf[.hash]    ├── netns/ID            network namespaces, bind-mounted
│   ├── log             conmon's log         ├── exits/ID            exit codes, written by conmon
│   ├── upper/ work/    overlay              └── containers/ID/      bundle: config.json, pid files, attach
│   └── rootfs/         the merged mount
└── volumes/NAME/_data
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sealane.values import ContainerId, IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class Layout:
    """The engine's directories, drawn above."""

    root: Path
    run: Path

    @property
    def netns(self) -> Path:
        return self.run / "netns"

    @property
    def exits(self) -> Path:
        return self.run / "exits"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    def container(self, identifier: ContainerId) -> Path:
        return self.root / "containers" / identifier

    def bundle(self, identifier: ContainerId) -> Path:
        return self.run / "containers" / identifier

    def rootfs(self, identifier: ContainerId) -> Path:
        return self.container(identifier) / "rootfs"

    def log(self, identifier: ContainerId) -> Path:
        return self.container(identifier) / "log"

    def sandbox(self, identifier: ContainerId) -> Path:
        return self.netns / identifier

    def make(self) -> None:
        """Create the directories that do not exist yet, readable by root alone where secrets could lie."""
        for folder in (self.root, self.root / "containers", self.volumes, self.run, self.netns, self.exits):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        (self.run / "containers").mkdir(mode=0o700, exist_ok=True)


class Clock(Protocol):
    def now_ns(self) -> int: ...


class SystemClock:
    """The machine's clock, UTC."""

    def now_ns(self) -> int:
        return time.time_ns()


def random_id() -> str:
    """64 hex digits; the first twelve are never all decimal, so that a short id is not taken for a number."""
    while True:
        text = os.urandom(32).hex()
        if not text[:12].isdecimal():
            return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The part of the configuration that the engine's verbs read; see ``sealane.config`` for every key."""

    default_pools: tuple[tuple[IPNetwork, int], ...] = ()
    bridge_name: str = "sealane0"
    bridge_subnet: IPNetwork | None = None
    bridge_ipv6: bool = False
    mtu: int | None = None
    dns: tuple[IPAddress, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    host_gateway: IPAddress | None = None
    default_bind: IPAddress | None = None  # None: every address of the host
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)
    shm_size: int = 64 << 20
    stop_timeout_s: int = 10
    cgroup_parent: str = "/sealane"
    init_path: Path | None = None
    mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    layout: Layout
    settings: Settings
    clock: Clock
    new_id: Callable[[], str]
    host_id: str
