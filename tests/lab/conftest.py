"""Fixtures of tests with real containers. Most run twice: with ``sealane``, and with the real ``docker``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.drawing import Cli, Lab
from support.engine import Engine


@pytest.fixture(params=["sealane", "docker"])
def cli(engine: Engine, request: pytest.FixtureRequest) -> Cli:
    """The command line under test. Tests of what no command line has a share in take one: ``@ours``."""
    return Cli(engine, request.param)


@pytest.fixture
def lab(cli: Cli, tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield Lab(cli, tmp_path, stack)
