"""What the engine wants of one container or exec, and the OCI runtime configuration that says it. Pure.

Source: the OCI runtime specification 1.0.2; defaults are Docker's (moby ``oci/defaults.go``, ``oci/caps``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sealane.runtime.seccomp import Profile, seccomp_section

#: JSON-able, in the shape of the OCI specification.
Json = dict[str, Any]

DEFAULT_CAPABILITIES: Final = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
)  # fmt: skip
ALL_CAPABILITIES: Final = (
    *DEFAULT_CAPABILITIES, "CAP_DAC_READ_SEARCH", "CAP_LINUX_IMMUTABLE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG",
    "CAP_LEASE", "CAP_AUDIT_CONTROL", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
MASKED_PATHS: Final = (
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY_PATHS: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
DEFAULT_SYSCTLS: Final = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


@dataclass(frozen=True, slots=True)
class User:
    """Numbers, already looked up in the container's own files; ``home`` is for the environment."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class Mount:
    """One more mount, in the OCI specification's words."""

    destination: str
    kind: str = "bind"
    source: str = ""
    options: tuple[str, ...] = ("rbind", "rprivate")


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device of the host; ``kind`` is c or b."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """0 is "no limit", "" likewise; ``None`` is the kernel's default."""

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int = 0
    blkio_weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """Everything about one OCI container. Namespace modes: "" is a new one, "host" the host's, a path that one."""

    id: str
    rootfs: Path
    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: User = field(default_factory=User)
    terminal: bool = False
    readonly: bool = False
    hostname: str = ""
    domainname: str = ""
    netns: str = ""
    pidns: str = ""
    ipcns: str = ""
    utsns: str = ""
    cgroupns: str = "host"
    mounts: tuple[Mount, ...] = ()
    devices: tuple[DeviceNode, ...] = ()
    device_rules: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    privileged: bool = False
    no_new_privileges: bool = False
    seccomp: Profile | None = None
    apparmor: str = ""
    rlimits: tuple[tuple[str, int, int], ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    cgroup_path: str = ""
    oom_score_adj: int = 0
    shm_size: int = 64 << 20
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlan:
    """A further process in a container. Capabilities and the like are the container's unless ``privileged``."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: User
    terminal: bool
    capabilities: tuple[str, ...]
    no_new_privileges: bool = False
    apparmor: str = ""
    size: tuple[int, int] | None = None  # height, width


def oci_config(plan: ContainerPlan) -> Json:
    """config.json."""
    process = _process(
        plan.args,
        plan.env,
        plan.cwd,
        plan.user,
        plan.terminal,
        plan.capabilities,
        plan.no_new_privileges,
        plan.apparmor,
    )
    process["rlimits"] = [{"type": f"RLIMIT_{n.upper()}", "soft": s, "hard": h} for n, s, h in plan.rlimits]
    process["oomScoreAdj"] = plan.oom_score_adj
    config: Json = {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(plan.rootfs), "readonly": plan.readonly},
        "mounts": _mounts(plan),
        "annotations": dict(plan.annotations),
        "linux": _linux(plan),
    }
    if plan.utsns != "host" and plan.hostname:
        config["hostname"] = plan.hostname
    return config


def exec_process(plan: ExecPlan) -> Json:
    """The process document of an exec."""
    process = _process(
        plan.args,
        plan.env,
        plan.cwd,
        plan.user,
        plan.terminal,
        plan.capabilities,
        plan.no_new_privileges,
        plan.apparmor,
    )
    if plan.size is not None:
        process["consoleSize"] = {"height": plan.size[0], "width": plan.size[1]}
    return process


def _process(
    args: Sequence[str], env: Sequence[str], cwd: str, user: User, terminal: bool, capabilities: Sequence[str],
    no_new_privileges: bool, apparmor: str,
) -> Json:  # fmt: skip
    own = list(capabilities)
    effective = own if user.uid == 0 else []
    process: Json = {
        "terminal": terminal,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": list(args),
        "env": list(env),
        "cwd": cwd or "/",
        "capabilities": {"bounding": own, "effective": effective, "permitted": effective, "inheritable": []},
        "noNewPrivileges": no_new_privileges,
    }
    if apparmor:
        process["apparmorProfile"] = apparmor
    return process


def _mounts(plan: ContainerPlan) -> list[Json]:
    guarded = ["nosuid", "noexec", "nodev"]
    sys_mode = "rw" if plan.privileged else "ro"
    standard = [
        Mount("/proc", "proc", "proc", tuple(guarded)),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount(
            "/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
        ),
        Mount("/sys", "sysfs", "sysfs", (*guarded, sys_mode)),
        Mount("/sys/fs/cgroup", "cgroup", "cgroup", (sys_mode, *guarded)),
        Mount("/dev/mqueue", "mqueue", "mqueue", tuple(guarded)),
        Mount("/dev/shm", "tmpfs", "shm", (*guarded, "mode=1777", f"size={plan.shm_size}")),
    ]
    if plan.netns == "host":
        standard[3] = Mount("/sys", "bind", "/sys", ("rbind", *guarded, sys_mode))
    if plan.ipcns == "host":
        standard[5] = Mount("/dev/mqueue", "bind", "/dev/mqueue", ("bind", *guarded))
        standard[6] = Mount("/dev/shm", "bind", "/dev/shm", ("bind", *guarded))
    if plan.pidns == "host":
        standard[0] = Mount("/proc", "bind", "/proc", ("rbind", *guarded))
    own = {mount.destination.rstrip("/") for mount in plan.mounts}
    kept = [mount for mount in standard if mount.destination not in own]
    return [
        {"destination": m.destination, "type": m.kind, "source": m.source, "options": list(m.options)}
        for m in (*kept, *plan.mounts)
    ]


def _linux(plan: ContainerPlan) -> Json:
    section: Json = {
        "namespaces": _namespaces(plan),
        "resources": resources(plan.limits),
        "cgroupsPath": plan.cgroup_path,
        "sysctl": _sysctls(plan),
        "devices": [
            {"path": d.path, "type": d.kind, "major": d.major, "minor": d.minor, "fileMode": d.mode, "uid": d.uid,
             "gid": d.gid}
            for d in plan.devices
        ],
        "rootfsPropagation": "rprivate",
    }  # fmt: skip
    section["resources"]["devices"] = _device_rules(plan)
    if not plan.privileged:
        section["maskedPaths"] = list(plan.masked_paths)
        section["readonlyPaths"] = list(plan.readonly_paths)
        if plan.seccomp is not None:
            section["seccomp"] = seccomp_section(plan.seccomp, plan.capabilities)
    if any("shared" in m.options or "rshared" in m.options for m in plan.mounts):
        section["rootfsPropagation"] = "rshared"
    elif any("slave" in m.options or "rslave" in m.options for m in plan.mounts):
        section["rootfsPropagation"] = "rslave"
    return section


def _namespaces(plan: ContainerPlan) -> list[Json]:
    modes = {
        "mount": "",
        "network": plan.netns,
        "pid": plan.pidns,
        "ipc": plan.ipcns,
        "uts": plan.utsns,
        "cgroup": plan.cgroupns,
    }
    return [{"type": kind} | ({"path": mode} if mode else {}) for kind, mode in modes.items() if mode != "host"]


def _sysctls(plan: ContainerPlan) -> dict[str, str]:
    """The defaults belong to the container's own network; nothing of the host's is changed."""
    defaults = {} if plan.netns == "host" or plan.privileged else dict(DEFAULT_SYSCTLS)
    return {**defaults, **plan.sysctls}


def _device_rules(plan: ContainerPlan) -> list[Json]:
    if plan.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[Json] = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    standard = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, -1))
    for major, minor in standard:
        rule: Json = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        rules.append(rule if minor < 0 else rule | {"minor": minor})
    for device in plan.devices:
        rules.append(
            {"allow": True, "type": device.kind, "major": device.major, "minor": device.minor,
             "access": device.permissions}
        )  # fmt: skip
    return rules + [_parse_rule(text) for text in plan.device_rules]


def _parse_rule(text: str) -> Json:
    """``c 1:3 rwm`` with ``*`` for any number."""
    kind, numbers, access = text.split()
    major, _, minor = numbers.partition(":")
    rule: Json = {"allow": True, "type": kind, "access": access}
    if major != "*":
        rule["major"] = int(major)
    if minor not in ("", "*"):
        rule["minor"] = int(minor)
    return rule


def resources(limits: Limits) -> Json:
    """``linux.resources``, for create and for update; the runtime translates it for cgroups v1 and v2."""
    memory: Json = {}
    if limits.memory:
        memory["limit"] = limits.memory
        memory["swap"] = limits.memory_swap or 2 * limits.memory
    if limits.memory_reservation:
        memory["reservation"] = limits.memory_reservation
    if limits.memory_swappiness is not None and limits.memory_swappiness >= 0:
        memory["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        memory["disableOOMKiller"] = True
    result: Json = {"memory": memory, "cpu": _cpu(limits)}
    if limits.pids:
        result["pids"] = {"limit": limits.pids}
    if limits.blkio_weight:
        result["blockIO"] = {"weight": limits.blkio_weight}
    return {key: value for key, value in result.items() if value}


def _cpu(limits: Limits) -> Json:
    period, quota = limits.cpu_period, limits.cpu_quota
    if limits.nano_cpus:
        period = 100_000
        quota = limits.nano_cpus * period // 1_000_000_000
    pairs = {
        "shares": limits.cpu_shares,
        "period": period,
        "quota": quota,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    return {key: value for key, value in pairs.items() if value}
