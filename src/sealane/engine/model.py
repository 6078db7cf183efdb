"""What clients ask of the engine and what they are shown: immutable types between ``api`` and the verbs.

Requests carry everything that the engine acts upon, already of the right type. ``ContainerRequest.asked`` is the
client's own ``Config``/``HostConfig`` in canonical JSON: opaque here, kept with the record, and given back by inspect,
so that a field which means nothing to Sealane is not lost. Times are ``int`` nanoseconds since the epoch (UTC),
0 for "never"; memory is in bytes; durations say their unit in their name.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sealane.network.spec import EndpointRequest, EndpointSpec, NetworkSpec
from sealane.values import ContainerId, ContainerPort, Digest, ExecId, ImageId, NetworkId, PublishedPort


@dataclass(frozen=True, slots=True)
class PortBinding:
    """One ``-p``: empty ``host_ip`` means the network's default, ``host_port`` is "", "8080" or "8000-8010"."""

    container_port: ContainerPort
    host_ip: str = ""
    host_port: str = ""


class MountKind(enum.Enum):
    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRequest:
    """One mount, whichever of ``-v``, ``--mount`` and ``--tmpfs`` it came by."""

    kind: MountKind
    target: str
    source: str = ""  # host path, volume name, or "" for an anonymous volume
    read_only: bool = False
    mode: str = ""  # the third part of -v as it was written
    propagation: str = ""
    create_source: bool = False  # -v makes a missing host path, --mount does not
    no_copy: bool = False
    subpath: str = ""
    tmpfs_size: int = 0
    tmpfs_mode: int = 0
    tmpfs_options: str = ""
    driver: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Device:
    host_path: str
    container_path: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Ulimit:
    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Limits; 0 or "" stands for "no limit of its own". ``None`` is "the kernel's or the engine's default"."""

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    memory_swappiness: int | None = None
    kernel_memory: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int = 0
    blkio_weight: int = 0
    oom_kill_disable: bool = False


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """``name`` is no, always, unless-stopped or on-failure."""

    name: str = "no"
    maximum_retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """``test`` is Docker's (("CMD", …), ("CMD-SHELL", "…"), ("NONE",)); () inherits the image's. 0 is "default"."""

    test: tuple[str, ...] = ()
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRequest:
    """``POST /containers/create``. ``None`` for entrypoint and command means "the image's"."""

    image: str
    name: str = ""
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    hostname: str = ""
    domainname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    stop_timeout_s: int | None = None
    exposed_ports: tuple[ContainerPort, ...] = ()
    health: HealthCheck | None = None
    # the host's side
    network_mode: str = "default"
    endpoints: tuple[EndpointRequest, ...] = ()  # in the order in which they were asked
    port_bindings: tuple[PortBinding, ...] = ()
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    volumes_from: tuple[str, ...] = ()
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    read_only: bool = False
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    shm_size: int = 0
    init: bool | None = None
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""
    cgroupns_mode: str = ""
    userns_mode: str = ""
    cgroup_parent: str = ""
    group_add: tuple[str, ...] = ()
    oom_score_adj: int = 0
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    resources: Resources = field(default_factory=Resources)
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    log_driver: str = ""
    log_options: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    asked: bytes = b"{}"


class Status(enum.Enum):
    """A container's state in Docker's words (``State.Status``)."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class HealthProbe:
    start_ns: int
    end_ns: int
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Health:
    """``status`` is starting, healthy or unhealthy; ``log`` the last five probes, oldest first."""

    status: str
    failing_streak: int = 0
    log: tuple[HealthProbe, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_ns: int = 0
    finished_ns: int = 0
    restart_count: int = 0
    health: Health | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """A mount as inspect shows it."""

    kind: MountKind
    name: str = ""  # of a volume
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    read_write: bool = True
    propagation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """One attachment. ``settled`` is None while the container does not run."""

    network_name: str
    network_id: NetworkId | None  # None while the network is not known (it need only exist at start)
    asked: EndpointRequest
    settled: EndpointSpec | None
    names: tuple[str, ...] = ()  # DNSNames


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """Everything that list and inspect can show of a container."""

    id: ContainerId
    name: str  # without the leading slash
    created_ns: int
    request: ContainerRequest
    image_id: ImageId
    image_ref: str  # as the client wrote it
    path: str  # argv[0]
    args: tuple[str, ...]
    env: tuple[str, ...]  # image's and own, merged
    working_dir: str
    user: str
    entrypoint: tuple[str, ...] | None  # merged with the image's
    command: tuple[str, ...] | None
    labels: Mapping[str, str]  # merged with the image's
    exposed_ports: tuple[ContainerPort, ...]
    hostname: str
    stop_signal: str
    state: ContainerState
    mounts: tuple[MountPoint, ...]
    endpoints: tuple[EndpointView, ...]
    ports: tuple[PublishedPort, ...]  # really published now
    sandbox_key: str
    rootfs: Path | None
    log_path: Path
    resolv_conf_path: Path
    hosts_path: Path
    hostname_path: Path
    cgroup_path: str
    exec_ids: tuple[ExecId, ...] = ()
    networks_by_id: Mapping[NetworkId, NetworkSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Created:
    id: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """What ``wait`` answers."""

    code: int
    error: str = ""


class WaitCondition(enum.Enum):
    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRequest:
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    stream: bool = False
    logs: bool = False
    detach_keys: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """Times are ns since the epoch, 0 for no bound; ``tail`` None is "all"."""

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since_ns: int = 0
    until_ns: int = 0
    tail: int | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """``stream`` is 1 for stdout, 2 for stderr; ``data`` ends with a newline unless the line was cut."""

    stream: int
    time_ns: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    command: tuple[str, ...]
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    privileged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecView:
    id: ExecId
    container: ContainerId
    request: ExecRequest
    running: bool
    exit_code: int | None
    pid: int


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """``top``: the titles of ps and one row per process."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCounters:
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSample:
    """One reading of a container's counters."""

    time_ns: int
    cpu_total_ns: int
    cpu_user_ns: int
    cpu_kernel_ns: int
    system_cpu_ns: int
    online_cpus: int
    memory_usage: int
    memory_limit: int
    memory_stats: Mapping[str, int]
    pids: int
    pids_limit: int
    networks: Mapping[str, NetworkCounters]
    block_read: int = 0
    block_write: int = 0


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A network and the settled endpoints of the containers that run on it."""

    spec: NetworkSpec
    endpoints: tuple[EndpointSpec, ...]
    ips_in_use: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # subnet -> (in use, dynamic available)


@dataclass(frozen=True, slots=True)
class KernelObject:
    """One thing that a network holds in the kernel, with the ``ip`` or ``nft`` command that would show or make it."""

    kind: str
    name: str
    describe: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeView:
    name: str
    driver: str
    mountpoint: Path
    created_ns: int
    labels: Mapping[str, str]
    options: Mapping[str, str]
    anonymous: bool = False
    used_by: tuple[ContainerId, ...] = ()


@dataclass(frozen=True, slots=True)
class PathStat:
    """``archive``: what a path inside a container is. ``mode`` is Go's os.FileMode bits."""

    name: str
    size: int
    mode: int
    mtime_ns: int
    link_target: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``kind`` is container, image, network, volume or daemon."""

    time_ns: int
    kind: str
    action: str
    actor: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pruned:
    """``reclaimed`` is in bytes."""

    names: tuple[str, ...]
    reclaimed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """What ``/info`` and ``/version`` are made of."""

    id: str
    version: str
    root: Path
    run_dir: Path
    host_name: str
    kernel: str
    os_name: str
    os_version: str
    architecture: str
    cpus: int
    memory: int
    cgroup_version: str
    cgroup_driver: str
    runtime: str
    runtime_version: str
    runtime_reason: str
    conmon_version: str
    default_pools: tuple[tuple[str, int], ...]
    containers: int
    running: int
    paused: int
    stopped: int
    images: int
    mirrors: tuple[str, ...]
    insecure_registries: tuple[str, ...]
    warnings: tuple[str, ...]
    time_ns: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageConfigChange:
    """One ``--change`` of import or commit, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class RemovedImage:
    """One line of ``rmi``."""

    untagged: str = ""
    deleted: Digest | str = ""
