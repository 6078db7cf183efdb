"""A host as a throw-away namespace, with a real relay process in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernel.relay.lab import RelayLab
from sealane.linux import namespaces


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[RelayLab]:
    """A host without a relay process yet; whatever was started is gone afterwards."""
    host = tmp_path / "host"
    with asyncio.Runner() as runner, ExitStack() as exit_stack:
        namespaces.create(host)
        exit_stack.callback(namespaces.remove, host)
        made = RelayLab(tmp_path, host, runner, exit_stack)
        exit_stack.callback(lambda: made.run(made.publisher.shutdown()))
        yield made
    if made.process.log.exists():
        log = made.process.log.read_text()
        assert "Traceback" not in log, log
    assert not made.process.socket.exists()
