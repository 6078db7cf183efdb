"""A directory tree that is treated as if it were the root of the filesystem: nothing outside can be reached.

The kernel does the confinement (openat2 with RESOLVE_IN_ROOT): ``..`` stops at the root, absolute symbolic links start
at it, and no string is ever compared. What is made is made relative to the descriptor of its directory, by its last
name only, so a link that waits there under that name is not followed. The owner closes the tree; nothing here locks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Final, Self

from sealane.image.kernel import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_RESOLVE: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
#: Mode of directories that the archive uses without naming them, until `inherit` finds what they are below.
IMPLICIT_MODE: Final = 0o755


class OutsideRoot(ValueError):
    """The path leads out of the tree."""


def clean(path: bytes) -> bytes:
    """*path* without leading slashes, ``.`` and ``..``; b"" is the root. Raises OutsideRoot if it climbs over that."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            if not parts:
                raise OutsideRoot(os.fsdecode(path))
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


class Tree:
    """Holds one descriptor of the root and one of the directory used last."""

    def __init__(self, root: Path) -> None:
        self._root: int | None = os.open(root, _DIRECTORY | os.O_CLOEXEC)
        self._last: tuple[bytes, int] | None = None
        self.made: list[bytes] = []  # directories that `directory` made on its way, in order

    def close(self) -> None:
        self.forget()
        if self._root is not None:
            root, self._root = self._root, None
            os.close(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def root(self) -> int:
        if self._root is None:
            raise ValueError("the tree is closed")
        return self._root

    def forget(self) -> None:
        """Drop the remembered directory: what stands at its path may be another one now."""
        if self._last is not None:
            descriptor, self._last = self._last[1], None
            os.close(descriptor)

    def directory(self, path: bytes, *, make: bool = False) -> int:
        """The descriptor of the directory at *path*, valid until the next call. Missing ones are made on demand.

        Raises OSError (ENOENT, ENOTDIR, ELOOP) naming the path.
        """
        if not path:
            return self.root
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        self.forget()
        try:
            found = openat2(self.root, path, _DIRECTORY, _RESOLVE)
        except FileNotFoundError:
            if not make:
                raise
            found = self._make(path)
        self._last = (path, found)
        return found

    def _make(self, path: bytes) -> int:
        parts = path.split(b"/")
        at = os.dup(self.root)
        try:
            for depth in range(1, len(parts) + 1):
                below = b"/".join(parts[:depth])
                with contextlib.suppress(FileExistsError):
                    os.mkdir(parts[depth - 1], IMPLICIT_MODE, dir_fd=at)
                    os.chmod(parts[depth - 1], IMPLICIT_MODE, dir_fd=at)  # whatever the umask is
                    self.made.append(below)
                deeper = openat2(self.root, below, _DIRECTORY, _RESOLVE)
                os.close(at)
                at = deeper
        except BaseException:
            os.close(at)
            raise
        return at

    def lookup(self, path: bytes) -> os.stat_result | None:
        """What stands at *path*, symbolic links not followed at all; None for nothing."""
        parent, _, name = path.rpartition(b"/")
        try:
            return os.stat(name, dir_fd=self.directory(parent), follow_symlinks=False) if path else os.fstat(self.root)
        except (FileNotFoundError, NotADirectoryError):
            return None


def status(directory: int, name: bytes) -> os.stat_result | None:
    """lstat of *name* in *directory*; None for nothing."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def remove(directory: int, name: bytes, found: os.stat_result) -> None:
    """Remove *name*, with all below it. Symbolic links are removed, never followed."""
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(name, dir_fd=directory)
    else:
        os.unlink(name, dir_fd=directory)


def is_whiteout(found: os.stat_result) -> bool:
    """Overlayfs's mark for "not here, whatever lies below": a character device 0:0."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def set_xattr(target: int | bytes, name: bytes, value: bytes) -> bool:
    """Set an extended attribute, not following links; False where the filesystem does not have it. Raises OSError."""
    try:
        if isinstance(target, int):
            os.setxattr(target, name, value)
        else:
            os.setxattr(target, name, value, follow_symlinks=False)
    except OSError as error:
        # EPERM: user attributes on anything but files and directories (xattr(7)).
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return False
        raise
    return True
