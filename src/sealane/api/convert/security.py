"""Capabilities, security options, namespaces, devices and ulimits of a request. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sealane.api.schema.container import HostConfig
from sealane.engine.model import Device, Ulimit
from sealane.errors import InvalidArgument

#: linux/capability.h, in the order of their numbers.
CAPABILITIES: Final = frozenset(
    f"CAP_{name}"
    for line in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE",
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT",
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL",
        "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE",
    )
    for name in line.split()
)
#: setrlimit(2), as Docker names them.
ULIMITS: Final = frozenset(
    (
        *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue"),
        *("nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
    )
)
_DEVICE_RULE: Final = re.compile(r"^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$")


def capabilities(asked: Iterable[str] | None, field: str) -> tuple[str, ...]:
    """``NET_ADMIN``, ``cap_net_admin`` or ``ALL``, all as the kernel writes them. Raises InvalidArgument."""
    names = []
    for text in asked or ():
        name = text.upper()
        if name in ("ALL", "CAP_ALL"):
            names.append("ALL")
            continue
        name = name if name.startswith("CAP_") else f"CAP_{name}"
        if name not in CAPABILITIES:
            raise InvalidArgument(f'invalid {field}: unknown capability: "{name}"')
        names.append(name)
    return tuple(dict.fromkeys(names))


def security_options(asked: Iterable[str] | None) -> tuple[str, ...]:
    """Every ``--security-opt`` as ``name`` or ``name=value``. Raises InvalidArgument for an unknown one."""
    return tuple(_security_option(text) for text in asked or ())


def _security_option(text: str) -> str:
    if text in ("no-new-privileges", "disable"):
        return text
    found = re.match(r"([^=:]+)[=:](.*)", text, re.DOTALL)
    if found is None:
        raise InvalidArgument(f'invalid --security-opt 1: "{text}"')
    name, value = found.groups()
    match name, value:
        case "no-new-privileges", _ if value.lower() in ("true", "false", "1", "0"):
            return f"{name}={'true' if value.lower() in ('true', '1') else 'false'}"
        case (("seccomp" | "apparmor" | "label"), _):
            return f"{name}={value}"
        case "systempaths", "unconfined":
            return f"{name}={value}"
    raise InvalidArgument(f'invalid --security-opt 2: "{text}"')


def check_namespaces(host: HostConfig) -> None:
    """The modes of the pid, ipc, uts, cgroup and user namespaces. Raises InvalidArgument naming the mode."""
    if host.PidMode not in ("", "host") and not _of_container(host.PidMode):
        raise InvalidArgument(f"invalid PID mode: {host.PidMode}")
    if host.IpcMode not in ("", "none", "private", "shareable", "host") and not _of_container(host.IpcMode):
        raise InvalidArgument(f"invalid IPC mode: {host.IpcMode}")
    if host.UTSMode not in ("", "host"):
        raise InvalidArgument(f"invalid UTS mode: {host.UTSMode}")
    if host.CgroupnsMode not in ("", "private", "host"):
        raise InvalidArgument(f"invalid cgroup namespace mode: {host.CgroupnsMode}")
    if host.UsernsMode not in ("", "host"):
        raise InvalidArgument(f"invalid user namespace mode: {host.UsernsMode}")


def _of_container(mode: str) -> bool:
    kind, _, name = mode.partition(":")
    return kind == "container" and bool(name)


def devices(host: HostConfig) -> tuple[Device, ...]:
    """``--device``. Raises InvalidArgument."""
    found = []
    for device in host.Devices or ():
        permissions = device.CgroupPermissions or "rwm"
        inside = device.PathInContainer or device.PathOnHost
        if not device.PathOnHost.startswith("/") or not inside.startswith("/"):
            raise InvalidArgument(f"invalid device: {device.PathOnHost}:{inside}: both paths must be absolute")
        if set(permissions) - set("rwm"):
            raise InvalidArgument(f"invalid device mode: {permissions}")
        found.append(Device(device.PathOnHost, inside, permissions))
    return tuple(found)


def device_rules(host: HostConfig) -> tuple[str, ...]:
    """``--device-cgroup-rule``. Raises InvalidArgument."""
    for rule in host.DeviceCgroupRules or ():
        if not _DEVICE_RULE.match(rule):
            raise InvalidArgument(f"invalid device cgroup rule format: '{rule}'")
    return tuple(host.DeviceCgroupRules or ())


def ulimits(host: HostConfig) -> tuple[Ulimit, ...]:
    """``--ulimit``; -1 is unlimited. Raises InvalidArgument."""
    found = []
    for limit in host.Ulimits or ():
        name = limit.Name.lower().removeprefix("rlimit_")
        if name not in ULIMITS:
            raise InvalidArgument(f"invalid ulimit type: {limit.Name}")
        if min(limit.Soft, limit.Hard) < -1 or (limit.Hard != -1 and not -1 < limit.Soft <= limit.Hard):
            raise InvalidArgument(
                f"ulimit soft limit must be less than or equal to hard limit: {limit.Soft} > {limit.Hard}"
            )
        found.append(Ulimit(name, limit.Soft, limit.Hard))
    return tuple(found)
