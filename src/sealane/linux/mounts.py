"""mount(2) and umount2(2), and what is mounted where (proc(5), mountinfo)."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH: Final = 2
_FLAGS: Final = {"ro": MS_RDONLY, "nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC}
#: The kernel copies one page of mount options.
_PAGE: Final = 4096
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    target: Path
    fstype: str
    source: str
    root: str
    options: str


def mount(source: str, target: Path, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError naming the target."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.mount(
        source.encode(), os.fsencode(target), fstype.encode() or None, ctypes.c_ulong(flags), data.encode() or None
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {fstype or source} on {target}: {os.strerror(number)}")


def umount(target: Path, *, lazy: bool = False) -> None:
    """umount2(2); *lazy* takes it out of the tree now and away when the last user is gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(target), MNT_DETACH if lazy else 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unmount {target}: {os.strerror(number)}")


def bind(source: Path, target: Path, *, recursive: bool = False, read_only: bool = False) -> None:
    mount(str(source), target, flags=MS_BIND | (MS_REC if recursive else 0))
    if read_only:
        mount("none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def make_private(target: Path) -> None:
    mount("none", target, flags=MS_PRIVATE | MS_REC)


def tmpfs(target: Path, *, size: int = 0, mode: int = 0o755, options: Sequence[str] = ()) -> None:
    """*size* in bytes, 0 for the kernel's default (half the memory)."""
    flags = 0
    rest = []
    for option in options:
        if option in _FLAGS:
            flags |= _FLAGS[option]
        else:
            rest.append(option)
    data = [f"mode={mode:o}", *([f"size={size}"] if size else []), *rest]
    mount("tmpfs", target, "tmpfs", flags, ",".join(data))


def overlay(lower: Sequence[Path], upper: Path, work: Path, target: Path, options: str = "") -> None:
    """Mount an overlay: *lower* topmost first. More layers than fit into one page of options are given relative to
    their common directory, from which the mount is made."""
    extra = f",{options}" if options else ""
    data = f"lowerdir={_colons(lower)},upperdir={_escape(upper)},workdir={_escape(work)}{extra}"
    if len(data.encode()) < _PAGE:
        mount("overlay", target, "overlay", 0, data)
        return
    common = os.path.commonpath(lower)
    short = [Path(os.path.relpath(path, common)) for path in lower]
    data = f"lowerdir={_colons(short)},upperdir={_escape(upper)},workdir={_escape(work)}{extra}"
    if len(data.encode()) >= _PAGE:
        raise OSError(7, f"mount overlay on {target}: {len(lower)} layers do not fit into the mount options")
    _mount_from(common, target, data)


def _mount_from(folder: str, target: Path, data: str) -> None:
    """Mount with *folder* as the working directory, in a child: the working directory belongs to the whole process."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            mount("overlay", target, "overlay", 0, data)
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    number = os.waitstatus_to_exitcode(status)
    if number:
        raise OSError(number, f"mount overlay on {target}: {os.strerror(number)}")


def _escape(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def _colons(paths: Sequence[Path]) -> str:
    return ":".join(_escape(path) for path in paths)


def mountinfo() -> list[Mount]:
    """Everything mounted in this process's mount namespace."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [parse_mountinfo(line) for line in file]


def parse_mountinfo(line: str) -> Mount:
    """One line of /proc/PID/mountinfo. Pure."""
    left, _, right = line.rstrip("\n").partition(" - ")
    fields = left.split(" ")
    fstype, source, super_options = [*right.split(" "), "", ""][:3]
    return Mount(Path(_plain(fields[4])), fstype, _plain(source), _plain(fields[3]), f"{fields[5]},{super_options}")


def _plain(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), field)


def is_mount(path: Path) -> bool:
    """True when something is mounted at *path* (bind mounts within one file system too)."""
    real = Path(os.path.realpath(path))
    return any(item.target == real for item in mountinfo())
