"""After the engine starts: what the store says is compared with what is there, and made to agree.

In order: networks → base tables with everything that belongs to containers still running → the resolver and the relay
are told what is missing and rid of what is stale → every container that was running is taken over or settled as ended →
restart policies. Nothing of a container that still runs is touched when it is as it should be.
"""

from __future__ import annotations

import logging

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.model import Status
from sealane.engine.networks import Networks
from sealane.engine.records import ContainerLive, ContainerRecord
from sealane.engine.runner import Runner
from sealane.engine.sandboxes import Sandboxes
from sealane.engine.volumes import Volumes
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
        volumes: Volumes,
        runner: Runner,
        wires: Wires,
    ) -> None:
        self._context = context
        self._database = database
        self._networks = networks
        self._containers = containers
        self._sandboxes = sandboxes
        self._bundles = bundles
        self._volumes = volumes
        self._runner = runner
        self._wires = wires

    async def run(self) -> None:
        """Bring memory, kernel, resolver and relay to what the store says."""
        for _, body in self._database.objects("network"):
            self._networks.adopt(decode(body, NetworkSpec))
        await self._networks.ensure_predefined()
        alive = [container for container in self._load_containers() if await self._has_network(container)]
        fabric = self._wires.fabric
        for container in alive:
            self._sandboxes.adopt(container)
        await self._networks.move_bridge()
        endpoints = self._networks.all_endpoints()
        await self._wires.run(fabric.repair, self._networks.specs(), endpoints)
        await self._sandboxes.publish_all(alive)
        await self._remove_leftovers()
        interrupted = [c for c in self._containers.all() if c.running or c.state.status is Status.RESTARTING]
        for container in interrupted:
            await self._settle(container, container in alive)
        for container in self._containers.all():
            await self._restart(container, container in interrupted)

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

    async def _has_network(self, container: Container) -> bool:
        """Its namespace is where it should be, now if not before. Without it, nobody can look after the container."""
        mode = container.record.request.network_mode
        if mode == "host" or mode.startswith("container:"):
            return True
        try:
            await self._wires.run(self._wires.fabric.restore_sandbox, container.id, self._runner.process_of(container))
        except (SealaneError, ProcessLookupError) as error:
            _log.warning("container %s cannot go on: %s", container.name, error)
            return False
        return True

    async def _remove_leftovers(self) -> None:
        """Namespaces, mounts and bundles of starts that were cut off: no record says that they run."""
        layout = self._context.layout
        keep = {container.id for container in self._containers.all() if container.running}
        known = {container.id for container in self._containers.all()}
        await self._volumes.sweep()
        leftovers.end_containers(layout.run, keep)
        leftovers.settle_roots(layout.root / "containers", keep, known)
        await self._wires.run(self._wires.fabric.clear_sandboxes, keep)

    async def _settle(self, container: Container, alive: bool) -> None:
        """Take one over, or note how it ended. The engine comes up even if one can not be taken over: that is ended."""
        try:
            if alive:
                await self._runner.take_over(container)
                return
        except Exception:
            _log.exception("cannot take container %s over", container.name)
        if container.running:
            await self._runner.ended_meanwhile(container)

    async def _restart(self, container: Container, was_running: bool) -> None:
        try:
            await self._runner.start_at_boot(container, was_running)
        except Exception as error:
            _log.warning("cannot start container %s: %s", container.name, error)
