"""The file-system side of a container's life: its root, its three files in /etc, its mounts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from sealane.engine.container import Container
from sealane.engine.context import Context
from sealane.engine.files import ResolvConf, hosts, parse_extra_host, parse_resolv_conf, resolv_conf
from sealane.engine.images import Images
from sealane.engine.model import ExecRequest, MountKind
from sealane.engine.networks import Networks
from sealane.engine.planning import Planner
from sealane.engine.records import MountRecord
from sealane.engine.undo import to_the_end
from sealane.engine.volumes import Volumes
from sealane.errors import Conflict, Internal, InvalidArgument, NotFound, Unsupported
from sealane.network.spec import EndpointSpec
from sealane.runtime import changes, rootfs
from sealane.runtime.launch import ExecLaunch, Launch
from sealane.runtime.users import find_user
from sealane.values import ExecId

#: Made by the runtime in images that do not have them; Docker does not show them as changes.
_MOUNT_POINTS = frozenset(
    ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/dev", "/proc", "/sys", "/dev/console", "/dev/pts", "/dev/shm"]
)

_log = logging.getLogger(__name__)


class Bundles:
    """Prepares what the runtime needs, and takes it away again. *find* looks another container up by reference."""

    def __init__(
        self,
        context: Context,
        images: Images,
        volumes: Volumes,
        networks: Networks,
        planner: Planner,
        find: Callable[[str], Container],
    ) -> None:
        self._context = context
        self._images = images
        self._volumes = volumes
        self._networks = networks
        self._planner = planner
        self._find = find

    # before anything is made

    def check(self, container: Container) -> None:
        """Raises InvalidArgument for a bind source that does not exist, Unsupported for what is not served."""
        request = container.record.request
        if request.userns_mode not in ("", "host"):
            raise Unsupported(f"user namespace mode {request.userns_mode!r} is not supported yet")
        for mount in container.record.mounts:
            source = mount.point.source
            if mount.point.kind is MountKind.BIND and not mount.asked.create_source and not os.path.lexists(source):
                raise InvalidArgument(
                    f'invalid mount config for type "bind": bind source path does not exist: {source}'
                )
        self._planner.check(request)

    # preparing

    async def prepare(self, container: Container, endpoints: Sequence[EndpointSpec]) -> Launch:
        """Mount the root, write the files, and say what is to be run. Raises InvalidArgument for an unknown user."""
        layers = self._images.layers(container.record.image_id)
        try:
            return await asyncio.to_thread(self._prepare, container, endpoints, layers)
        except OSError as error:
            raise Internal(f"cannot prepare the files of container {container.name}: {error}") from error

    def _prepare(self, container: Container, endpoints: Sequence[EndpointSpec], layers: Sequence[Path]) -> Launch:
        folder = self._context.layout.container(container.id)
        root = rootfs.mount_root(folder, layers)
        self.write_files(container, endpoints)
        for mount in container.record.mounts:
            self._prepare_mount(mount, root)
        user = find_user(root, container.record.process.user, container.record.request.group_add)
        return self._planner.launch(container, root, user)

    def _prepare_mount(self, mount: MountRecord, root: Path) -> None:
        source = Path(mount.point.source)
        if mount.point.kind is MountKind.BIND and mount.asked.create_source and not os.path.lexists(source):
            source.mkdir(parents=True, exist_ok=True)
        if mount.is_volume:
            source.mkdir(parents=True, exist_ok=True)
            self._volumes.ensure_mounted(mount.point.name)
            if not mount.asked.no_copy:
                rootfs.copy_up(root, mount.point.destination, source)

    def write_files(self, container: Container, endpoints: Sequence[EndpointSpec]) -> None:
        """/etc/hostname, /etc/hosts and /etc/resolv.conf of a container, for the endpoints that it has now.

        One that shares another's network shares its files.
        """
        record, folder = container.record, self._context.layout.container(container.id)
        mode = record.request.network_mode
        if mode.startswith("container:"):
            return
        _rewrite(folder / "hostname", f"{record.process.hostname}\n")
        if mode == "host" and not record.request.extra_hosts:
            shutil.copyfile("/etc/hosts", folder / "hosts")
        else:
            _rewrite(folder / "hosts", self._hosts(container, endpoints, self._legacy_links(container)))
        _rewrite_resolv_conf(folder, self._resolv_conf(container, endpoints))

    def update_files(self, container: Container, before: Sequence[EndpointSpec], after: Sequence[EndpointSpec]) -> None:
        """When endpoints came or went: their lines in /etc/hosts, and who resolves names. What people wrote stays."""
        folder = self._context.layout.container(container.id)
        old, new = (self._hosts(container, endpoints, ()).splitlines() for endpoints in (before, after))
        try:
            lines = (folder / "hosts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
            kept = [line for line in lines if line in new or line not in old]
            came = [line for line in new if line not in old and line not in kept]
            _rewrite(folder / "hosts", "".join(f"{line}\n" for line in (*kept, *came)))
            if _is_unedited(folder):
                _rewrite_resolv_conf(folder, self._resolv_conf(container, after))
        except OSError as error:  # the interface is there all the same
            _log.warning("cannot bring the files of container %s up to date: %s", container.name, error)

    def _hosts(self, container: Container, endpoints: Sequence[EndpointSpec], links: Sequence[tuple[str, str]]) -> str:
        record = container.record
        gateway = self._context.settings.host_gateway or self._networks.default_gateway()
        extra = [parse_extra_host(text, gateway) for text in record.request.extra_hosts]
        return hosts(record.process.hostname, record.request.domainname, endpoints, extra, links)

    def _legacy_links(self, container: Container) -> list[tuple[str, str]]:
        """``--link`` on the default bridge: the neighbour's address under its alias, host name and name."""
        request = container.record.request
        if request.network_mode not in ("", "default", "bridge"):
            return []
        lines = []
        for link in request.links:
            name, _, alias = link.partition(":")
            peer = self._find(name)
            address = next((e.ipv4.ip for e in peer.live.endpoints if e.ipv4), None)
            if address is None:
                link_name = f"/{container.name}/{alias or name}"
                raise Conflict(f"Cannot link to a non running container: /{peer.name} AS {link_name}")
            names = dict.fromkeys((alias or peer.name, peer.record.process.hostname, peer.name))
            lines.append((str(address), " ".join(names)))
        return lines

    def _resolv_conf(self, container: Container, endpoints: Sequence[EndpointSpec]) -> str:
        request, settings = container.record.request, self._context.settings
        try:
            text = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        if request.network_mode == "host" and not (request.dns or request.dns_search or request.dns_options):
            return text
        own = ResolvConf(
            request.dns or tuple(str(server) for server in settings.dns),
            request.dns_search or settings.dns_search,
            request.dns_options or settings.dns_options,
        )
        return resolv_conf(
            parse_resolv_conf(text),
            own=own,
            internal_resolver=self._networks.any_user_defined(endpoints),
            ipv6=any(endpoint.ipv6 for endpoint in endpoints),
        )

    def exec_launch(
        self,
        container: Container,
        identifier: ExecId,
        request: ExecRequest,
        *,
        detach: bool,
        size: tuple[int, int] | None = None,
    ) -> ExecLaunch:
        """What an exec runs. Raises InvalidArgument for an unknown user."""
        root = self._context.layout.rootfs(container.id)
        user = find_user(root, request.user or container.record.process.user, container.record.request.group_add)
        return self._planner.exec_launch(container, identifier, request, user, detach=detach, size=size)

    # taking away

    async def discard(self, container: Container) -> None:
        """After the end of a run: the mounted root and the bundle go, what the container wrote stays."""
        await asyncio.to_thread(self._discard, container)

    def _discard(self, container: Container) -> None:
        rootfs.unmount_root(self._context.layout.container(container.id))
        shutil.rmtree(self._context.layout.bundle(container.id), ignore_errors=True)

    async def delete(self, container: Container) -> None:
        """The container's files, for good."""
        await asyncio.to_thread(self._delete, container)

    def _delete(self, container: Container) -> None:
        self._discard(container)
        rootfs.remove_tree(self._context.layout.container(container.id))

    # looking inside

    @contextlib.asynccontextmanager
    async def mounted(self, container: Container) -> AsyncIterator[Path]:
        """The container's root, mounted for the length of the block when it does not run; it is not started then."""
        async with contextlib.AsyncExitStack() as stack:
            if not container.running:
                await stack.enter_async_context(container.lock)
                await stack.enter_async_context(container.wiring)
            if container.gone:
                raise NotFound(f"No such container: {container.id}")
            if container.running:
                await stack.aclose()
                yield self._context.layout.rootfs(container.id)
                return
            folder = self._context.layout.container(container.id)
            layers = self._images.layers(container.record.image_id)
            try:
                yield await to_the_end(asyncio.to_thread(rootfs.mount_root, folder, layers))
            finally:
                await to_the_end(asyncio.to_thread(rootfs.unmount_root, folder))

    async def changes(self, container: Container) -> list[tuple[int, str]]:
        """What the container changed in its files."""
        upper = self._context.layout.container(container.id) / "upper"
        if not upper.exists():
            return []
        found = await asyncio.to_thread(changes.changes, upper, self._images.layers(container.record.image_id))
        return without_mount_points(found)


def without_mount_points(found: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Leave out what was only made so that something could be mounted on it, and directories changed by just that."""
    kept = [(kind, path) for kind, path in found if kind != changes.ADDED or path not in _MOUNT_POINTS]
    own = {path.rpartition("/")[0] for _, path in found} - {path.rpartition("/")[0] for _, path in kept}
    return [(kind, path) for kind, path in kept if kind != changes.MODIFIED or path not in own]


def _rewrite(path: Path, text: str) -> None:
    """In place: the file is bind-mounted, so its inode must stay."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.chmod(path, 0o644)


def _rewrite_resolv_conf(folder: Path, text: str) -> None:
    _rewrite(folder / "resolv.conf", text)
    _rewrite(folder / "resolv.conf.hash", hashlib.sha256(text.encode()).hexdigest())


def _is_unedited(folder: Path) -> bool:
    """Whether resolv.conf still says what we wrote."""
    text, digest = (folder / "resolv.conf").read_bytes(), (folder / "resolv.conf.hash").read_text(encoding="ascii")
    return hashlib.sha256(text).hexdigest() == digest
