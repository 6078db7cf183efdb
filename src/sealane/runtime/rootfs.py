"""A container's root file system: the image's layers under an own upper directory, mounted as an overlay.

    CONTAINER/ (ROOT/containers/ID)
    ├── upper/   what the container changed
    ├── work/    the overlay's own
    └── rootfs/  the merged mount, there while the container runs

Paths inside a root are resolved by the kernel within that root, never by joining strings.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sealane.linux.mounts import MS_BIND, MS_REC, MS_REMOUNT, mount, overlay, umount
from sealane.linux.mounts import is_mount as is_mount
from sealane.runtime.inside import find_inside
from sealane.runtime.mountoptions import parse_options


def mount_root(container: Path, layers: Sequence[Path], *, existing: bool = False) -> Path:
    """Mount the root and return its path. *existing* says that it may be mounted already (adoption)."""
    rootfs = container / "rootfs"
    for folder in (container / "upper", container / "work", rootfs):
        _make(folder)
    if existing and is_mount(rootfs):
        return rootfs
    if layers:
        overlay(layers, container / "upper", container / "work", rootfs)
    else:
        mount(str(container / "upper"), rootfs, flags=MS_BIND)
    return rootfs


def _make(folder: Path) -> None:
    """A directory with mode 755 whatever the engine's umask: the upper one's is that of the container's /."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    folder.chmod(0o755)


def unmount_root(container: Path) -> None:
    """Take the root away, also when it is mounted more than once; nothing happens when it is not mounted."""
    _unmount_all(container / "rootfs")


def _unmount_all(target: Path) -> None:
    while True:
        try:
            umount(target, lazy=True)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                raise
            return


def mount_volume(source: str, target: Path, kind: str, options: str) -> None:
    """Mount a volume of the local driver that was made with mount options (``type``, ``device``, ``o``).

    Raises OSError naming the target; then nothing is mounted.
    """
    flags, data = parse_options(options)
    mount(source, target, "" if flags & MS_BIND else kind, flags, data)
    if not flags & MS_BIND or not flags & ~(MS_BIND | MS_REC):
        return
    try:  # the flags of a bind mount are taken by a second call only, mount(2)
        mount("none", target, flags=flags & ~MS_REC | MS_REMOUNT)
    except OSError:
        _unmount_all(target)
        raise


def unmount_volume(target: Path) -> None:
    """Undo ``mount_volume``; nothing happens when nothing is mounted there."""
    _unmount_all(target)


def copy_up(root: Path, path: str, volume: Path) -> None:
    """Fill an empty volume with what the image has at its mount point, owners and attributes kept.

    Raises OSError when it does not fit; the volume is empty then, as it was.
    """
    if any(volume.iterdir()):
        return
    fd = find_inside(root, path, os.O_DIRECTORY)
    if fd is None:
        return
    try:
        source = f"/proc/self/fd/{fd}"
        found = os.stat(source)
        done = subprocess.run(
            ["cp", "-a", "--reflink=auto", f"{source}/.", str(volume)],
            pass_fds=(fd,),
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode != 0:
            _empty(volume)
            raise OSError(f"copy {path} of the image into the volume {volume}: {done.stderr.strip()}")
        os.chown(volume, found.st_uid, found.st_gid)
        os.chmod(volume, stat.S_IMODE(found.st_mode))
    finally:
        os.close(fd)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def remove_tree(container: Path) -> None:
    """Delete a container's directory. Raises OSError when something of it stays."""
    unmount_root(container)
    if not container.exists():
        return
    try:
        shutil.rmtree(container)
    except RecursionError:  # a container can make directories deeper than Python's stack
        done = subprocess.run(["rm", "-rf", "--", str(container)], check=False, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise OSError(f"delete {container}: {done.stderr.strip()}") from None


def disk_usage(folder: Path) -> int:
    """Bytes of the files below a directory, each once, links not followed. What vanishes meanwhile is not counted."""
    total = 0
    seen: set[tuple[int, int]] = set()
    pending = [str(folder)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as listing:
            for entry in listing:
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    pending.append(entry.path)
                elif (found.st_dev, found.st_ino) not in seen:
                    total += found.st_size
                    if found.st_nlink > 1:
                        seen.add((found.st_dev, found.st_ino))
    return total
