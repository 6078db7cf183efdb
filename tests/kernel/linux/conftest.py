"""One throw-away network namespace per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sealane.linux import namespaces
from sealane.linux.netlink.socket import Rtnl


@pytest.fixture
def ns(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ns"
    namespaces.create(path)
    yield path
    namespaces.remove(path)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "other"
    namespaces.create(path)
    yield path
    namespaces.remove(path)


@pytest.fixture
def rtnl(ns: Path) -> Iterator[Rtnl]:
    with Rtnl.open_in(ns) as socket:
        yield socket
