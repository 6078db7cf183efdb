"""Containers on their way out: from the engine's ContainerView to Docker's JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET

from sealane.api.convert.times import age, stamp
from sealane.api.schema.container import Asked, Config, HostConfig, PortBinding
from sealane.api.schema.container_view import (
    Container,
    ContainerSummary,
    GraphDriver,
    Health,
    HealthLogEntry,
    NetworkSettings,
    Port,
    State,
    SummaryHostConfig,
    SummaryNetworks,
)
from sealane.api.schema.mount import MountPoint
from sealane.api.schema.network import EndpointIPAMConfig, EndpointSettings
from sealane.engine.model import ContainerState, ContainerView, EndpointView, MountKind, Status
from sealane.network.spec import PREDEFINED, EndpointRequest
from sealane.values import short

MASKED_PATHS: Final = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READONLY_PATHS: Final = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

_UP: Final = (Status.RUNNING, Status.PAUSED)


def summary(view: ContainerView, now_ns: int) -> ContainerSummary:
    """One entry of ``GET /containers/json``."""
    asked = asked_of(view)
    networks = {item.network_name: _endpoint(item, view, brief=True) for item in view.endpoints}
    return ContainerSummary(
        Id=view.id,
        Names=[f"/{view.name}"],
        Image=view.image_ref,
        ImageID=view.image_id,
        Command=" ".join(f"'{word}'" if " " in word else word for word in (view.path, *view.args)),
        Created=view.created_ns // 1_000_000_000,
        Ports=list(_listed_ports(view)),
        Labels=dict(view.labels),
        State=view.state.status.value,
        Status=status_text(view.state, now_ns),
        HostConfig=SummaryHostConfig(asked.HostConfig.NetworkMode, dict(view.request.annotations) or UNSET),
        NetworkSettings=SummaryNetworks(networks),
        Mounts=list(_mounts(view, asked)),
    )


def inspected(view: ContainerView) -> Container:
    """``GET /containers/{id}/json``."""
    asked = asked_of(view)
    started = view.state.started_ns > 0
    return Container(
        Id=view.id,
        Created=stamp(view.created_ns),
        Path=view.path,
        Args=list(view.args),
        State=_state(view.state),
        Image=view.image_id,
        ResolvConfPath=str(view.resolv_conf_path) if started else "",
        HostnamePath=str(view.hostname_path) if started else "",
        HostsPath=str(view.hosts_path) if started else "",
        LogPath=str(view.log_path) if started and view.request.log_driver != "none" else "",
        Name=f"/{view.name}",
        RestartCount=view.state.restart_count,
        ExecIDs=list(view.exec_ids) or None,
        HostConfig=_host_config(view, asked.HostConfig),
        GraphDriver=GraphDriver({"MergedDir": str(view.rootfs)} if view.rootfs else None),
        Mounts=list(_mounts(view, asked)),
        Config=_config(view, asked.Config),
        NetworkSettings=_network_settings(view),
    )


def asked_of(view: ContainerView) -> Asked:
    """What the client asked when it made the container; other containers that it named, by their ids."""
    asked = msgspec.json.decode(view.request.asked, type=Asked)
    request = view.request
    modes = (("NetworkMode", request.network_mode), ("PidMode", request.pid_mode), ("IpcMode", request.ipc_mode))
    for field, mode in modes:
        if mode.startswith("container:"):
            setattr(asked.HostConfig, field, mode)
    return asked


def status_text(state: ContainerState, now_ns: int) -> str:
    """The STATUS column of ``docker ps``."""
    match state.status:
        case Status.RUNNING:
            return f"Up {age(now_ns - state.started_ns)}{_health_text(state)}"
        case Status.PAUSED:
            return f"Up {age(now_ns - state.started_ns)} (Paused)"
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {age(now_ns - state.finished_ns)} ago"
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.DEAD:
            return "Dead"
        case Status.CREATED:
            return "Created"
        case Status.EXITED:
            return f"Exited ({state.exit_code}) {age(now_ns - state.finished_ns)} ago" if state.finished_ns else ""


def _health_text(state: ContainerState) -> str:
    if state.health is None or state.health.status == "none":
        return ""
    return " (health: starting)" if state.health.status == "starting" else f" ({state.health.status})"


def _state(state: ContainerState) -> State:
    health = state.health
    return State(
        Status=state.status.value,
        Running=state.status in (*_UP, Status.RESTARTING),
        Paused=state.status is Status.PAUSED,
        Restarting=state.status is Status.RESTARTING,
        OOMKilled=state.oom_killed,
        Dead=state.status is Status.DEAD,
        Pid=state.pid,
        ExitCode=state.exit_code,
        Error=state.error,
        StartedAt=stamp(state.started_ns),
        FinishedAt=stamp(state.finished_ns),
        Health=UNSET
        if health is None
        else Health(
            health.status,
            health.failing_streak,
            [HealthLogEntry(stamp(p.start_ns), stamp(p.end_ns), p.exit_code, p.output) for p in health.log],
        ),
    )


# -- configuration ----------------------------------------------------------------------------------------------------


def _config(view: ContainerView, asked: Config) -> Config:
    """The asked Config with what the image and the engine added."""
    ports = {str(port): dict[str, str]() for port in view.exposed_ports}
    return msgspec.structs.replace(
        asked,
        Hostname=view.hostname,
        User=view.user,
        ExposedPorts=ports or UNSET,
        Env=list(view.env) or None,
        Cmd=None if view.command is None else list(view.command),
        Entrypoint=None if view.entrypoint is None else list(view.entrypoint),
        WorkingDir=view.working_dir,
        Image=view.image_ref,
        Labels=dict(view.labels),
        StopSignal=view.stop_signal if view.stop_signal not in ("", "SIGTERM") else asked.StopSignal,
    )


def _host_config(view: ContainerView, asked: HostConfig) -> HostConfig:
    """The asked HostConfig with what was settled."""
    open_paths = view.request.privileged
    return msgspec.structs.replace(
        asked,
        RestartPolicy=type(asked.RestartPolicy)(view.request.restart.name, view.request.restart.maximum_retries),
        CgroupnsMode=view.request.cgroupns_mode or "private",
        MaskedPaths=asked.MaskedPaths if asked.MaskedPaths is not None or open_paths else MASKED_PATHS,
        ReadonlyPaths=asked.ReadonlyPaths if asked.ReadonlyPaths is not None or open_paths else READONLY_PATHS,
    )


def _mounts(view: ContainerView, asked: Asked) -> Iterator[MountPoint]:
    """Docker lists a tmpfs of ``--mount``, and leaves out those of ``--tmpfs``."""
    hidden = {target.rstrip("/") for target in asked.HostConfig.Tmpfs or ()}
    for mount in view.mounts:
        if mount.kind is MountKind.TMPFS and mount.destination in hidden:
            continue
        yield MountPoint(
            Type=mount.kind.value,
            Name=mount.name or UNSET,
            Source=mount.source,
            Destination=mount.destination,
            Driver=mount.driver or UNSET,
            Mode=mount.mode,
            RW=mount.read_write,
            Propagation=mount.propagation,
        )


# -- network ----------------------------------------------------------------------------------------------------------


def _network_settings(view: ContainerView) -> NetworkSettings:
    networks = {item.network_name: _endpoint(item, view, brief=False) for item in view.endpoints}
    own = networks.get("bridge", EndpointSettings())
    return NetworkSettings(
        SandboxID=view.id if view.sandbox_key else "",
        SandboxKey=view.sandbox_key,
        Ports=_ports(view),
        EndpointID=own.EndpointID,
        Gateway=own.Gateway,
        GlobalIPv6Address=own.GlobalIPv6Address,
        GlobalIPv6PrefixLen=own.GlobalIPv6PrefixLen,
        IPAddress=own.IPAddress,
        IPPrefixLen=own.IPPrefixLen,
        IPv6Gateway=own.IPv6Gateway,
        MacAddress=own.MacAddress,
        Networks=networks,
    )


def _endpoint(item: EndpointView, view: ContainerView, *, brief: bool) -> EndpointSettings:
    """One attachment. The list (*brief*) leaves out names, as Docker does.

    The short id stays among the aliases for every API version: Docker took it out in 1.45, and docker-compose 1.29
    misses it.
    """
    asked, settled = item.asked, item.settled
    named = item.network_name not in PREDEFINED
    aliases = [*asked.aliases, short(view.id)] if named else list(asked.aliases)
    names = list(item.names) or list(dict.fromkeys((view.name, *asked.aliases, short(view.id))))
    shown = EndpointSettings(
        IPAMConfig=_ipam(asked),
        Links=list(asked.links) or None,
        Aliases=None if brief else list(dict.fromkeys(aliases)) or None,
        MacAddress=asked.mac,
        NetworkID=item.network_id or "",
        DriverOpts=dict(asked.driver_opts) or None,
        GwPriority=asked.gw_priority,
        DNSNames=names if named and not brief else None,
    )
    if settled is not None:
        shown.EndpointID = settled.id
        shown.MacAddress = str(settled.mac)
        if settled.ipv4 is not None:
            shown.IPAddress = str(settled.ipv4.ip)
            shown.IPPrefixLen = settled.ipv4.network.prefixlen
            shown.Gateway = str(settled.gateway_ipv4 or "")
        if settled.ipv6 is not None:
            shown.GlobalIPv6Address = str(settled.ipv6.ip)
            shown.GlobalIPv6PrefixLen = settled.ipv6.network.prefixlen
            shown.IPv6Gateway = str(settled.gateway_ipv6 or "")
    return shown


def _ipam(asked: EndpointRequest) -> EndpointIPAMConfig | None:
    if not (asked.ipv4 or asked.ipv6 or asked.link_local):
        return None
    return EndpointIPAMConfig(asked.ipv4, asked.ipv6, list(asked.link_local) or None)


def _has_ports(view: ContainerView) -> bool:
    """Ports are shown while the container has a network of its own."""
    mode = view.request.network_mode
    return view.state.status in _UP and mode not in ("host", "none") and not mode.startswith("container:")


def _ports(view: ContainerView) -> dict[str, list[PortBinding] | None]:
    shown: dict[str, list[PortBinding] | None] = {}
    if not _has_ports(view):
        return shown
    for port in view.exposed_ports:
        shown[str(port)] = None
    for published in view.ports:
        bindings = shown.get(str(published.container_port)) or []
        bindings.append(PortBinding(str(published.host_ip), str(published.host_port)))
        shown[str(published.container_port)] = bindings
    return shown


def _listed_ports(view: ContainerView) -> Iterator[Port]:
    if not _has_ports(view):
        return
    published = sorted(view.ports, key=lambda p: (p.container_port, p.host_ip.version, int(p.host_ip), p.host_port))
    for port in published:
        inside = port.container_port
        yield Port(
            IP=str(port.host_ip),
            PrivatePort=inside.number,
            PublicPort=port.host_port,
            Type=inside.transport.value,
        )
    taken = {port.container_port for port in published}
    for inside in sorted(set(view.exposed_ports) - taken):
        yield Port(PrivatePort=inside.number, Type=inside.transport.value)
