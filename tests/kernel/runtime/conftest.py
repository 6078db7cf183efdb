"""A runtime with real conmons for each test, and proof that nothing of it is left afterwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernel.runtime.lab import RuntimeLab, busybox_layer, leftovers, remove_empty_groups
from sealane.linux import cgroups
from sealane.runtime.oci import OciRuntime, pick


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image's only layer: Debian's static busybox, two users, a directory of its own."""
    return busybox_layer(tmp_path_factory.mktemp("layer"))


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciRuntime]:
    """The runtime that the engine would pick on this machine."""
    parent = f"/sealane/test-{os.getpid()}"
    yield pick("auto", tmp_path_factory.mktemp("probe"), parent)
    remove_empty_groups(cgroups.layout(), parent)


@pytest.fixture
def lab(tmp_path: Path, layer: Path, runtime: OciRuntime) -> Iterator[RuntimeLab]:
    """Containers; the test fails when a process, a cgroup, a mount, a file or a descriptor of theirs stays."""
    parent = f"/sealane/test-{os.getpid()}-{os.urandom(4).hex()}"
    descriptors = len(os.listdir("/proc/self/fd"))
    with ExitStack() as exit_stack:
        exit_stack.callback(remove_empty_groups, cgroups.layout(), parent)
        with asyncio.Runner() as runner:
            made = RuntimeLab(tmp_path, layer, runtime, parent, runner)
            try:
                yield made
            finally:
                made.close()
        assert leftovers(made) == []
        assert len(os.listdir("/proc/self/fd")) == descriptors
