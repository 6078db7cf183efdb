"""The verbs on containers: create, look up, rename, connect, remove, wait. Starting and stopping lie in ``runner``.

Contract: everything is checked before anything is made; the record is committed before the reply; a verb on one
container holds
that container's lock, so that verbs on different containers never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from sealane.engine.addresses import AddressBook
from sealane.engine.container import Container
from sealane.engine.context import Context
from sealane.engine.directory import Directory
from sealane.engine.events import Events
from sealane.engine.files import parse_extra_host
from sealane.engine.images import Images
from sealane.engine.model import (
    ContainerRequest,
    ContainerView,
    Created,
    EndpointView,
    ExitStatus,
    HealthCheck,
    MountKind,
    Pruned,
    Resources,
    RestartPolicy,
    Status,
    WaitCondition,
)
from sealane.engine.namegen import random_name
from sealane.engine.networks import Networks
from sealane.engine.planning import network_holder
from sealane.engine.ports import parse_range
from sealane.engine.prepare import check_name, merge_process, settle_mounts
from sealane.engine.records import Attachment, ContainerLive, ContainerRecord, MountRecord
from sealane.engine.volumes import Volumes
from sealane.errors import Conflict, Forbidden, Internal, InvalidArgument, NotFound, SealaneError
from sealane.network.endpoint import check_endpoint
from sealane.network.spec import EndpointRequest
from sealane.store.codec import encode
from sealane.store.database import Database
from sealane.values import ContainerId, ExecId, ImageId, NetworkId, short

_log = logging.getLogger(__name__)


class Containers:
    """Every container of this engine."""

    def __init__(
        self,
        context: Context,
        database: Database,
        events: Events,
        images: Images,
        networks: Networks,
        volumes: Volumes,
        addresses: AddressBook,
        directory: Directory[Container],
    ) -> None:
        self._context = context
        self._database = database
        self._events = events
        self._images = images
        self._networks = networks
        self._volumes = volumes
        self._addresses = addresses
        self._directory = directory
        self._random = random.Random()

    # looking up

    def get(self, reference: str) -> Container:
        """By full id, name or unique id prefix. Raises NotFound in Docker's words."""
        found = self._directory.find(reference.removeprefix("/"))
        if found is None:
            raise NotFound(f"No such container: {reference}")
        return found

    @contextlib.asynccontextmanager
    async def locked(self, reference: str) -> AsyncIterator[Container]:
        """As ``get``, under the container's lock. Raises NotFound also for one that was removed meanwhile."""
        container = self.get(reference)
        async with container.lock:
            if container.gone:
                raise NotFound(f"No such container: {reference}")
            yield container

    def all(self) -> list[Container]:
        return list(self._directory)

    # creating

    async def create(self, request: ContainerRequest) -> Created:
        """Check everything, then commit the record. Nothing runs, and nothing is in the kernel yet."""
        image = self._images.get(request.image)
        identifier = ContainerId(self._context.new_id())
        name = check_name(request.name) if request.name else self._free_name()
        self._check_name_free(name)
        self._check_host_side(request)
        request = self._joining_by_id(request)
        attachments = self._attachments(request)
        process = merge_process(request, image.config, identifier, _image_health(image.config), self._hostname(request))
        mounts = settle_mounts(
            request, image.config.volumes, self._inherited(request), self._volumes.path, self._context.new_id
        )
        record = ContainerRecord(
            id=identifier,
            name=name,
            created_ns=self._context.clock.now_ns(),
            request=request,
            image_id=image.id,
            image_ref=request.image,
            process=process,
            mounts=mounts,
            attachments=attachments,
        )
        self._hold_static(record)
        try:
            await self._make_volumes(mounts)
            self._check_name_free(name)
            container = Container(record, ContainerLive())
            _make_folder(self._context.layout.container(identifier), name)
            self.commit(container, record, container.live)
        except BaseException:
            self._release_static(record)
            await self._remove_anonymous(mounts)
            shutil.rmtree(self._context.layout.container(identifier), ignore_errors=True)
            raise
        self._directory.file(identifier, name, container)
        self.emit("create", container)
        return Created(identifier, self._create_warnings(request))

    def _create_warnings(self, request: ContainerRequest) -> tuple[str, ...]:
        if request.network_mode == "host" and request.port_bindings:
            return ("Published ports are discarded when using host network mode",)
        return ()

    def _free_name(self) -> str:
        while True:
            name = random_name(self._random)
            if self._directory.named(name) is None:
                return name

    def _check_name_free(self, name: str) -> None:
        holder = self._directory.named(name)
        if holder is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{holder.id}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def _check_host_side(self, request: ContainerRequest) -> None:
        gateway = self._context.settings.host_gateway or ip_address("127.0.0.1")
        for text in request.extra_hosts:
            parse_extra_host(text, gateway)
        for binding in request.port_bindings:
            parse_range(binding.host_port)
            if binding.host_ip:
                try:
                    ip_address(binding.host_ip)
                except ValueError:
                    raise InvalidArgument(f"invalid IP address in port binding: {binding.host_ip!r}") from None
        for link in request.links:
            name = link.partition(":")[0]
            if self._directory.find(name) is None:
                raise NotFound(f"could not get container for {name}: No such container: {name}")

    def _joining_by_id(self, request: ContainerRequest) -> ContainerRequest:
        """With the containers whose namespaces are to be joined named by id, for names change. One that does not exist
        need only do so when the container starts."""

        def by_id(mode: str) -> str:
            prefix, colon, name = mode.partition(":")
            found = self._directory.find(name) if colon and prefix == "container" else None
            return f"container:{found.id}" if found is not None else mode

        return replace(
            request,
            network_mode=by_id(request.network_mode),
            pid_mode=by_id(request.pid_mode),
            ipc_mode=by_id(request.ipc_mode),
        )

    def _hostname(self, request: ContainerRequest) -> str:
        if request.network_mode == "host":
            return Path("/proc/sys/kernel/hostname").read_text(encoding="utf-8").strip()
        if request.network_mode.startswith("container:"):
            peer = self._directory.find(request.network_mode.removeprefix("container:"))
            return peer.record.process.hostname if peer is not None else ""
        return ""

    def _attachments(self, request: ContainerRequest) -> tuple[Attachment, ...]:
        """Network mode first, then the rest in the order asked. Networks need only exist when the container starts."""
        mode = "bridge" if request.network_mode in ("", "default") else request.network_mode
        asked = list(request.endpoints)
        if mode.startswith("container:") or mode in ("host", "none"):
            strangers = [e for e in asked if e.network not in (mode, request.network_mode)]
            if strangers:
                raise InvalidArgument(
                    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
                    if mode == "none"
                    else "container sharing network namespace with another container or host cannot be connected to "
                    "any other network"
                )
            if mode.startswith("container:"):
                return ()
            asked = [EndpointRequest(network=mode)]
        elif not any(self._same_network(e.network, mode) for e in asked):
            asked.insert(0, EndpointRequest(network=mode))
        asked.sort(key=lambda e: not self._same_network(e.network, mode))
        return tuple(self._attachment(endpoint) for endpoint in asked)

    def _same_network(self, first: str, second: str) -> bool:
        names = {"default": "bridge"}
        first, second = names.get(first, first), names.get(second, second)
        if first == second:
            return True
        ids = {self._network_id(first), self._network_id(second)}
        return len(ids) == 1 and None not in ids

    def _network_id(self, reference: str) -> NetworkId | None:
        try:
            return self._networks.resolve(reference).id
        except NotFound:
            return None

    def _attachment(self, asked: EndpointRequest) -> Attachment:
        try:
            spec = self._networks.resolve(asked.network)
        except NotFound:
            spec = None
        if spec is not None:
            asked = replace(asked, network=spec.name)
        check_endpoint(asked, spec)
        return Attachment(network_id=spec.id if spec else None, asked=asked)

    def _inherited(self, request: ContainerRequest) -> list[MountRecord]:
        records: list[MountRecord] = []
        for text in request.volumes_from:
            name, _, mode = text.partition(":")
            for mount in self.get(name).record.mounts:
                if mount.point.kind is MountKind.TMPFS:
                    continue
                read_write = mount.point.read_write and "ro" not in mode.split(",")
                point = replace(mount.point, read_write=read_write, mode=mode)
                records.append(MountRecord(point=point, asked=replace(mount.asked, no_copy=True)))
        return records

    async def _remove_anonymous(self, mounts: Sequence[MountRecord]) -> None:
        """Of a container that could not be created: nobody else has its nameless volumes."""
        for mount in mounts:
            if mount.is_volume and not mount.asked.source:
                with contextlib.suppress(Conflict):  # inherited: another container has it
                    await self._volumes.remove(mount.point.name, force=True)

    async def _make_volumes(self, mounts: Sequence[MountRecord]) -> None:
        for mount in mounts:
            if mount.is_volume:
                asked = mount.asked
                await self._volumes.create(
                    mount.point.name,
                    asked.driver or "local",
                    asked.driver_options,
                    asked.labels,
                    anonymous=not asked.source,
                )

    def find_networks(self, container: Container) -> None:
        """Before a start: names of networks that did not exist at creation mean something now. Raises NotFound."""
        attachments = tuple(self._found(container, attachment) for attachment in container.record.attachments)
        if attachments != container.record.attachments:
            self.set_attachments(container, attachments)

    def _found(self, container: Container, attachment: Attachment) -> Attachment:
        if attachment.network_id is not None and self._networks.get(attachment.network_id) is not None:
            return attachment
        spec = self._networks.resolve(attachment.asked.network)
        for text in (attachment.asked.ipv4, attachment.asked.ipv6):
            if text:
                self.hold_static(spec.id, text, container.id)
        return Attachment(network_id=spec.id, asked=replace(attachment.asked, network=spec.name))

    def hold_static(self, network: NetworkId, text: str, container: ContainerId) -> None:
        """Promise an address to a container. Raises Forbidden (Docker's) naming the container that has it."""
        address = ip_address(text)
        holder = self._addresses.holder(network, address)
        if holder is None:
            self._addresses.hold(network, address, container)
        elif not self._addresses.free_for(network, address, container):
            owner = self._directory.get(holder)
            raise Forbidden(
                f"Address already in use: {text} belongs to container {owner.name if owner else short(holder)}"
            )

    def release_static(self, network: NetworkId, text: str, container: ContainerId) -> None:
        self._addresses.release(network, ip_address(text), container)

    def _hold_static(self, record: ContainerRecord) -> None:
        """Promise the addresses that are free. One that another container has is asked for again at the start, as in
        Docker: Compose creates the new container before the old one goes.
        """
        for network, text in _static(record):
            with contextlib.suppress(Forbidden):
                self.hold_static(network, text, record.id)

    def _release_static(self, record: ContainerRecord) -> None:
        for network, text in _static(record):
            self.release_static(network, text, record.id)

    # committing

    def commit(
        self, container: Container, record: ContainerRecord | None = None, live: ContainerLive | None = None
    ) -> None:
        """Write what changed, then change it in memory."""
        with self._database.transaction():
            if record is not None:
                self._database.put_object("container", record.id, record.name, encode(record))
            if live is not None:
                self._database.put_state(container.id, encode(live))
        if record is not None:
            container.record = record
        if live is not None:
            container.live = live

    def note(self, container: Container, live: ContainerLive) -> None:
        """As ``commit``, for what has happened whether or not it can be written: a full disk stops no teardown."""
        try:
            self.commit(container, live=live)
        except SealaneError as error:
            _log.error("cannot write the state of container %s: %s", container.name, error)
            container.live = live

    def adopt(self, record: ContainerRecord, live: ContainerLive) -> Container:
        """File a container that already exists (recovery)."""
        container = Container(record, live)
        self._directory.file(record.id, record.name, container)
        self._hold_static(record)
        return container

    def emit(self, action: str, container: Container, **attributes: str) -> None:
        """An event about a container: its labels, image and name go with it, as Docker's do."""
        record = container.record
        self._events.emit(
            "container",
            action,
            record.id,
            {**record.process.labels, **attributes, "image": record.image_ref, "name": record.name},
        )

    # other verbs on the record

    async def rename(self, reference: str, new_name: str) -> Container:
        """Change the name in the store and in the directory; the caller tells the resolver."""
        container = self.get(reference)
        if not new_name:
            raise InvalidArgument("Neither old nor new names may be empty")
        name = new_name.removeprefix("/")
        if name == container.name:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        try:
            self._check_name_free(check_name(f"/{name}"))
        except (Conflict, InvalidArgument) as error:
            raise type(error)(f"Error when allocating new name: {error.message}") from None
        old = container.name
        self.commit(container, record=replace(container.record, name=name))
        self._directory.rename(container.id, name)
        self.emit("rename", container, oldName=f"/{old}")
        return container

    async def update(
        self, reference: str, resources: Resources, restart: RestartPolicy | None, asked: bytes | None
    ) -> Container:
        """Change limits and restart policy in the record; the caller applies limits to a running container."""
        container = self.get(reference)
        request = container.record.request
        if restart is not None and restart.name != "no" and request.auto_remove:
            raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
        request = replace(
            request, resources=resources, restart=restart or request.restart, asked=asked or request.asked
        )
        self.commit(container, record=replace(container.record, request=request))
        self.emit("update", container)
        return container

    def set_attachments(self, container: Container, attachments: tuple[Attachment, ...]) -> None:
        """After connect and disconnect."""
        self.commit(container, record=replace(container.record, attachments=attachments))

    def forget(self, container: Container) -> None:
        """Delete the record of a container, so that not even a killed engine brings it back; then its files may go."""
        with self._database.transaction():
            self._database.delete_object("container", container.id)
            self._database.delete_state(container.id)
        self._release_static(container.record)
        self._directory.forget(container.id)
        container.removal.set()
        for session in container.sessions:
            session.abandon()
        container.sessions.clear()

    def say_gone(self, container: Container) -> None:
        """Tell everybody that nothing is left of a container."""
        self.emit("destroy", container)
        container.tell_exit(ExitStatus(container.state.exit_code))
        container.farewell.set()

    async def wait(self, reference: str, condition: WaitCondition) -> Awaitable[ExitStatus]:
        """Register for an exit; the inner awaitable gives the result."""
        container = self.get(reference)
        if condition is WaitCondition.REMOVED:
            return self._wait_removed(container)
        idle = not container.running and container.state.status is not Status.RESTARTING
        if condition is WaitCondition.NOT_RUNNING and idle:
            done: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
            done.set_result(ExitStatus(container.state.exit_code, container.state.error))
            return done
        return container.next_exit()

    async def _wait_removed(self, container: Container) -> ExitStatus:
        await container.farewell.wait()
        return ExitStatus(container.state.exit_code)

    # views

    def views(self) -> list[ContainerView]:
        """Everything, newest first."""
        return sorted((self._view(c) for c in self._directory), key=lambda view: view.created_ns, reverse=True)

    def view(self, reference: str) -> ContainerView:
        return self._view(self.get(reference))

    def _view(self, container: Container) -> ContainerView:
        record, live, layout = container.record, container.live, self._context.layout
        process, folder = record.process, layout.container(self._network_holder(container).id)
        return ContainerView(
            id=record.id,
            name=record.name,
            created_ns=record.created_ns,
            request=record.request,
            image_id=record.image_id,
            image_ref=record.image_ref,
            path=process.path,
            args=process.args,
            env=process.env,
            working_dir=process.working_dir,
            user=process.user,
            entrypoint=process.entrypoint,
            command=process.command,
            labels=process.labels,
            exposed_ports=process.exposed_ports,
            hostname=process.hostname,
            stop_signal=process.stop_signal,
            state=live.state,
            mounts=tuple(mount.point for mount in record.mounts),
            endpoints=self._endpoint_views(container),
            ports=live.ports if any(e.default_route_ipv4 or e.default_route_ipv6 for e in live.endpoints) else (),
            sandbox_key=self._sandbox_key(container),
            rootfs=layout.rootfs(container.id) if container.running else None,
            log_path=layout.log(container.id),
            resolv_conf_path=folder / "resolv.conf",
            hosts_path=folder / "hosts",
            hostname_path=folder / "hostname",
            cgroup_path=f"{self._context.settings.cgroup_parent}/{container.id}",
            exec_ids=tuple(ExecId(item) for item in container.exec_ids),
        )

    def _sandbox_key(self, container: Container) -> str:
        shares = container.record.request.network_mode.startswith("container:")
        return "" if shares or not container.running else str(self._context.layout.sandbox(container.id))

    def _network_holder(self, container: Container) -> Container:
        try:
            return network_holder(container, self.get)
        except SealaneError:
            return container  # what it joins is gone

    def _endpoint_views(self, container: Container) -> tuple[EndpointView, ...]:
        settled = {endpoint.network: endpoint for endpoint in container.live.endpoints}
        views = []
        for attachment in container.record.attachments:
            identifier = attachment.network_id or self._network_id(attachment.asked.network)
            spec = self._networks.get(identifier) if identifier else None
            endpoint = settled.get(identifier) if identifier else None
            views.append(
                EndpointView(
                    network_name=spec.name if spec else attachment.asked.network,
                    network_id=identifier,
                    asked=attachment.asked,
                    settled=endpoint,
                    names=endpoint.names if endpoint else (),
                )
            )
        return tuple(views)

    def users_of_volume(self, name: str) -> tuple[ContainerId, ...]:
        return tuple(c.id for c in self._directory if any(m.point.name == name for m in c.record.mounts))

    def users_of_image(self, image: ImageId) -> list[Container]:
        return [c for c in self._directory if c.record.image_id == image]

    async def prune(self, keep: Callable[[ContainerView], bool], remove: Callable[[str], Awaitable[None]]) -> Pruned:
        """Remove every container that does not run and that *keep* does not want."""
        removed = []
        for view in self.views():
            if view.state.status in (Status.CREATED, Status.EXITED, Status.DEAD) and not keep(view):
                try:
                    await remove(view.id)
                except (Conflict, NotFound):
                    continue
                removed.append(view.id)
        self._events.emit("container", "prune", "", {"reclaimed": "0"})
        return Pruned(tuple(removed))


def _make_folder(folder: Path, name: str) -> None:
    try:
        folder.mkdir(mode=0o710, parents=True)
    except OSError as error:
        raise Internal(f"cannot create container {name}: {folder}: {error.strerror}") from error


def _image_health(config: object) -> HealthCheck | None:
    """The image's own check, when its configuration has one (same field names)."""
    found = getattr(config, "healthcheck", None)
    if found is None:
        return None
    return HealthCheck(
        test=tuple(found.test),
        interval_ns=found.interval_ns,
        timeout_ns=found.timeout_ns,
        start_period_ns=found.start_period_ns,
        start_interval_ns=getattr(found, "start_interval_ns", 0),
        retries=found.retries,
    )


def _static(record: ContainerRecord) -> list[tuple[NetworkId, str]]:
    return [
        (attachment.network_id, text)
        for attachment in record.attachments
        for text in (attachment.asked.ipv4, attachment.asked.ipv6)
        if text and attachment.network_id is not None
    ]
