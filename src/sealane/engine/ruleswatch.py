"""Keeps containers connected while other programs change the host's firewall.

``ufw enable`` or a restarted Docker may close the forward chain that ours stood in, ``nft flush ruleset`` takes our
tables away: whenever another program has changed rules, and the host is quiet again, the fabric looks around.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sealane.engine.networks import Networks
from sealane.engine.wires import Wires
from sealane.errors import SealaneError

_log = logging.getLogger(__name__)
_QUIET_S: Final = 0.3
_PATIENCE: Final = 7  # quiet times that are waited for at most


class RulesWatch:
    """One task, for as long as the engine runs."""

    def __init__(self, networks: Networks, wires: Wires) -> None:
        self._networks = networks
        self._wires = wires

    async def run(self) -> None:
        with await self._wires.run(self._wires.fabric.rule_events) as events:
            while True:
                await _readable(events.fileno())
                if events.read():
                    await _calm(events.read)
                    await self._look()

    async def _look(self) -> None:
        fabric = self._wires.fabric
        try:
            mended = await self._wires.run(fabric.look_around, self._networks.specs(), self._networks.all_endpoints())
        except SealaneError as error:
            _log.warning("another program changed the firewall: %s", error.message)
            return
        if mended:
            _log.warning("another program emptied the firewall; ours is in place again")


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(fd, told.set)
    try:
        await told.wait()
    finally:
        loop.remove_reader(fd)


async def _calm(changed: Callable[[], bool]) -> None:
    """Return when nobody has changed anything for a moment."""
    for _ in range(_PATIENCE):
        await asyncio.sleep(_QUIET_S)
        if not changed():
            return
