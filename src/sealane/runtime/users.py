"""``User: name[:group]`` looked up in the container's own /etc/passwd and /etc/group.

The files are opened inside the root, links resolved within it (openat2(2), RESOLVE_IN_ROOT), so that an image cannot
make the engine read the host's. Names go before numbers, and the texts of errors are Docker's, which clients print.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealane.errors import InvalidArgument
from sealane.runtime.spec import User

_OPENAT2: Final = 437  # the same number on every architecture
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_IN_ROOT: Final = 0x10
_LIMIT: Final = 4 << 20
_HIGHEST: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def open_inside(root: Path, path: str) -> int | None:
    """An fd of a file in *root*, for reading; no link leads out of it. None when there is no such file.

    Never waits, whatever the file is. Raises OSError for anything but absence.
    """
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        how = struct.pack("=QQQ", flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
        libc = ctypes.CDLL(None, use_errno=True)
        fd: int = libc.syscall(_OPENAT2, folder, path.lstrip("/").encode(), how, len(how))
    finally:
        os.close(folder)
    if fd >= 0:
        return fd
    number = ctypes.get_errno()
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
        return None
    raise OSError(number, f"open {path} in {root}: {os.strerror(number)}")


def read_inside(root: Path, path: str) -> str | None:
    """The text of a regular file in the container's root (4 MiB at most); None when it is not there or not regular."""
    fd = open_inside(root, path)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return file.read(_LIMIT).decode(errors="replace")


def find_user(root: Path, text: str, extra_groups: Iterable[str] = ()) -> User:
    """Look a user up. Raises InvalidArgument naming the user or group that is not there."""
    wanted, _, wanted_group = text.partition(":")
    account = _account(_accounts(read_inside(root, "/etc/passwd")), wanted or "0")
    groups = _groups(read_inside(root, "/etc/group"))
    if account is None and wanted and not _is_number(wanted):
        raise InvalidArgument(f"unable to find user {wanted}: no matching entries in passwd file")
    uid = account.uid if account is not None else _number(wanted or "0")
    gid = account.gid if account is not None else 0
    own: list[int] = []
    if wanted_group:
        gid = _find_group(groups, wanted_group, "unable to find group")
    elif account is not None:
        own = [group.gid for group in groups if account.name in group.members]
    added = [_find_group(groups, extra, "Unable to find group") for extra in extra_groups]
    home = account.home if account is not None else ""
    # the main group is among the others, so that no process can shed it (CVE-2022-36109)
    return User(uid, gid, tuple(dict.fromkeys((gid, *own, *added))), home or "/")


def _account(accounts: list[_Account], wanted: str) -> _Account | None:
    for account in accounts:
        if wanted in (account.name, str(account.uid)):
            return account
    return None


def _find_group(groups: list[_Group], wanted: str, complaint: str) -> int:
    for group in groups:
        if wanted in (group.name, str(group.gid)):
            return group.gid
    if not _is_number(wanted):
        raise InvalidArgument(f"{complaint} {wanted}: no matching entries in group file")
    return _number(wanted)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal()


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _HIGHEST:
        raise InvalidArgument(f"uids and gids must be in range 0-{_HIGHEST}")
    return number


def _lines(text: str | None) -> Iterable[list[str]]:
    for line in (text or "").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip().split(":")


def _accounts(text: str | None) -> list[_Account]:
    """A line that is too short, or holds no numbers where they belong, is passed over."""
    return [
        _Account(row[0], int(row[2]), int(row[3]), row[5] if len(row) > 5 else "")
        for row in _lines(text)
        if len(row) > 3 and row[2].isdecimal() and row[3].isdecimal()
    ]


def _groups(text: str | None) -> list[_Group]:
    return [
        _Group(row[0], int(row[2]), tuple(row[3].split(",")) if len(row) > 3 else ())
        for row in _lines(text)
        if len(row) > 2 and row[2].isdecimal()
    ]
