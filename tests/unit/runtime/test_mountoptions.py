"""Options of mount(8) → flags and data of mount(2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.runtime.mountoptions import (
    _FLAGS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    parse_options,
)


@pytest.mark.parametrize(
    ("text", "flags", "data"),
    [
        ("", 0, ""),
        (",,", 0, ""),
        ("defaults", 0, ""),
        ("ro", MS_RDONLY, ""),
        ("ro,rw", 0, ""),
        ("nosuid,nodev,noexec,size=1m,uid=5", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m,uid=5"),
        ("bind,ro", MS_BIND | MS_RDONLY, ""),
        ("rbind", MS_BIND | MS_REC, ""),
        ("addr=10.0.0.1,vers=4,soft", 0, "addr=10.0.0.1,vers=4,soft"),
        ("noexec,exec,noexec", MS_NOEXEC, ""),
    ],
)
def test_options(text: str, flags: int, data: str) -> None:
    assert parse_options(text) == (flags, data)


def test_the_numbers_are_the_kernels() -> None:
    """linux/mount.h."""
    numbers = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "mand": 64, "dirsync": 128}
    numbers |= {"noatime": 1024, "nodiratime": 2048, "bind": 4096, "relatime": 1 << 21, "strictatime": 1 << 24}
    assert {name: parse_options(name)[0] for name in numbers} == numbers


@given(st.lists(st.sampled_from([*_FLAGS, "size=1m", "x=y"])))
def test_nothing_gets_lost(options: list[str]) -> None:
    flags, data = parse_options(",".join(options))
    assert data.split(",") == ([word for word in options if word not in _FLAGS] or [""])
    assert bool(flags & MS_RDONLY) == (next((word for word in reversed(options) if word in ("ro", "rw")), "") == "ro")
