"""The file-system side of a container's life: its root, its three files in /etc, its mounts, and the plan for the
runtime.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from sealane.engine.container import Container
from sealane.engine.context import Context
from sealane.engine.files import ResolvConf, hosts, parse_extra_host, parse_resolv_conf, resolv_conf
from sealane.engine.images import Images
from sealane.engine.model import ContainerRequest, ExecRequest, MountKind
from sealane.engine.networks import Networks
from sealane.engine.prepare import process_env
from sealane.engine.records import MountRecord
from sealane.engine.security import SecurityOptions, parse_security
from sealane.engine.volumes import Volumes
from sealane.errors import Conflict, Internal, InvalidArgument, Unsupported
from sealane.network.spec import EndpointSpec
from sealane.runtime import changes, rootfs
from sealane.runtime.defaults import capabilities
from sealane.runtime.resources import DeviceRule, Limits
from sealane.runtime.spec import HOST, PRIVATE, BindMount, ContainerPlan, DeviceNode, ExecPlan, ProcessUser, Rlimit
from sealane.runtime.users import find_user

_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})


class Bundles:
    """Prepares what the runtime needs, and takes it away again. *find* looks another container up by reference."""

    def __init__(
        self,
        context: Context,
        images: Images,
        volumes: Volumes,
        networks: Networks,
        find: Callable[[str], Container],
    ) -> None:
        self._context = context
        self._images = images
        self._volumes = volumes
        self._networks = networks
        self._find = find

    # before anything is made

    def check(self, container: Container) -> None:
        """Raises InvalidArgument for a bind source that does not exist, Unsupported for what is not served."""
        request = container.record.request
        parse_security(request.security_opt)
        if request.userns_mode not in ("", "host"):
            raise Unsupported(f"user namespace mode {request.userns_mode!r} is not supported yet")
        for mount in container.record.mounts:
            source = mount.point.source
            if mount.point.kind is MountKind.BIND and not mount.asked.create_source and not os.path.lexists(source):
                raise InvalidArgument(
                    f'invalid mount config for type "bind": bind source path does not exist: {source}'
                )
        for mode in (request.pid_mode, request.ipc_mode):
            if mode.startswith("container:"):
                self._namespace_of(mode, "pid")

    # preparing

    async def prepare(
        self, container: Container, namespace: Path | None, endpoints: Sequence[EndpointSpec]
    ) -> ContainerPlan:
        """Mount the root, write the files, and say what is to be run. Raises InvalidArgument for an unknown user."""
        layers = self._images.layers(container.record.image_id)
        return await asyncio.to_thread(self._prepare, container, namespace, endpoints, layers)

    def _prepare(
        self, container: Container, namespace: Path | None, endpoints: Sequence[EndpointSpec], layers: Sequence[Path]
    ) -> ContainerPlan:
        folder = self._context.layout.container(container.id)
        root = rootfs.mount_root(folder, layers)
        self.write_files(container, endpoints)
        for mount in container.record.mounts:
            self._prepare_mount(mount, root)
        user = find_user(root, container.record.process.user, container.record.request.group_add)
        return self._plan(container, namespace, root, user)

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
        """/etc/hostname, /etc/hosts and /etc/resolv.conf of a container, for the endpoints that it has now."""
        record, folder = container.record, self._context.layout.container(container.id)
        mode = record.request.network_mode
        if mode.startswith("container:"):
            peer = self._context.layout.container(self._find(mode.removeprefix("container:")).id)
            for name in ("hostname", "hosts", "resolv.conf"):
                shutil.copyfile(peer / name, folder / name)
            return
        _rewrite(folder / "hostname", f"{record.process.hostname}\n")
        if mode == "host" and not record.request.extra_hosts:
            shutil.copyfile("/etc/hosts", folder / "hosts")
        else:
            _rewrite(folder / "hosts", self._hosts(container, endpoints))
        if not (folder / "resolv.conf").exists() or _is_ours(folder / "resolv.conf"):
            _rewrite(folder / "resolv.conf", self._resolv_conf(container, endpoints))

    def _hosts(self, container: Container, endpoints: Sequence[EndpointSpec]) -> str:
        record = container.record
        gateway = self._context.settings.host_gateway or self._networks.default_gateway()
        extra = [parse_extra_host(text, gateway) for text in record.request.extra_hosts]
        return hosts(
            record.process.hostname, record.request.domainname, endpoints, extra, self._legacy_links(record.request)
        )

    def _legacy_links(self, request: ContainerRequest) -> list[tuple[str, str]]:
        """``--link`` on the default bridge: the neighbour's address under its alias, host name and name."""
        if request.network_mode not in ("", "default", "bridge"):
            return []
        lines = []
        for link in request.links:
            name, _, alias = link.partition(":")
            peer = self._find(name)
            address = next((e.ipv4.ip for e in peer.live.endpoints if e.ipv4), None)
            if address is None:
                raise Internal(f"Cannot link to a non running container: /{peer.name} AS /{alias or name}")
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

    def _plan(self, container: Container, namespace: Path | None, root: Path, user: object) -> ContainerPlan:
        record = container.record
        request, process = record.request, record.process
        security = parse_security(request.security_opt)
        found = _user(user)
        return ContainerPlan(
            id=record.id,
            rootfs=root,
            args=(process.path, *process.args),
            env=process_env(process, tty=request.tty, home=found.home),
            cwd=process.working_dir or "/",
            user=found,
            terminal=request.tty,
            hostname="" if request.uts_mode == "host" or namespace is None else process.hostname,
            domainname=request.domainname,
            readonly=request.read_only,
            netns=namespace,
            pid=self._namespace_mode(request.pid_mode, "pid"),
            ipc=self._namespace_mode(request.ipc_mode, "ipc"),
            uts=HOST if request.uts_mode == "host" or namespace is None else PRIVATE,
            cgroup=request.cgroupns_mode or HOST,
            mounts=self._mounts(container),
            devices=_devices(request),
            device_rules=tuple(_device_rule(text) for text in request.device_cgroup_rules),
            capabilities=capabilities(request.cap_add, request.cap_drop, privileged=request.privileged),
            no_new_privileges=security.no_new_privileges,
            seccomp=None,
            unconfined=security.unconfined or request.privileged,
            apparmor=security.apparmor,
            rlimits=tuple(Rlimit(limit.name, limit.soft, limit.hard) for limit in request.ulimits),
            sysctls=request.sysctls,
            limits=limits_of(request),
            cgroup_path=self.cgroup_path(container),
            oom_score_adj=request.oom_score_adj,
            masked_paths=() if security.open_paths else request.masked_paths,
            readonly_paths=() if security.open_paths else request.readonly_paths,
            privileged=request.privileged,
            init=bool(request.init),
            shm_size=request.shm_size or self._context.settings.shm_size,
            shm_path=self._shm_path(request.ipc_mode),
            annotations=request.annotations,
        )

    def cgroup_path(self, container: Container) -> str:
        parent = container.record.request.cgroup_parent or self._context.settings.cgroup_parent
        return f"/{parent.strip('/')}/{container.id}"

    def _namespace_mode(self, mode: str, kind: str) -> str:
        if mode == "host":
            return HOST
        return self._namespace_of(mode, kind) if mode.startswith("container:") else PRIVATE

    def _namespace_of(self, mode: str, kind: str) -> str:
        peer = self._find(mode.removeprefix("container:"))
        if not peer.running:
            raise Conflict(f"cannot join {kind.upper()} namespace of a non running container: {peer.name}")
        return f"/proc/{peer.state.pid}/ns/{kind}"

    def _shm_path(self, mode: str) -> Path | None:
        if not mode.startswith("container:"):
            return None
        return Path(f"/proc/{self._find(mode.removeprefix('container:')).state.pid}/root/dev/shm")

    def _mounts(self, container: Container) -> tuple[BindMount, ...]:
        folder = self._context.layout.container(container.id)
        own = {mount.point.destination for mount in container.record.mounts}
        files = [
            BindMount(str(folder / name), f"/etc/{name}", ("rbind", "rprivate"))
            for name in ("resolv.conf", "hostname", "hosts")
            if f"/etc/{name}" not in own
        ]
        return (*(_bind(mount) for mount in container.record.mounts), *files)

    def exec_plan(self, container: Container, request: ExecRequest, size: tuple[int, int] | None = None) -> ExecPlan:
        """What an exec runs. Raises InvalidArgument for an unknown user."""
        record = container.record
        security = parse_security(record.request.security_opt)
        root = self._context.layout.rootfs(container.id)
        found = _user(find_user(root, request.user or record.process.user, record.request.group_add))
        environment = process_env(record.process, tty=request.tty, home=found.home)
        own = {entry.partition("=")[0] for entry in request.env}
        kept = tuple(entry for entry in environment if entry.partition("=")[0] not in own)
        privileged = request.privileged or record.request.privileged
        return ExecPlan(
            args=request.command,
            env=(*kept, *request.env),
            cwd=request.working_dir or record.process.working_dir or "/",
            user=found,
            terminal=request.tty,
            console_size=size,
            capabilities=capabilities(record.request.cap_add, record.request.cap_drop, privileged=privileged),
            no_new_privileges=security.no_new_privileges,
            apparmor=security.apparmor,
        )

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
        """The container's root, mounted for the length of the block when it does not run."""
        if container.running:
            yield self._context.layout.rootfs(container.id)
            return
        async with container.lock:
            folder = self._context.layout.container(container.id)
            layers = self._images.layers(container.record.image_id)
            root = await asyncio.to_thread(rootfs.mount_root, folder, layers)
            try:
                yield root
            finally:
                await asyncio.to_thread(rootfs.unmount_root, folder)

    async def changes(self, container: Container) -> list[tuple[int, str]]:
        """What the container changed in its files."""
        upper = self._context.layout.container(container.id) / "upper"
        if not upper.exists():
            return []
        return await asyncio.to_thread(changes.changes, upper, self._images.layers(container.record.image_id))


