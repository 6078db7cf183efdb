"""What the engine knows of a container → what the OCI runtime is to be given.

Only reads: devices' numbers, and which namespaces of other containers are to be shared. The rest is settled already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sealane.engine.container import Container
from sealane.engine.context import Context
from sealane.engine.model import ContainerRequest, Device, ExecRequest, MountKind
from sealane.engine.prepare import process_env
from sealane.engine.records import MountRecord
from sealane.engine.security import SecurityOptions, parse_security
from sealane.errors import Conflict, Internal, InvalidArgument
from sealane.runtime.defaults import MASKED_PATHS, READONLY_PATHS, Mount, capabilities
from sealane.runtime.inside import find_inside
from sealane.runtime.launch import ExecLaunch, Launch
from sealane.runtime.machine import Machine
from sealane.runtime.probe import device_node, host_devices, syscall_abi
from sealane.runtime.resources import Limits
from sealane.runtime.seccomp import Profile, parse_profile
from sealane.runtime.spec import ContainerPlan, DeviceNode, ExecPlan, User, exec_process, oci_config
from sealane.values import ExecId

_HOST = "host"
_LONGEST_CHAIN = 64
_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]+)?) ?([kKmMgGtTpP]?)[iI]?[bB]?")
_TMPFS_OPTIONS = ("noexec", "nosuid", "nodev")


class Planner:
    """Makes plans. *find* looks another container up by reference."""

    def __init__(self, context: Context, machine: Machine, find: Callable[[str], Container]) -> None:
        self._context = context
        self._machine = machine
        self._find = find

    # containers

    def check(self, request: ContainerRequest) -> None:
        """Raises InvalidArgument or Conflict for what cannot be planned: before anything is made."""
        if request.init and self._machine.init is None:
            raise InvalidArgument("--init needs an init program: install Debian's package catatonit, or set init-path")
        self._seccomp(parse_security(request.security_opt), request)
        for mode, kind in ((request.pid_mode, "pid"), (request.ipc_mode, "ipc")):
            self._namespace(mode, kind)
        self._capabilities(request, privileged=False)

    def launch(self, container: Container, root: Path, user: User) -> Launch:
        """Everything that the monitor needs to create the container's process."""
        request = container.record.request
        plan = self._plan(container, root, user)
        return Launch(
            id=container.id,
            config=oci_config(plan, self._machine.abilities),
            stdin=request.open_stdin,
            stdin_once=request.stdin_once,
            log_path=self._log_path(container),
            log_max_bytes=self._log_max_bytes(request),
        )

    def _log_path(self, container: Container) -> Path | None:
        driver = container.record.request.log_driver or self._context.settings.log_driver
        return None if driver == "none" else self._context.layout.log(container.id)

    def _log_max_bytes(self, request: ContainerRequest) -> int:
        options = request.log_options or self._context.settings.log_options
        return parse_size(options.get("max-size", ""))

    def _plan(self, container: Container, root: Path, user: User) -> ContainerPlan:
        record = container.record
        request, process = record.request, record.process
        security = parse_security(request.security_opt)
        return ContainerPlan(
            id=record.id,
            rootfs=root,
            args=(process.path, *process.args),
            env=process_env(process, tty=request.tty, home=user.home),
            cwd=process.working_dir or "/",
            user=user,
            terminal=request.tty,
            readonly=request.read_only,
            hostname="" if request.uts_mode == _HOST else process.hostname,
            domainname=request.domainname,
            netns=self.network_namespace(container),
            pidns=self._namespace(request.pid_mode, "pid"),
            ipcns=self._namespace(request.ipc_mode, "ipc"),
            utsns=_HOST if request.uts_mode == _HOST else "",
            cgroupns=self._cgroup_namespace(request),
            mounts=(*self._shared_memory(request), *self._mounts(container)),
            devices=_devices(request),
            device_rules=request.device_cgroup_rules,
            capabilities=self._capabilities(request, privileged=request.privileged),
            privileged=request.privileged,
            no_new_privileges=security.no_new_privileges,
            seccomp=self._seccomp(security, request),
            apparmor=security.apparmor,
            rlimits=tuple((limit.name, limit.soft, limit.hard) for limit in request.ulimits),
            sysctls=request.sysctls,
            limits=limits_of(request),
            cgroup_path=self.cgroup_path(container),
            oom_score_adj=request.oom_score_adj,
            shm_size=0 if request.ipc_mode == "none" else request.shm_size or self._context.settings.shm_size,
            masked_paths=() if security.open_paths else _or(request.masked_paths, MASKED_PATHS),
            readonly_paths=() if security.open_paths else _or(request.readonly_paths, READONLY_PATHS),
            init=self._machine.init if request.init else None,
            annotations=request.annotations,
        )

    def _capabilities(self, request: ContainerRequest, *, privileged: bool) -> tuple[str, ...]:
        available = self._machine.capabilities
        return capabilities(request.cap_add, request.cap_drop, privileged=privileged, available=available)

    def cgroup_path(self, container: Container) -> str:
        """Below each hierarchy."""
        parent = container.record.request.cgroup_parent or self._context.settings.cgroup_parent
        return f"/{parent.strip('/')}/{container.id}"

    def network_namespace(self, container: Container) -> str:
        """The namespace to enter: "host", or a path: its own, or that of the peer in container: mode."""
        mode = container.record.request.network_mode
        if mode == _HOST:
            return _HOST
        if not mode.startswith("container:"):
            return str(self._context.layout.sandbox(container.id))
        peer = self._find(mode.removeprefix("container:"))
        if peer.id == container.id:
            raise Internal("cannot join own network namespace")
        if not peer.running:
            raise Conflict(f"cannot join network namespace of a non running container: container {peer.name} is "
                           f"{peer.state.status.value}")  # fmt: skip
        return self.network_namespace(peer)

    def _namespace(self, mode: str, kind: str) -> str:
        if mode == _HOST:
            return _HOST
        if not mode.startswith("container:"):
            return ""
        peer = self._find(mode.removeprefix("container:"))
        if not peer.running:
            raise Conflict(f"cannot join {kind.upper()} namespace of a non running container: {peer.name}")
        return f"/proc/{peer.state.pid}/ns/{kind}"

    def _cgroup_namespace(self, request: ContainerRequest) -> str:
        """Docker's default: private on cgroup v2, the host's on v1 and for the privileged."""
        own = self._machine.abilities.version == "v2" and not request.privileged
        return {"private": "", "host": _HOST}.get(request.cgroupns_mode, "" if own else _HOST)

    def _seccomp(self, security: SecurityOptions, request: ContainerRequest) -> Profile | None:
        if security.unconfined or request.privileged:
            return None
        if security.profile:
            return parse_profile(security.profile.encode(), syscall_abi(), "of --security-opt")
        return self._machine.seccomp

    def _shared_memory(self, request: ContainerRequest) -> tuple[Mount, ...]:
        """A shared IPC namespace goes with the other container's /dev/shm."""
        if not request.ipc_mode.startswith("container:"):
            return ()
        peer = self._find(request.ipc_mode.removeprefix("container:"))
        return (Mount("/dev/shm", "bind", f"/proc/{peer.state.pid}/root/dev/shm", ("bind",)),)

    def _mounts(self, container: Container) -> tuple[Mount, ...]:
        """The container's own in the order of their depth, then the three files, unless it has its own of them."""
        folder = self._context.layout.container(network_holder(container, self._find).id)
        own = {mount.point.destination for mount in container.record.mounts}
        files = [
            Mount(f"/etc/{name}", "bind", str(folder / name))
            for name in ("resolv.conf", "hostname", "hosts")
            if f"/etc/{name}" not in own
        ]
        ordered = sorted(container.record.mounts, key=lambda mount: mount.point.destination.count("/"))
        return (*files, *(_mount(mount) for mount in ordered))

    # execs

    def exec_launch(
        self,
        container: Container,
        identifier: ExecId,
        request: ExecRequest,
        user: User,
        *,
        detach: bool,
        size: tuple[int, int] | None,
    ) -> ExecLaunch:
        """One process more in a running container."""
        record = container.record
        security = parse_security(record.request.security_opt)
        environment = process_env(record.process, tty=request.tty, home=user.home)
        own = {entry.partition("=")[0] for entry in request.env}
        kept = tuple(entry for entry in environment if entry.partition("=")[0] not in own)
        privileged = request.privileged or record.request.privileged
        plan = ExecPlan(
            args=request.command,
            env=(*kept, *request.env),
            cwd=request.working_dir or record.process.working_dir or "/",
            user=user,
            terminal=request.tty,
            size=size,
            capabilities=self._capabilities(record.request, privileged=privileged),
            no_new_privileges=security.no_new_privileges,
            apparmor=security.apparmor,
            rlimits=tuple((limit.name, limit.soft, limit.hard) for limit in record.request.ulimits),
            oom_score_adj=record.request.oom_score_adj,
        )
        attach = not detach
        return ExecLaunch(
            id=identifier,
            container=container.id,
            process=exec_process(plan),
            stdin=attach and request.attach_stdin,
            attach=attach,
        )


