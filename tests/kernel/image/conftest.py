"""Fixtures of the image tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel.image.lab import Stores
from sealane.store.database import Database


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """Makes stores that share one directory and one database; nothing unfinished may lie in it afterwards."""
    with closing(Database(tmp_path / "state.db")) as database:
        made = Stores(tmp_path / "image", database)
        yield made
    if (made.root / "tmp").exists():  # a test with a file system of its own has looked there before it unmounted that
        assert os.listdir(made.root / "tmp") == []
    assert [
        thread.name for thread in threading.enumerate() if thread.name in ("unpack", "ahead", "load", "import", "blob")
    ] == []
