"""Fixtures of the resolver's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernel.dns.lab import NET, SUBNET, Lab
from sealane.network.names import ContainerView
from sealane.values import ContainerId


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose resolver serves the network ``my-network``; everything is gone afterwards."""
    with asyncio.Runner() as runner, ExitStack() as exit_stack:
        made = Lab(tmp_path, runner, exit_stack)
        made.run(made.publisher.connect())
        exit_stack.callback(lambda: made.run(made.publisher.shutdown()))
        made.run(made.publisher.put_network(NET, "my-network", (SUBNET,)))
        yield made
    log = made.process.log.read_text()
    assert "Traceback" not in log, log
    assert not made.process.socket.exists()


@pytest.fixture
def eyes() -> ContainerView:
    """What an ordinary container on the network may resolve."""
    return ContainerView(container=ContainerId("srv1"), networks=(NET,))
