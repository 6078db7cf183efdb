"""Changes of the files in a directory, told by the kernel (inotify(7))."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final, Self

IN_MODIFY, IN_MOVED_TO, IN_CREATE, IN_DELETE_SELF = 0x2, 0x80, 0x100, 0x400
_ONLYDIR: Final = 0x01000000
_CHUNK: Final = 1 << 14


class Inotify:
    """Owns one inotify descriptor, non-blocking and close-on-exec. ``close`` is idempotent."""

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        """Raises OSError EMFILE when the user has too many of them (fs.inotify.max_user_instances)."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"inotify_init1: {os.strerror(number)}")

    def fileno(self) -> int:
        """The descriptor: readable when something has happened. -1 when closed."""
        return self._fd

    def watch(self, folder: Path, mask: int) -> None:
        """Tell of events in a directory and of its direct entries. Raises OSError naming it."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.inotify_add_watch(self._fd, os.fsencode(folder), ctypes.c_uint32(mask | _ONLYDIR)) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"watch {folder}: {os.strerror(number)}")

    def drain(self) -> None:
        """Forget what has been told so far: for callers who look for themselves what has changed."""
        try:
            while os.read(self._fd, _CHUNK):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
