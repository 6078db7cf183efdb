"""What a container changed in its file system: its overlay's upper directory held against the image's layers.

The overlay writes down deletions (a character device 0:0, a "whiteout") and directories that were made anew (an
attribute, "opaque": nothing of the layers below is seen through it). The container may be at work meanwhile, and names
are as hostile as its owner: no link is followed. Source: the kernel's Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealane.runtime.inside import open_folder

MODIFIED: Final = 0
ADDED: Final = 1
DELETED: Final = 2
_OPAQUE: Final = "trusted.overlay.opaque"


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory of one layer: modes and device numbers by name."""

    entries: dict[str, os.stat_result]
    opaque: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory to be compared. *lowers* are the layers that have it, *hidden* says that nothing of them is seen."""

    path: str
    lowers: tuple[Path, ...]
    hidden: bool = False


def changes(upper: Path, lowers: Sequence[Path]) -> list[tuple[int, str]]:
    """``(kind, absolute path in the container)``, sorted by path. *lowers* are the image's layers, topmost first.

    A directory in which something changed is itself MODIFIED.
    """
    found: list[tuple[int, str]] = []
    pending = [_Place("", tuple(lowers))]
    while pending:
        place = pending.pop()
        folder = _read(upper, place.path)
        if folder is None:
            continue  # it vanished meanwhile
        hidden = place.hidden or folder.opaque
        lower = list(_seen(place))
        below = _names(lower)
        for name, entry in folder.entries.items():
            path = f"{place.path}/{name}"
            if _is_whiteout(entry):
                found.append((DELETED, path))
                continue
            found.append((MODIFIED if name in below else ADDED, path))
            if stat.S_ISDIR(entry.st_mode):
                pending.append(_Place(path, tuple(_layers_of(lower, name)), hidden))
        if hidden:
            found += [(DELETED, f"{place.path}/{name}") for name in below - folder.entries.keys()]
    return sorted(found, key=lambda item: item[1])


def _seen(place: _Place) -> Iterator[tuple[Path, _Folder]]:
    """The directory in each layer that the image shows through, topmost first."""
    for layer in place.lowers:
        folder = _read(layer, place.path)
        if folder is not None:
            yield layer, folder
            if folder.opaque:
                return


def _names(lower: Sequence[tuple[Path, _Folder]]) -> set[str]:
    """What the image shows in a directory."""
    shown: set[str] = set()
    settled: set[str] = set()
    for _, folder in lower:
        shown |= {name for name, entry in folder.entries.items() if name not in settled and not _is_whiteout(entry)}
        settled |= folder.entries.keys()
    return shown


def _layers_of(lower: Sequence[tuple[Path, _Folder]], name: str) -> Iterator[Path]:
    """The layers whose directory *name* may be seen in the image: down to the first that has something else there."""
    for layer, folder in lower:
        entry = folder.entries.get(name)
        if entry is not None:
            if not stat.S_ISDIR(entry.st_mode):
                return
            yield layer


def _read(root: Path, path: str) -> _Folder | None:
    fd = open_folder(root, path)
    if fd is None:
        return None
    try:
        return _Folder(dict(_entries(fd)), _is_opaque(fd))
    finally:
        os.close(fd)


def _entries(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(fd) as listing:
        for entry in listing:
            try:
                yield entry.name, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError:
        return False


def _is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
