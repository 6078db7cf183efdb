"""Kernel parameters under /proc/sys, those of a network namespace from a thread inside it (sysctl(8))."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sealane.linux.namespaces import run_in


def path_of(key: str) -> Path:
    """``net.ipv4.conf.eth0/100.forwarding`` → its file; a ``/`` in the key stands for a dot in a name."""
    return Path("/proc/sys") / key.translate(str.maketrans("./", "/."))


def get(key: str, ns: Path | int | None = None) -> str:
    """The value without its newline. Raises OSError naming the file."""
    read = path_of(key).read_text
    return (read() if ns is None else run_in(ns, read)).strip()


def put(key: str, value: str, ns: Path | int | None = None) -> None:
    """Write one value. Raises OSError naming the file."""
    put_all(((key, value),), ns)


def put_all(pairs: Iterable[tuple[str, str]], ns: Path | int | None = None) -> None:
    """Write several values in order, in one visit to the namespace."""

    def write() -> None:
        for key, value in pairs:
            with open(path_of(key), "w", encoding="ascii") as file:
                file.write(value)

    if ns is None:
        write()
    else:
        run_in(ns, write)
