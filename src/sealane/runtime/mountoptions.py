"""The options of mount(8) → flags and data of mount(2). Pure.

What is no flag belongs to the file system and is passed on as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS = 1, 2, 4, 8, 16
MS_MANDLOCK, MS_DIRSYNC = 64, 128
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 1 << 10, 1 << 11, 1 << 12, 1 << 14
MS_RELATIME, MS_STRICTATIME = 1 << 21, 1 << 24

#: Name → (flags that are set, flags that are cleared).
_FLAGS: Final[Mapping[str, tuple[int, int]]] = {
    "defaults": (0, 0),
    "ro": (MS_RDONLY, 0),
    "rw": (0, MS_RDONLY),
    "nosuid": (MS_NOSUID, 0),
    "suid": (0, MS_NOSUID),
    "nodev": (MS_NODEV, 0),
    "dev": (0, MS_NODEV),
    "noexec": (MS_NOEXEC, 0),
    "exec": (0, MS_NOEXEC),
    "sync": (MS_SYNCHRONOUS, 0),
    "async": (0, MS_SYNCHRONOUS),
    "mand": (MS_MANDLOCK, 0),
    "nomand": (0, MS_MANDLOCK),
    "dirsync": (MS_DIRSYNC, 0),
    "noatime": (MS_NOATIME, 0),
    "atime": (0, MS_NOATIME),
    "nodiratime": (MS_NODIRATIME, 0),
    "diratime": (0, MS_NODIRATIME),
    "relatime": (MS_RELATIME, 0),
    "norelatime": (0, MS_RELATIME),
    "strictatime": (MS_STRICTATIME, 0),
    "nostrictatime": (0, MS_STRICTATIME),
    "bind": (MS_BIND, 0),
    "rbind": (MS_BIND | MS_REC, 0),
}


def parse_options(text: str) -> tuple[int, str]:
    """``ro,nosuid,size=1m`` → (MS_RDONLY | MS_NOSUID, ``size=1m``). Of opposites, the last one wins."""
    flags = 0
    data = []
    for option in filter(None, text.split(",")):
        known = _FLAGS.get(option)
        if known is None:
            data.append(option)
        else:
            flags = (flags | known[0]) & ~known[1]
    return flags, ",".join(data)
