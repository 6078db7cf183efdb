"""Network namespaces: made, named by a bind mount, entered for the length of one function call (network_namespaces(7)).

``setns`` changes the thread that calls it, so it is only ever called in a thread that ends right afterwards; a socket
opened there stays in its namespace for ever and can be used from anywhere.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sealane.linux.mounts import bind, umount

T = TypeVar("T")

CLONE_NEWNET: Final = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _in_thread(function: Callable[[], T]) -> T:
    """Run *function* in a thread of its own; its result or its exception comes back."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def create(path: Path) -> None:
    """Make a network namespace with its loopback up, and bind-mount it at *path*, which keeps it alive.

    Raises OSError EEXIST when *path* exists already.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def make() -> None:
        if _libc().unshare(CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"unshare network namespace: {os.strerror(number)}")
        _loopback_up()
        bind(Path(f"/proc/self/task/{threading.get_native_id()}/ns/net"), path)

    try:
        _in_thread(make)
    except BaseException:
        os.unlink(path)
        raise


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(sock, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def remove(path: Path) -> None:
    """Let go of a namespace; the kernel takes it and its links away in the background. Idempotent."""
    try:
        umount(path, lazy=True)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
    path.unlink(missing_ok=True)


def restore(path: Path, pid: int) -> None:
    """Name the namespace of process *pid* at *path* again, if it is not there. Raises OSError."""
    if not path.exists():
        path.touch(mode=0o600)
    if os.stat(path).st_dev != os.stat("/proc/self/ns/net").st_dev:
        bind(Path(f"/proc/{pid}/ns/net"), path)


def open_fd(path: Path) -> int:
    """An fd of the namespace; the caller closes it."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def inode(ns: Path | int) -> int:
    """The number that tells one namespace from another."""
    return os.stat(ns).st_ino


def run_in(ns: Path | int, function: Callable[[], T]) -> T:
    """Call *function* in a short-lived thread inside the namespace. Raises what it raises."""

    def body() -> T:
        fd = ns if isinstance(ns, int) else open_fd(ns)
        try:
            if _libc().setns(fd, CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, f"enter network namespace {ns}: {os.strerror(number)}")
        finally:
            if not isinstance(ns, int):
                os.close(fd)
        return function()

    return _in_thread(body)
