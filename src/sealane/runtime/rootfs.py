"""A container's root file system: the image's layers under an own upper directory, mounted as an overlay.

    CONTAINER/ (ROOT/containers/ID)
    ├── upper/   what the container changed
    ├── work/    the overlay's own
    └── rootfs/  the merged mount, there while the container runs

Paths inside a root are resolved by the kernel within that root (openat2 RESOLVE_IN_ROOT), never by joining strings.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sealane.linux.mounts import MS_BIND, MS_RDONLY, MS_REMOUNT, mount, overlay, umount
from sealane.linux.mounts import is_mount as is_mount

_OPENAT2: Final = 437
_RESOLVE_IN_ROOT: Final = 0x10


def mount_root(container: Path, layers: Sequence[Path], *, existing: bool = False) -> Path:
    """Mount the root and return its path. *existing* says that it may be mounted already (adoption)."""
    rootfs = container / "rootfs"
    for folder in (container / "upper", container / "work", rootfs):
        folder.mkdir(mode=0o755, exist_ok=True)
    if existing and is_mount(rootfs):
        return rootfs
    if layers:
        overlay(layers, container / "upper", container / "work", rootfs)
    else:
        mount(str(container / "upper"), rootfs, flags=MS_BIND)
    return rootfs


def unmount_root(container: Path) -> None:
    """Take the root away; nothing happens when it is not mounted."""
    try:
        umount(container / "rootfs", lazy=True)
    except OSError:
        return


def mount_read_only(source: Path, target: Path) -> None:
    """A read-only bind mount."""
    mount(str(source), target, flags=MS_BIND)
    mount("none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def mount_volume(source: str, target: Path, kind: str, options: str) -> None:
    """Mount a volume of the local driver that was made with mount options (``type``, ``device``, ``o``)."""
    flags = 0
    rest = []
    for option in filter(None, options.split(",")):
        if option in ("bind", "rbind"):
            flags |= MS_BIND | (0x4000 if option == "rbind" else 0)
        elif option == "ro":
            flags |= MS_RDONLY
        elif option != "rw":
            rest.append(option)
    mount(source, target, "" if flags & MS_BIND else kind, flags, ",".join(rest))


def unmount_volume(target: Path) -> None:
    """Undo ``mount_volume``; nothing happens when nothing is mounted there."""
    try:
        umount(target, lazy=True)
    except OSError:
        return


def open_inside(root: Path, path: str, flags: int = os.O_PATH) -> int | None:
    """An fd of a path inside *root*, every link resolved within it; None when it is not there."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
        libc = ctypes.CDLL(None, use_errno=True)
        fd: int = libc.syscall(_OPENAT2, folder, path.lstrip("/").encode() or b".", how, len(how))
    finally:
        os.close(folder)
    return fd if fd >= 0 else None


def copy_up(root: Path, path: str, volume: Path) -> None:
    """Fill an empty volume with what the image has at its mount point, owners and attributes kept."""
    if any(volume.iterdir()):
        return
    fd = open_inside(root, path, os.O_PATH | os.O_DIRECTORY)
    if fd is None:
        return
    try:
        source = f"/proc/self/fd/{fd}"
        found = os.stat(source)
        subprocess.run(
            ["cp", "-a", "--reflink=auto", f"{source}/.", str(volume)], check=False, pass_fds=(fd,), capture_output=True
        )
        os.chown(volume, found.st_uid, found.st_gid)
        os.chmod(volume, stat.S_IMODE(found.st_mode))
    finally:
        os.close(fd)


def remove_tree(container: Path) -> None:
    """Delete a container's directory. Raises OSError when something of it stays."""
    unmount_root(container)
    if container.exists():
        shutil.rmtree(container)


def disk_usage(folder: Path) -> int:
    """Bytes of the files below a directory, links not followed."""
    total = 0
    for top, _, files in os.walk(folder):
        for name in files:
            total += os.lstat(os.path.join(top, name)).st_size
    return total
