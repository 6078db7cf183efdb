"""Control groups, version 1, 2 and the mixture of both (cgroups(7)): where they lie, what a group uses, its removal.

Nothing here creates groups or moves processes: the OCI runtime does. Paths are relative to a hierarchy's root
(``/sealane/ID``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sealane.linux.mounts import mountinfo

_ROOT: Final = Path("/sys/fs/cgroup")
_TICK_NS: Final = 10_000_000
_REMOVE_TRIES: Final = 50


@dataclass(frozen=True, slots=True)
class CgroupLayout:
    """``version`` is v1, hybrid or v2; ``hierarchies`` maps a controller (v1) or "" (v2) to its mount point."""

    version: str
    hierarchies: Mapping[str, Path]

    def folders(self, path: str) -> list[Path]:
        """The directories of a group in every hierarchy, whether or not they exist, each once."""
        relative = path.lstrip("/")
        return list(dict.fromkeys(root / relative for root in self.hierarchies.values()))

    def folder(self, controller: str, path: str) -> Path | None:
        """The directory of a group where *controller* is accounted."""
        root = self.hierarchies.get("" if self.version == "v2" else controller)
        return None if root is None else root / path.lstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupUsage:
    """A group's counters: bytes, nanoseconds, processes; 0 where the kernel does not account."""

    memory: int = 0
    memory_limit: int = 0
    memory_stats: Mapping[str, int] = field(default_factory=dict)
    cpu_total_ns: int = 0
    cpu_user_ns: int = 0
    cpu_kernel_ns: int = 0
    pids: int = 0
    pids_limit: int = 0
    block_read: int = 0
    block_write: int = 0
    oom_kills: int = 0


def layout() -> CgroupLayout:
    """Look at what is mounted below /sys/fs/cgroup."""
    hierarchies: dict[str, Path] = {}
    unified: Path | None = None
    for item in mountinfo():
        if item.fstype == "cgroup2" and item.target.is_relative_to(_ROOT):
            unified = item.target
        elif item.fstype == "cgroup" and item.target.is_relative_to(_ROOT):
            for option in item.options.split(","):
                if option in _V1_CONTROLLERS or option.startswith("name="):
                    hierarchies[option] = item.target
    if not hierarchies:
        return CgroupLayout("v2", {"": unified or _ROOT})
    if unified is not None:
        hierarchies[""] = unified
    return CgroupLayout("hybrid" if unified is not None else "v1", hierarchies)


_V1_CONTROLLERS: Final = frozenset(
    {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio", "hugetlb",
     "perf_event", "rdma", "misc"}
)  # fmt: skip


def _number(file: Path) -> int:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0


def _table(file: Path) -> dict[str, int]:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {words[0]: int(words[1]) for words in pairs if len(words) == 2 and words[1].isdecimal()}


def usage(where: CgroupLayout, path: str) -> CgroupUsage:
    """Read a group's counters; a group that is gone reads as zeros."""
    return _usage_v2(where.hierarchies[""] / path.lstrip("/")) if where.version == "v2" else _usage_v1(where, path)


def _usage_v2(folder: Path) -> CgroupUsage:
    cpu = _table(folder / "cpu.stat")
    read, write = _io_v2(folder / "io.stat")
    return CgroupUsage(
        memory=_number(folder / "memory.current"),
        memory_limit=_number(folder / "memory.max"),
        memory_stats=_table(folder / "memory.stat"),
        cpu_total_ns=cpu.get("usage_usec", 0) * 1000,
        cpu_user_ns=cpu.get("user_usec", 0) * 1000,
        cpu_kernel_ns=cpu.get("system_usec", 0) * 1000,
        pids=_number(folder / "pids.current"),
        pids_limit=_number(folder / "pids.max"),
        block_read=read,
        block_write=write,
        oom_kills=_table(folder / "memory.events").get("oom_kill", 0),
    )


def _usage_v1(where: CgroupLayout, path: str) -> CgroupUsage:
    missing = Path("/nonexistent")
    memory = where.folder("memory", path) or missing
    cpu = where.folder("cpuacct", path) or missing
    pids = where.folder("pids", path) or missing
    blocks = _table_v1_io((where.folder("blkio", path) or missing) / "blkio.throttle.io_service_bytes")
    ticks = _table(cpu / "cpuacct.stat")
    return CgroupUsage(
        memory=_number(memory / "memory.usage_in_bytes"),
        memory_limit=_number(memory / "memory.limit_in_bytes"),
        memory_stats=_table(memory / "memory.stat"),
        cpu_total_ns=_number(cpu / "cpuacct.usage"),
        cpu_user_ns=ticks.get("user", 0) * _TICK_NS,
        cpu_kernel_ns=ticks.get("system", 0) * _TICK_NS,
        pids=_number(pids / "pids.current"),
        pids_limit=_number(pids / "pids.max"),
        block_read=blocks[0],
        block_write=blocks[1],
        oom_kills=_table(memory / "memory.oom_control").get("oom_kill", 0),
    )


def _io_v2(file: Path) -> tuple[int, int]:
    read = write = 0
    with contextlib.suppress(OSError):
        for line in file.read_text(encoding="ascii").splitlines():
            values = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
            read += int(values.get("rbytes", 0))
            write += int(values.get("wbytes", 0))
    return read, write


def _table_v1_io(file: Path) -> tuple[int, int]:
    read = write = 0
    with contextlib.suppress(OSError):
        for line in file.read_text(encoding="ascii").splitlines():
            words = line.split()
            if len(words) == 3 and words[1] == "Read":
                read += int(words[2])
            elif len(words) == 3 and words[1] == "Write":
                write += int(words[2])
    return read, write


def procs(where: CgroupLayout, path: str) -> list[int]:
    """The processes of a group and of the groups below it."""
    controller = "" if where.version == "v2" else ("pids" if "pids" in where.hierarchies else "devices")
    folder = where.folder(controller, path)
    found: list[int] = []
    if folder is None:
        return found
    for top, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            found += [int(line) for line in (Path(top) / "cgroup.procs").read_text(encoding="ascii").split()]
    return sorted(set(found))


def remove(where: CgroupLayout, path: str) -> None:
    """Remove a group and those below it from every hierarchy. Its processes must have ended; the kernel may need a
    moment to notice, which is waited for (half a second at most)."""
    for folder in where.folders(path):
        for top, _, _ in os.walk(folder, topdown=False):
            _rmdir(Path(top))


def _rmdir(folder: Path) -> None:
    for _ in range(_REMOVE_TRIES):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.01)
        else:
            return
    raise OSError(errno.EBUSY, f"remove cgroup {folder}: processes are still in it")
