"""What a container changed in its file system: its overlay's upper directory held against the image's layers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

MODIFIED: Final = 0
ADDED: Final = 1
DELETED: Final = 2


def changes(upper: Path, lowers: Sequence[Path]) -> list[tuple[int, str]]:
    """``(kind, absolute path in the container)``, sorted by path. A changed directory's parents count as modified."""
    return sorted(_walk(upper, lowers, ""), key=lambda item: item[1])


def _walk(upper: Path, lowers: Sequence[Path], inside: str) -> Iterator[tuple[int, str]]:
    for entry in os.scandir(upper / inside):
        path = f"{inside}/{entry.name}".lstrip("/")
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            yield DELETED, f"/{path}"
            continue
        yield (MODIFIED if _exists_below(lowers, path) else ADDED), f"/{path}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(upper, lowers, path)


def _exists_below(lowers: Sequence[Path], path: str) -> bool:
    for lower in lowers:
        try:
            found = os.lstat(lower / path)
        except OSError:
            continue
        return not (stat.S_ISCHR(found.st_mode) and found.st_rdev == 0)
    return False
