"""Fixtures of tests with real containers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.drawing import Lab
from support.engine import Engine


@pytest.fixture
def lab(engine: Engine, tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield Lab(engine, tmp_path, stack)
