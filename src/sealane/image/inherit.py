"""Directories that a layer's archive uses without naming them look like those of the layers below.

Overlayfs shows the attributes of the topmost directory of a name, so one that was only made to hold a file would hide
the owner, mode and attributes that a lower layer gave it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from sealane.image.kernel import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2
from sealane.image.tree import is_whiteout
from sealane.image.unpack import OPAQUE_XATTR


def inherit(layer: Path, implicit: Iterable[bytes], lower: Sequence[Path]) -> None:
    """Give each directory of *implicit* in *layer* the attributes that it has in *lower* (topmost first)."""
    with ExitStack() as stack:
        own = _open_root(layer, stack)
        below = [_open_root(path, stack) for path in lower]
        for path in implicit:
            for root in below:
                if _copy_from(root, own, path):
                    break


def _open_root(path: Path, stack: ExitStack) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _open(root: int, path: bytes, flags: int) -> int | None:
    try:
        return openat2(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
    except OSError:
        return None


def _copy_from(root: int, own: int, path: bytes) -> bool:
    """True when the layers further down no longer matter."""
    source = _open(root, path, os.O_RDONLY | os.O_DIRECTORY)
    if source is None:
        return _hidden(root, path)
    target = _open(own, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if target is not None:
            found = os.fstat(source)
            os.fchown(target, found.st_uid, found.st_gid)
            os.fchmod(target, stat.S_IMODE(found.st_mode))
            for name in os.listxattr(source):
                if not name.startswith("trusted.overlay."):
                    os.setxattr(target, name, os.getxattr(source, name))
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    finally:
        os.close(source)
        if target is not None:
            os.close(target)
    return True


def _hidden(root: int, path: bytes) -> bool:
    """Does this layer keep what lies below it from showing at *path*?"""
    parts = path.split(b"/")
    for depth in range(1, len(parts) + 1):
        descriptor = _open(root, b"/".join(parts[:depth]), os.O_PATH | os.O_NOFOLLOW)
        if descriptor is None:
            return False
        try:
            found = os.fstat(descriptor)
            if is_whiteout(found) or not stat.S_ISDIR(found.st_mode):
                return True
            if depth < len(parts) and _opaque(descriptor):
                return True
        finally:
            os.close(descriptor)
    return False


def _opaque(descriptor: int) -> bool:
    try:
        return os.getxattr(f"/proc/self/fd/{descriptor}", OPAQUE_XATTR) == b"y"
    except OSError:
        return False
