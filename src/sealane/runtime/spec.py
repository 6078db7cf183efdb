"""What the engine wants of one container or exec, and the OCI runtime configuration that says it. Pure.

Everything is settled already: users are numbers, sources are paths, limits are bytes. ``oci_config`` gives
``config.json`` and ``exec_process`` the process document of an exec, after the OCI runtime specification 1.0.2; both
may share parts between calls, so they are to be written out and not changed. What depends on the machine comes in as
``CgroupAbilities`` and in the seccomp profile; nothing is read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sealane.errors import InvalidArgument
from sealane.runtime.defaults import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    DEFAULT_SHM_SIZE,
    DEFAULT_SYSCTLS,
    MASKED_PATHS,
    READONLY_PATHS,
    Mount,
    capabilities,
    system_mounts,
)
from sealane.runtime.resources import CgroupAbilities, Limits, resources
from sealane.runtime.seccomp import Profile

__all__ = [
    "ALL_CAPABILITIES",
    "DEFAULT_CAPABILITIES",
    "DEFAULT_SYSCTLS",
    "MASKED_PATHS",
    "READONLY_PATHS",
    "CgroupAbilities",
    "ContainerPlan",
    "DeviceNode",
    "ExecPlan",
    "Json",
    "Limits",
    "Mount",
    "User",
    "capabilities",
    "exec_process",
    "oci_config",
    "resources",
]

#: JSON-able, in the shape of the OCI specification.
Json = dict[str, Any]

_OCI_VERSION: Final = "1.0.2"
_HOST: Final = "host"
_DEVICE_RULE: Final = re.compile(r"(?P<kind>[abc]) (?P<major>\d+|\*):(?P<minor>\d+|\*) (?P<access>[rwm]{1,3})")
#: Where the init of ``--init`` is shown inside the container, as in Docker.
_INIT_TARGET: Final = "/sbin/docker-init"


@dataclass(frozen=True, slots=True)
class User:
    """Numbers, already looked up in the container's own files; ``home`` is for the environment."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device that appears in the container's /dev; ``kind`` is c or b."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    permissions: str = "rwm"


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
    size: tuple[int, int] | None = None  # of the terminal: height, width
    readonly: bool = False
    hostname: str = ""
    domainname: str = ""
    netns: str = ""
    pidns: str = ""
    ipcns: str = ""
    utsns: str = ""
    cgroupns: str = _HOST
    mounts: tuple[Mount, ...] = ()
    devices: tuple[DeviceNode, ...] = ()
    device_rules: tuple[str, ...] = ()  # "c 1:3 rwm"
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    privileged: bool = False
    no_new_privileges: bool = False
    seccomp: Profile | None = None  # None: unconfined
    apparmor: str = ""
    rlimits: tuple[tuple[str, int, int], ...] = ()  # name as in --ulimit, soft, hard; -1 is "unlimited"
    sysctls: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    cgroup_path: str = ""  # absolute, below each hierarchy
    oom_score_adj: int = 0
    shm_size: int = DEFAULT_SHM_SIZE
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS
    init: Path | None = None  # the host's static init that is to be process 1
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlan:
    """A further process in a container."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: User = field(default_factory=User)
    terminal: bool = False
    size: tuple[int, int] | None = None
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    no_new_privileges: bool = False
    apparmor: str = ""
    rlimits: tuple[tuple[str, int, int], ...] = ()
    oom_score_adj: int = 0


def exec_process(plan: ContainerPlan | ExecPlan) -> Json:
    """The process document of an exec, and the ``process`` section of a container."""
    allowed = list(plan.capabilities)
    process: Json = {
        "terminal": plan.terminal,
        "user": {"uid": plan.user.uid, "gid": plan.user.gid, "additionalGids": list(plan.user.groups)},
        "args": list(plan.args),
        "env": list(plan.env),
        "cwd": plan.cwd or "/",
        # a process that is not root loses them on execve(2) by itself, and keeps them while the runtime still works
        "capabilities": {"bounding": allowed, "effective": allowed, "permitted": allowed},
        "noNewPrivileges": plan.no_new_privileges,
        "oomScoreAdj": plan.oom_score_adj,
    }
    if plan.terminal and plan.size is not None:
        process["consoleSize"] = {"height": plan.size[0], "width": plan.size[1]}
    if plan.apparmor:
        process["apparmorProfile"] = plan.apparmor
    if plan.rlimits:
        process["rlimits"] = [
            {"type": f"RLIMIT_{name.upper()}", "soft": _rlimit(soft), "hard": _rlimit(hard)}
            for name, soft, hard in plan.rlimits
        ]
    return process


def _rlimit(value: int) -> int:
    return (1 << 64) - 1 if value < 0 else value


def oci_config(plan: ContainerPlan, abilities: CgroupAbilities | None = None) -> Json:
    """config.json."""
    process = exec_process(plan)
    if plan.init is not None:
        process["args"] = [_INIT_TARGET, "--", *plan.args]
    config: Json = {
        "ociVersion": _OCI_VERSION,
        "process": process,
        "root": {"path": str(plan.rootfs), "readonly": plan.readonly},
        "mounts": _mounts(plan),
        "linux": _linux(plan, abilities),
    }
    if plan.annotations:
        config["annotations"] = dict(plan.annotations)
    if plan.utsns != _HOST and plan.hostname:
        config["hostname"] = plan.hostname
    return config


def _mounts(plan: ContainerPlan) -> list[Json]:
    """The system's own, without those that the container replaces, then the container's own in their order."""
    own = list(plan.mounts)
    if plan.init is not None:
        own.insert(0, Mount(_INIT_TARGET, "bind", str(plan.init), ("bind", "ro")))
    replaced = {each.destination.rstrip("/") for each in own}
    system = system_mounts(shm_size=plan.shm_size, writable=plan.privileged, host_ipc=plan.ipcns == _HOST)
    return [each.oci() for each in (*(each for each in system if each.destination not in replaced), *own)]


def _linux(plan: ContainerPlan, abilities: CgroupAbilities | None) -> Json:
    section: Json = {
        "namespaces": _namespaces(plan),
        "resources": {**resources(plan.limits, abilities), "devices": _device_rules(plan)},
        "sysctl": _sysctls(plan),
        "rootfsPropagation": _propagation(plan),
    }
    if plan.cgroup_path:
        section["cgroupsPath"] = plan.cgroup_path
    if plan.devices:
        section["devices"] = [_device(node) for node in plan.devices]
    if not plan.privileged:
        section["maskedPaths"] = list(plan.masked_paths)
        section["readonlyPaths"] = list(plan.readonly_paths)
        if plan.seccomp is not None:
            section["seccomp"] = plan.seccomp.settle(plan.capabilities)
    return section


def _propagation(plan: ContainerPlan) -> str:
    """A shared mount inside a private root would not be shared: the root follows the most open of the mounts."""
    asked = {option.removeprefix("r") for each in plan.mounts for option in each.options}
    return next((f"r{kind}" for kind in ("shared", "slave") if kind in asked), "rprivate")


def _namespaces(plan: ContainerPlan) -> list[Json]:
    modes = {
        "mount": "",
        "network": plan.netns,
        "pid": plan.pidns,
        "ipc": plan.ipcns,
        "uts": plan.utsns,
        "cgroup": plan.cgroupns,
    }
    return [{"type": kind} | ({"path": mode} if mode else {}) for kind, mode in modes.items() if mode != _HOST]


def _sysctls(plan: ContainerPlan) -> dict[str, str]:
    """The defaults belong to the container's own network; nothing of the host's is changed."""
    settled = {} if plan.netns == _HOST else dict(DEFAULT_SYSCTLS)
    if plan.domainname and plan.utsns != _HOST:
        settled["kernel.domainname"] = plan.domainname
    return {**settled, **plan.sysctls}


def _device_rules(plan: ContainerPlan) -> list[Json]:
    """Those of every container's own /dev are added by the runtime."""
    if plan.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[Json] = [{"allow": False, "access": "rwm"}]
    for node in plan.devices:
        rules.append(
            {"allow": True, "type": node.kind, "major": node.major, "minor": node.minor, "access": node.permissions}
        )
    return rules + [_parse_rule(text) for text in plan.device_rules]


def _parse_rule(text: str) -> Json:
    """``c 1:3 rwm`` with ``*`` for any number. Raises InvalidArgument in Docker's words."""
    match = _DEVICE_RULE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    rule: Json = {"allow": True, "type": match["kind"], "access": match["access"]}
    for name in ("major", "minor"):
        if match[name] != "*":
            rule[name] = int(match[name])
    return rule


def _device(node: DeviceNode) -> Json:
    return {
        "path": node.path,
        "type": node.kind,
        "major": node.major,
        "minor": node.minor,
        "fileMode": node.mode,
        "uid": node.uid,
        "gid": node.gid,
    }
