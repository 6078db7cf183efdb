"""What a killed engine may have left: containers of which no record says that they run. Blocking; for a thread."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

from sealane.linux import cgroups, mounts
from sealane.runtime import rootfs, teardown
from sealane.runtime.child import kill_conmon, read_pid


def end_containers(run_dir: Path, keep: Collection[str]) -> None:
    """End every container below *run_dir* but *keep*: processes, groups, the runtime's state and the bundle.

    By their groups: whatever became of conmon, the container's processes are there. conmon goes first, so that it does
    not write down an end that nobody will ask for.
    """
    where = cgroups.layout()
    for bundle in (run_dir / "containers").iterdir():
        if bundle.name in keep:
            continue
        kill_conmon(read_pid(bundle / "conmon.pid"), bundle.name)
        path = teardown.cgroup_path(bundle)
        if path:
            teardown.kill_all(where, path)
            teardown.remove(where, path, run_dir / "oci" / bundle.name)
        exits = run_dir / "exits"
        for ended in (exits / bundle.name, *exits.glob(f"{bundle.name}.*")):
            ended.unlink(missing_ok=True)
        shutil.rmtree(bundle, ignore_errors=True)


def remove_parent(path: str) -> None:
    """Remove our parent group, unless another engine's containers are below it."""
    for folder in cgroups.layout().folders(path):
        with contextlib.suppress(OSError):
            folder.rmdir()


def settle_roots(containers: Path, keep: Collection[str], known: Collection[str]) -> None:
    """Unmount the roots of containers that do not run (not in *keep*), delete those that nobody knows."""
    for folder in containers.iterdir():
        if folder.name not in keep:
            rootfs.unmount_root(folder)
        if folder.name not in known:
            rootfs.remove_tree(folder)


def unmount_below(folder: Path) -> None:
    """Unmount everything below a directory, the last first."""
    for item in reversed(list(mounts.mountinfo())):
        if item.target.is_relative_to(folder) and item.target != folder:
            with contextlib.suppress(OSError):
                mounts.umount(item.target, lazy=True)
