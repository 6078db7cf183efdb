"""Taking away what is left of a container: its processes, cgroups and the runtime's state directory.

This is what ``runtime delete --force`` does, done here because a further process costs more than the work. It is
complete whatever state the container is in, also half made: every process in its cgroups is killed first. Blocking; for
a thread.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from sealane.linux import cgroups, process

_KILL_SECONDS: Final = 10.0
_PAUSE_S: Final = 0.002


class _Linux(msgspec.Struct, rename="camel"):
    cgroups_path: str = ""


class _Config(msgspec.Struct):
    linux: _Linux


def cgroup_path(bundle: Path) -> str:
    """The container's cgroup as its ``config.json`` says, "" when there is none."""
    try:
        return msgspec.json.decode((bundle / "config.json").read_bytes(), type=_Config).linux.cgroups_path
    except (OSError, msgspec.DecodeError):
        return ""


def kill_all(layout: cgroups.CgroupLayout, path: str) -> None:
    """Kill every process below a cgroup and wait until it is empty. Raises OSError EBUSY when one does not go."""
    deadline = time.monotonic() + _KILL_SECONDS
    thawed = False
    while left := cgroups.procs(layout, path):
        for pid in left:
            _kill(pid)
        if not thawed:
            _thaw(layout, path)
            thawed = True
        if time.monotonic() > deadline:
            raise OSError(16, f"kill the processes of cgroup {path}: {left} do not end")
        time.sleep(_PAUSE_S)


def kill_family(pid: int, ended: Callable[[], bool]) -> None:
    """Kill the children of conmon *pid* until it has none, also those that it inherits from them, or has *ended*."""
    deadline = time.monotonic() + _KILL_SECONDS
    while not ended() and (left := process.children(pid)) and time.monotonic() < deadline:
        for child in left:
            _kill(child)
        time.sleep(_PAUSE_S)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _thaw(layout: cgroups.CgroupLayout, path: str) -> None:
    """In a frozen v1 group a killed process does not end until the group is thawed."""
    folder = layout.folder("freezer", path)
    for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        if folder is not None and (folder / name).exists():
            (folder / name).write_text(value)


def remove(layout: cgroups.CgroupLayout, path: str, state_dir: Path) -> None:
    """Remove cgroup *path* in every hierarchy and the runtime's *state_dir*. What is not there is passed over."""
    if path and not _remove_quickly(layout, path):
        kill_all(layout, path)
        cgroups.remove(layout, path)
    shutil.rmtree(state_dir, ignore_errors=True)


def _remove_quickly(layout: cgroups.CgroupLayout, path: str) -> bool:
    """The usual case: nobody is in it and nothing below it."""
    for folder in layout.folders(path):
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def oom_kills(layout: cgroups.CgroupLayout, path: str) -> int:
    """How many processes of a cgroup the kernel has killed for want of memory."""
    folder = layout.folder("memory", path)
    name = "memory.events" if layout.version == "v2" else "memory.oom_control"
    try:
        lines = (folder / name).read_text(encoding="ascii").splitlines() if folder is not None else []
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