def network_holder(container: Container, find: Callable[[str], Container]) -> Container:
    """The container whose network and files in /etc it has: itself, or whose it joins. Raises NotFound, Internal."""
    holder = container
    for _ in range(_LONGEST_CHAIN):
        mode = holder.record.request.network_mode
        if not mode.startswith("container:"):
            return holder
        holder = find(mode.removeprefix("container:"))
    raise Internal(f"cannot find out whose network container {container.name} joins: they join each other")


def _or(chosen: tuple[str, ...] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return default if chosen is None else chosen


def parse_size(text: str) -> int:
    """Docker's "10m" or "1.5 GiB" in bytes; 0 for "" and "-1". Raises InvalidArgument."""
    if text in ("", "-1"):
        return 0
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(float(found.group(1)) * 1024 ** " kmgtp".index(found.group(2).lower() or " "))


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
        cpu_period=own.cpu_period,
        cpu_quota=own.cpu_quota,
        cpuset_cpus=own.cpuset_cpus,
        cpuset_mems=own.cpuset_mems,
        pids=own.pids_limit,
        blkio_weight=own.blkio_weight,
        oom_kill_disable=own.oom_kill_disable,
    )


def _mount(mount: MountRecord) -> Mount:
    point, asked = mount.point, mount.asked
    access = () if point.read_write else ("ro",)
    if point.kind is MountKind.TMPFS:
        options = list(_TMPFS_OPTIONS)
        options += [option for option in asked.tmpfs_options.split(",") if option]
        if asked.tmpfs_size:
            options.append(f"size={asked.tmpfs_size}")
        if asked.tmpfs_mode:
            options.append(f"mode={asked.tmpfs_mode:o}")
        return Mount(point.destination, "tmpfs", "tmpfs", (*options, *access))
    source = _inside(point.source, asked.subpath) if asked.subpath else point.source
    propagation = point.propagation if point.propagation in _PROPAGATIONS else "rprivate"
    return Mount(point.destination, "bind", source, ("rbind", propagation, *access))


