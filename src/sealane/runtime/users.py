"""``User: name[:group]`` looked up in the container's own /etc/passwd and /etc/group.

The files belong to the image and may hold anything: lines that make no sense are passed over. Names go before numbers,
and the texts of errors are Docker's, which clients print.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealane.errors import InvalidArgument
from sealane.runtime.inside import read_inside
from sealane.runtime.spec import User

_HIGHEST: Final = (1 << 31) - 1
_DIGITS: Final = 10  # of the highest


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
    number = _id(text)
    if number is None:
        raise InvalidArgument(f"uids and gids must be in range 0-{_HIGHEST}")
    return number


def _id(text: str) -> int | None:
    """A uid or gid; None when it is none, or larger than the kernel's."""
    digits = text.lstrip("0") or text[:1]
    if not digits.isascii() or not digits.isdecimal() or len(digits) > _DIGITS:
        return None
    number = int(digits)
    return number if number <= _HIGHEST else None


def _rows(text: str | None) -> Iterable[list[str]]:
    for line in (text or "").split("\n"):
        if line.strip() and not line.startswith("#"):
            yield line.strip().split(":")


def _accounts(text: str | None) -> list[_Account]:
    """Without the lines that are too short, or hold no numbers where they belong."""
    found = []
    for row in _rows(text):
        uid, gid = (_id(row[2]), _id(row[3])) if len(row) > 3 else (None, None)
        if uid is not None and gid is not None:
            found.append(_Account(row[0], uid, gid, row[5] if len(row) > 5 else ""))
    return found


def _groups(text: str | None) -> list[_Group]:
    found = []
    for row in _rows(text):
        gid = _id(row[2]) if len(row) > 2 else None
        if gid is not None:
            found.append(_Group(row[0], gid, tuple(row[3].split(",")) if len(row) > 3 else ()))
    return found