def _user(found: object) -> ProcessUser:
    assert isinstance(found, ProcessUser)
    return found


def limits_of(request: ContainerRequest) -> Limits:
    """The request's limits in the runtime's terms."""
    own = request.resources
    return Limits(
        memory=own.memory,
        memory_swap=own.memory_swap,
        memory_reservation=own.memory_reservation,
        memory_swappiness=own.memory_swappiness,
        nano_cpus=own.nano_cpus,
        cpu_shares=own.cpu_shares,
        cpu_period_us=own.cpu_period,
        cpu_quota_us=own.cpu_quota,
        cpuset_cpus=own.cpuset_cpus,
        cpuset_mems=own.cpuset_mems,
        pids=own.pids_limit,
        blkio_weight=own.blkio_weight,
        oom_kill_disable=own.oom_kill_disable,
    )


def _bind(mount: MountRecord) -> BindMount:
    point, asked = mount.point, mount.asked
    if point.kind is MountKind.TMPFS:
        options = ["nosuid", "nodev", "noexec"] if not asked.tmpfs_options else asked.tmpfs_options.split(",")
        if asked.tmpfs_size:
            options.append(f"size={asked.tmpfs_size}")
        if asked.tmpfs_mode:
            options.append(f"mode={asked.tmpfs_mode:o}")
        return BindMount("tmpfs", point.destination, tuple(options), "tmpfs")
    source = point.source if not asked.subpath else os.path.join(point.source, asked.subpath)
    propagation = point.propagation if point.propagation in _PROPAGATIONS else "rprivate"
    return BindMount(source, point.destination, ("rbind", propagation, *(() if point.read_write else ("ro",))))


