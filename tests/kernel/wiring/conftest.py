"""Fixtures of the fabric's kernel tests: one throw-away host per test, with and without br_netfilter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernel.wiring.drawing import BR_NETFILTER, Drawing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(params=["", "br_netfilter"] if BR_NETFILTER.exists() else [""])
def drawing(folder: Path, request: pytest.FixtureRequest) -> Iterator[Drawing]:
    """Run twice: another program (Docker does) may have bridged packets pass the IP hooks."""
    with ExitStack() as stack:
        yield Drawing(folder, stack, bool(request.param))


@pytest.fixture
def host(folder: Path) -> Iterator[Drawing]:
    """Where br_netfilter makes no difference."""
    with ExitStack() as stack:
        yield Drawing(folder, stack, False)
