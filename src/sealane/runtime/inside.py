"""Looking at files of a container's root from outside, without being led out of it by a link."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from sealane.linux.fds import directory
from sealane.linux.openat2 import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EXDEV)
_LIMIT: Final = 4 << 20


def find_inside(root: Path, path: str, flags: int = 0) -> int | None:
    """An O_PATH descriptor of what is at *path*, every link resolved within *root*; None when nothing is there.

    It can be looked at and nothing is opened by it: a fifo does not wait, a device does not notice. Raises OSError.
    """
    return _find(root, path.lstrip("/"), flags | os.O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def open_folder(root: Path, path: str) -> int | None:
    """A descriptor of a directory below *root*, to be listed; None when it is not there, or only by way of a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    return _find(root, path.lstrip("/"), flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def _find(root: Path, path: str, flags: int, resolve: int) -> int | None:
    with directory(root) as folder:
        try:
            return openat2(folder, os.fsencode(path), flags, resolve)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise OSError(error.errno, f"open {path} in {root}: {error.strerror}") from error


def read_inside(root: Path, path: str) -> str | None:
    """The text of a regular file in *root* (4 MiB at most); None when it is not there or not regular."""
    fd = find_inside(root, path)
    if fd is None:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(f"/proc/self/fd/{fd}", "rb") as file:
            return file.read(_LIMIT).decode(errors="replace")
    finally:
        os.close(fd)
