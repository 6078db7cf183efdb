"""Fixtures of the tiers that touch the kernel: the run's mark, nothing left behind, images, a registry, engines.

Tests of the unit and architecture tiers use none of this and need no root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support import images, leaks
from support.engine import Engine
from support.poll import until
from support.registry import Registry
from support.session import Session

TIERS = {"kernel", "lab", "compat"}
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def session() -> Session:
    return Session.here()


@pytest.fixture(scope="session", autouse=True)
def nothing_left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """When the last test has ended, the host holds nothing of ours that it did not hold before the first."""
    if not any(item.path.relative_to(HERE).parts[0] in TIERS for item in request.session.items):
        yield
        return
    assert os.geteuid() == 0, "the kernel, lab and compat tiers need root"
    run: Session = request.getfixturevalue("session")
    place = tmp_path_factory.getbasetemp()
    before = leaks.look(run, place)
    yield
    left = _settled(run, place, before)
    assert left == [], "left behind:\n" + "\n".join(left)


def _settled(run: Session, place: Path, before: leaks.Snapshot) -> list[str]:
    """What is left when the kernel has had its time to finish: it takes links and groups away in the background."""
    try:
        until(lambda: not leaks.look(run, place).since(before), "nothing is left", timeout_s=5)
    except AssertionError:
        return leaks.look(run, place).since(before)
    return []


@pytest.fixture(scope="session")
def registry(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that serves busybox:latest and centos:7.6.1810 as Docker Hub would."""
    with Registry(tmp_path_factory.mktemp("registry")) as made:
        images.make().push(made)
        yield made


@pytest.fixture(scope="session")
def shared_engine(session: Session, registry: Registry) -> Iterator[Engine]:
    """One engine with both images for all tests that need no engine of their own; use ``engine``."""
    with Engine(session, mirrors=[registry.url]) as made:
        for name in (images.BUSYBOX, images.CENTOS):
            made.cli("pull", name)
        yield made


@pytest.fixture
def engine(shared_engine: Engine) -> Iterator[Engine]:
    """The shared engine; containers, networks and volumes of the test are removed after it."""
    seen = len(shared_engine.log.read_text())
    yield shared_engine
    shared_engine.tidy()
    assert "Traceback" not in shared_engine.log.read_text()[seen:], shared_engine.tail()


@pytest.fixture
def make_engine(session: Session, registry: Registry) -> Iterator[Callable[..., Engine]]:
    """Starts engines for one test: to kill, to restart, to configure. They have no images, but the mirror."""
    with ExitStack() as stack:

        def make(**config: dict[str, Any]) -> Engine:
            return stack.enter_context(Engine(session, mirrors=[registry.url], config=config))

        yield make
