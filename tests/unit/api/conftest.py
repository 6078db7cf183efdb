from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.api.serving import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server of its own for each test."""
    with serving(tmp_path) as running:
        yield running
