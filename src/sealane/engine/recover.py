"""After the engine starts: what the store says is compared with what is there, and made to agree.

In order: networks → base tables with everything that belongs to containers still running → the resolver and the relay
are told what is
missing and rid of what is stale → every container that was running is taken over or settled as ended → restart
policies. Nothing
of a container that still runs is touched when it is as it should be.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.networks import Networks
from sealane.engine.records import ContainerLive, ContainerRecord
from sealane.engine.runner import Runner
from sealane.engine.sandboxes import Sandboxes
from sealane.engine.wires import Wires
from sealane.errors import SealaneError
from sealane.network.spec import NetworkSpec
from sealane.runtime import leftovers
from sealane.store.codec import decode
from sealane.store.database import Database

_log = logging.getLogger(__name__)


class Recovery:
    """Runs once, before the API is served."""

    def __init__(
        self,
        context: Context,
        database: Database,
        networks: Networks,
        containers: Containers,
        sandboxes: Sandboxes,
        bundles: Bundles,
        runner: Runner,
        wires: Wires,
    ) -> None:
        self._context = context
        self._database = database
        self._networks = networks
        self._containers = containers
        self._sandboxes = sandboxes
        self._bundles = bundles
        self._runner = runner
        self._wires = wires

    async def run(self) -> None:
        """Bring memory, kernel, resolver and relay to what the store says."""
        for _, body in self._database.objects("network"):
            self._networks.adopt(decode(body, NetworkSpec))
        await self._networks.ensure_predefined()
        alive = self._load_containers()
        fabric = self._wires.fabric
        for container in alive:
            self._sandboxes.adopt(container)
        endpoints = self._networks.all_endpoints()
        await self._wires.run(fabric.repair, self._networks.specs(), endpoints)
        await self._sandboxes.publish_all(alive)
        await self._remove_leftovers()
        for container in self._containers.all():
            if container in alive:
                await self._runner.take_over(container)
            elif container.running:
                await self._runner.ended_meanwhile(container)
        for container in self._containers.all():
            await self._restart(container)

    def _load_containers(self) -> list[Container]:
        """File every container; returns those whose process still exists."""
        states = self._database.states()
        alive = []
        for identifier, body in self._database.objects("container"):
            record = decode(body, ContainerRecord)
            live = decode(states[identifier], ContainerLive) if identifier in states else ContainerLive()
            container = self._containers.adopt(record, live)
            if container.running and self._runner.still_there(container):
                alive.append(container)
        return alive

    async def _remove_leftovers(self) -> None:
        """Namespaces, mounts and bundles of starts that were cut off: no record says that they run."""
        layout = self._context.layout
        keep = {container.id for container in self._containers.all() if container.running}
        known = {container.id for container in self._containers.all()}
        leftovers.end_containers(layout.run, keep)
        leftovers.settle_roots(layout.root / "containers", keep, known)
        await self._wires.run(self._wires.fabric.clear_sandboxes, keep)

    async def _restart(self, container: Container) -> None:
        try:
            await self._runner.start_at_boot(container)
        except SealaneError as error:
            _log.warning("cannot start container %s: %s", container.name, error)
            live = replace(container.live, state=replace(container.live.state, error=error.message))
            self._containers.commit(container, live=live)