def _devices(request: ContainerRequest) -> tuple[DeviceNode, ...]:
    found = [_device(d.host_path, d.container_path or d.host_path, d.permissions or "rwm") for d in request.devices]
    if request.privileged:
        found += [_device(path, path, "rwm") for path in _host_devices()]
    return tuple(found)


def _host_devices() -> list[str]:
    skipped = ("/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr")
    standard = {
        "/dev/console",
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/ptmx",
    }
    found = []
    for top, folders, files in os.walk("/dev"):
        folders[:] = [name for name in folders if f"{top}/{name}" not in skipped]
        for name in files:
            path = f"{top}/{name}"
            mode = os.lstat(path).st_mode
            if path not in standard and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
                found.append(path)
    return found


def _device(path: str, target: str, permissions: str) -> DeviceNode:
    try:
        found = os.stat(path)
    except OSError as error:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{path}": {error.strerror}'
        ) from error
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{path}": not a device node'
        )
    kind = "c" if stat.S_ISCHR(found.st_mode) else "b"
    return DeviceNode(
        target, kind, os.major(found.st_rdev), os.minor(found.st_rdev), permissions,
        stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid,
    )  # fmt: skip


def _device_rule(text: str) -> DeviceRule:
    """``c 1:3 rwm``, ``*`` for any number. Raises InvalidArgument naming the rule."""
    try:
        kind, numbers, access = text.split()
        major, _, minor = numbers.partition(":")
        return DeviceRule(kind, None if major == "*" else int(major), None if minor == "*" else int(minor), access)
    except ValueError:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'") from None


def _rewrite(path: Path, text: str) -> None:
    """In place: the file is bind-mounted, so its inode must stay."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)


def _is_ours(path: Path) -> bool:
    """False once somebody edited the file: its first line is then no longer ours."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().startswith("# Generated by Sealane")


__all__ = ["Bundles", "SecurityOptions", "limits_of"]
