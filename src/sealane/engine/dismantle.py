"""Taking the engine out of the host: every process, namespace, mount, link, table and group that it has put there.

Needs no running engine, and works after one that was killed. What is durable stays: images, volumes, and containers,
which the next engine finds ended.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from sealane.dns.publisher import Publisher
from sealane.engine.context import Layout
from sealane.relay.publisher import RelayPublisher
from sealane.runtime import leftovers
from sealane.wiring.fabric import Fabric

_log = logging.getLogger(__name__)


async def dismantle(
    layout: Layout, cgroup_parent: str, fabric: Fabric, publisher: Publisher, relay: RelayPublisher
) -> list[Exception]:
    """Runs to the end; returns what could not be done."""
    failures: list[Exception] = []

    async def attempt(step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Exception as error:
            _log.warning("%s", error)
            failures.append(error)

    async def processes() -> None:
        leftovers.end_containers(layout.run, ())
        leftovers.remove_parent(cgroup_parent)

    async def network() -> None:
        fabric.clear_sandboxes(())
        fabric.dismantle()

    async def files() -> None:
        leftovers.unmount_below(layout.root)
        leftovers.unmount_below(layout.run)
        _empty(layout.run)

    for step in (processes, relay.shutdown, publisher.shutdown, network, files):
        await attempt(step)
    return failures


def _empty(folder: Path) -> None:
    """Only the directory itself stays, with the lock that its owner holds."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != "sealaned.pid":
            entry.unlink(missing_ok=True)
