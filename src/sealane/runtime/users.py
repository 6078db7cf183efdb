"""``User: name[:group]`` looked up in the container's own /etc/passwd and /etc/group.

The files are opened inside the root, links resolved within it (openat2 RESOLVE_IN_ROOT), so that an image cannot make
the engine
read the host's. Texts of errors are Docker's, which clients print.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sealane.errors import InvalidArgument
from sealane.runtime.spec import User

_OPENAT2: Final = 437
_RESOLVE_IN_ROOT: Final = 0x10
_LIMIT: Final = 4 << 20


def read_inside(root: Path, path: str) -> str | None:
    """The text of a file in the container's root; None when it is not there or no regular file."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = struct.pack("=QQQ", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0, _RESOLVE_IN_ROOT)
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.syscall(_OPENAT2, folder, path.lstrip("/").encode(), how, len(how))
    finally:
        os.close(folder)
    if fd < 0:
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            return file.read(_LIMIT).decode(errors="replace")
        except OSError:
            return None


def find_user(root: Path, text: str, extra_groups: Iterable[str] = ()) -> User:
    """Look a user up. Raises InvalidArgument naming the user or group that is not there."""
    name, colon, group = text.partition(":")
    passwd = _rows(read_inside(root, "/etc/passwd"), 7)
    groups = _rows(read_inside(root, "/etc/group"), 4)
    row = next((r for r in passwd if r[0] == name), None) if name and not name.isdecimal() else None
    if name and row is None:
        if not name.isdecimal():
            raise InvalidArgument(f"unable to find user {name}: no matching entries in passwd file")
        row = next((r for r in passwd if r[2] == name), None)
    if not name:
        row = next((r for r in passwd if r[2] == "0"), None)
    uid = int(row[2]) if row else int(name or 0)
    gid = int(row[3]) if row else 0
    own: tuple[int, ...] = ()
    if colon and group:
        gid = _group(groups, group)
    elif row is not None:
        own = tuple(int(r[2]) for r in groups if row[0] in r[3].split(",") and int(r[2]) != gid)
    added = tuple(_group(groups, extra) for extra in extra_groups)
    home = (row[5] if row else "") or "/"
    return User(uid, gid, tuple(dict.fromkeys((*own, *added))), home)


def _group(groups: list[list[str]], name: str) -> int:
    row = next((r for r in groups if r[0] == name), None)
    if row is not None:
        return int(row[2])
    if name.isdecimal():
        return int(name)
    raise InvalidArgument(f"unable to find group {name}: no matching entries in group file")


def _rows(text: str | None, fields: int) -> list[list[str]]:
    rows = [line.split(":") for line in (text or "").splitlines() if not line.startswith("#")]
    number = 2
    return [
        row for row in rows if len(row) >= fields and row[number].isdecimal() and (fields < 7 or row[3].isdecimal())
    ]
