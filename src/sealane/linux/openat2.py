"""openat2(2), which resolves a path inside a root (Linux 5.6)."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x02, 0x04, 0x08, 0x10

_OPENAT2: Final = 437  # the same number on every architecture


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    """Open *path* below *directory*; the new descriptor is close-on-exec. Raises OSError naming the path.

    With ``RESOLVE_IN_ROOT`` the kernel treats *directory* as the root for ``..``, absolute paths and every symbolic
    link on the way, so nothing outside can be reached whatever the tree holds. EAGAIN (the tree was renamed meanwhile)
    is tried again.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    while True:
        number: int = libc.syscall(_OPENAT2, directory, path or b".", ctypes.byref(how), ctypes.sizeof(how))
        if number >= 0:
            return number
        error = ctypes.get_errno()
        if error not in (errno.EAGAIN, errno.EINTR):
            raise OSError(error, os.strerror(error), os.fsdecode(path))
