"""What engines cost in processes and memory, read from /proc.

Memory is PSS: shared pages count by share, so the numbers of several processes add up (proc(5), smaps_rollup).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def on_the_host() -> set[int]:
    """The processes outside all containers: those in our own pid namespace."""
    own = os.readlink("/proc/self/ns/pid")
    found = set()
    for entry in _PROC.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and os.readlink(entry / "ns" / "pid") == own and _size(int(entry.name)):
                found.add(int(entry.name))
    return found


def _size(pid: int) -> int:
    """PSS in bytes; 0 for a kernel thread and for a process that is gone."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def memory(pids: Iterable[int]) -> int:
    """Bytes."""
    return sum(_size(pid) for pid in pids)


def engine(address: str) -> set[int]:
    """The engine's processes: who listens on its socket, what that has started, and helpers that listen beside it."""
    path = Path(address.removeprefix("unix://"))
    found = {pid for pid in (_peer(path), _peer(path.parent / "dns.sock"), _peer(path.parent / "relay.sock")) if pid}
    parents = {pid: _parent(pid) for pid in on_the_host()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def _peer(path: Path) -> int:
    with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
        sock.connect(str(path))
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
    return 0


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def watching(containers: Iterable[str]) -> set[int]:
    """The processes on the host that have a container's id on their command line: conmon, containerd-shim."""
    words = [container.encode() for container in containers]
    found = set()
    for pid in on_the_host():
        with contextlib.suppress(OSError):
            line = (_PROC / str(pid) / "cmdline").read_bytes()
            if any(word in line for word in words):
                found.add(pid)
    return found