def _inside(volume: str, subpath: str) -> str:
    """A path in a volume as the host sees it. Containers write there: no link of theirs leads out of the volume."""
    fd = find_inside(Path(volume), subpath)
    if fd is None:
        path = os.path.join(volume, subpath)
        raise Internal(f"cannot access path {path}: lstat {path}: no such file or directory")
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _devices(request: ContainerRequest) -> tuple[DeviceNode, ...]:
    found = {node.path: node for node in host_devices()} if request.privileged else {}
    found |= {node.path: node for device in request.devices for node in _device(device)}
    return tuple(found.values())


def _device(device: Device) -> tuple[DeviceNode, ...]:
    """The node, or every one below a directory. Raises InvalidArgument in Docker's words when there is none."""
    target, complaint = device.container_path or device.host_path, _complaint(device)
    permissions = device.permissions or "rwm"
    try:
        if os.path.isdir(device.host_path):
            found = [device_node(path, permissions=permissions) for path in _files_below(device.host_path)]
            nodes = tuple(
                replace(node, path=target + node.path.removeprefix(device.host_path))
                for node in found
                if node is not None
            )
            if not nodes:
                raise InvalidArgument(f"{complaint}: no such file or directory")
            return nodes
        node = device_node(device.host_path, target, permissions)
    except OSError as error:
        raise InvalidArgument(f"{complaint}: {(error.strerror or str(error)).lower()}") from error
    if node is None:
        raise InvalidArgument(f"{complaint}: not a device node")
    return (node,)


def _complaint(device: Device) -> str:
    return f'error gathering device information while adding custom device "{device.host_path}"'


def _files_below(folder: str) -> list[str]:
    return sorted(os.path.join(top, name) for top, _, names in os.walk(folder.rstrip("/")) for name in names)
