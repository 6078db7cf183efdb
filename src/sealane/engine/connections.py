"""Connecting containers to networks and disconnecting them, running or not; and renaming, which changes their names
there.

For a stopped container only its record changes. For a running one the kernel and the resolver change first, then the
record is
committed; a failure takes the change back.
"""

from __future__ import annotations

from dataclasses import replace

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.networks import Networks
from sealane.engine.records import Attachment
from sealane.engine.runner import Runner
from sealane.engine.sandboxes import Sandboxes
from sealane.errors import Conflict, Forbidden, InvalidArgument
from sealane.network.endpoint import check_endpoint
from sealane.network.spec import EndpointRequest, NetworkSpec
from sealane.values import ContainerId, NetworkId


class Connections:
    """The verbs that join containers and networks."""

    def __init__(
        self, containers: Containers, networks: Networks, sandboxes: Sandboxes, bundles: Bundles, runner: Runner
    ) -> None:
        self._containers = containers
        self._bundles = bundles
        self._networks = networks
        self._sandboxes = sandboxes
        self._runner = runner

    async def connect(self, network: str, container: str, asked: EndpointRequest) -> None:
        """Attach a container to a network; for a running one the interface is there when this returns."""
        async with self._containers.locked(container) as target:
            spec = self._networks.resolve(network)
            self._check_combination(target, spec)
            asked = replace(asked, network=spec.name)
            check_endpoint(asked, spec)
            if self._attachment(target, spec) is not None:
                if target.running:
                    raise Forbidden(f"endpoint with name {target.name} already exists in network {spec.name}")
                return
            attachment = Attachment(network_id=spec.id, asked=asked)
            self._hold(target, attachment)
            try:
                await self._join(target, spec, attachment)
            except BaseException:
                self._let_go(target, attachment)
                raise

    async def _join(self, target: Container, spec: NetworkSpec, attachment: Attachment) -> None:
        attachments = (*target.record.attachments, attachment)
        if not target.running:
            self._containers.set_attachments(target, attachments)
            return
        with self._networks.joining((spec.id,)):
            async with target.wiring:
                if not target.running:
                    raise Conflict(f"container {target.name} ended while it was being connected")
                before, plan = target.live.endpoints, await self._sandboxes.connect(target, attachment)
                self._bundles.update_files(target, before, plan.endpoints)
                record = replace(target.record, attachments=attachments)
                live = replace(target.live, endpoints=plan.endpoints, ports=plan.ports)
                self._containers.commit(target, record=record, live=live)
        self._runner.emit_network("connect", spec, target)

    def _check_combination(self, target: Container, spec: NetworkSpec) -> None:
        mode = target.record.request.network_mode
        if target.removing:
            raise Conflict(
                f"Container {target.id} is marked for removal and cannot be connected or disconnected to the network"
            )
        if mode.startswith("container:") or mode == "host":
            raise InvalidArgument(
                "container sharing network namespace with another container or host cannot be connected to any other "
                "network"
            )
        if spec.driver == "host":
            raise InvalidArgument(
                "cannot connect container to host network - container must be created in host network mode"
            )
        on_none = any(a.asked.network == "none" for a in target.record.attachments)
        if on_none or (spec.driver == "null" and target.record.attachments):
            raise InvalidArgument(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            )
        if spec.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")

    def _attachment(self, target: Container, spec: NetworkSpec) -> Attachment | None:
        for attachment in target.record.attachments:
            if attachment.network_id == spec.id or attachment.asked.network == spec.name:
                return attachment
        return None

    def _hold(self, target: Container, attachment: Attachment) -> None:
        if attachment.network_id is None:
            return
        for text in (attachment.asked.ipv4, attachment.asked.ipv6):
            if text:
                self._containers.hold_static(attachment.network_id, text, target.id)

    def _let_go(self, target: Container, attachment: Attachment) -> None:
        if attachment.network_id is not None:
            self._release(target.id, attachment.network_id, attachment)

    def _release(self, container: ContainerId, network: NetworkId, attachment: Attachment) -> None:
        for text in (attachment.asked.ipv4, attachment.asked.ipv6):
            if text:
                self._containers.release_static(network, text, container)

    async def disconnect(self, network: str, container: str, force: bool = False) -> None:
        """Take a container off a network. *force* is for stale endpoints, of which there are none here."""
        spec = self._networks.resolve(network)
        async with self._containers.locked(container) as target:
            if spec.driver == "host":
                raise InvalidArgument(
                    "cannot disconnect container from host network - container was created in host network mode"
                )
            attachment = self._attachment(target, spec)
            if attachment is None:
                article = "" if target.running else "the "
                raise Forbidden(f"container {target.id} is not connected to {article}network {spec.name}")
            rest = tuple(a for a in target.record.attachments if a is not attachment)
            if target.running:
                await self._leave(target, spec, rest)
            else:
                self._containers.set_attachments(target, rest)
            self._release(target.id, spec.id, attachment)

    async def _leave(self, target: Container, spec: NetworkSpec, rest: tuple[Attachment, ...]) -> None:
        async with target.wiring:
            endpoint = next((e for e in target.live.endpoints if e.network == spec.id), None)
            live = target.live
            if endpoint is not None:
                plan = await self._sandboxes.disconnect(target, endpoint)
                self._bundles.update_files(target, live.endpoints, plan.endpoints)
                live = replace(target.live, endpoints=plan.endpoints, ports=plan.ports)
            self._containers.commit(target, record=replace(target.record, attachments=rest), live=live)
        if endpoint is not None:
            self._runner.emit_network("disconnect", spec, target)

    async def rename(self, reference: str, new_name: str) -> None:
        """Rename a container; its neighbours resolve the new name when this returns."""
        async with self._containers.locked(reference) as target:
            await self._containers.rename(target.id, new_name)
            if target.running:
                async with target.wiring:
                    endpoints = await self._sandboxes.renamed(target)
                    self._containers.commit(target, live=replace(target.live, endpoints=endpoints))
