"""What every container gets unless it asks otherwise: Docker's default capabilities, mounts, hidden paths. Pure.

The values are those that Docker Engine 26 writes into its OCI configurations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sealane.errors import InvalidArgument

#: Every capability of linux/capability.h, by number.
ALL_CAPABILITIES: Final = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT",
    "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
    "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
DEFAULT_CAPABILITIES: Final = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
)  # fmt: skip
_ALL: Final = "ALL"

MASKED_PATHS: Final[tuple[str, ...]] = (
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
)
READONLY_PATHS: Final[tuple[str, ...]] = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

#: Set in every network namespace of a container's own: no root is needed for low ports and for ping.
DEFAULT_SYSCTLS: Final[Mapping[str, str]] = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}
DEFAULT_SHM_SIZE: Final = 64 << 20


def _canonical(name: str, option: str, available: Sequence[str]) -> str:
    upper = name.upper()
    if upper == _ALL:
        return upper
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in ALL_CAPABILITIES:
        raise InvalidArgument(f'invalid {option}: unknown capability: "{full}"')
    if full not in available:
        raise InvalidArgument(
            f"invalid {option}: capability not supported by your kernel or not available in the current environment: "
            f'"{full}"'
        )
    return full


def capabilities(
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
    *,
    privileged: bool = False,
    available: Sequence[str] = ALL_CAPABILITIES,
) -> tuple[str, ...]:
    """The set that ``--cap-add``, ``--cap-drop`` and ``--privileged`` come to; *available* is what the engine can give.

    Raises InvalidArgument, in Docker's words, for a name that is no capability, or one that is not available.
    """
    added = [_canonical(name, "CapAdd", available) for name in add]
    dropped = {_canonical(name, "CapDrop", available) for name in drop}
    if privileged:
        return tuple(available)
    if _ALL in added:
        return tuple(name for name in available if name not in dropped)
    if _ALL in dropped:
        return tuple(dict.fromkeys(added))
    kept = [name for name in DEFAULT_CAPABILITIES if name not in dropped]
    return tuple(dict.fromkeys([*kept, *added]))


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount, in the OCI specification's words."""

    destination: str
    kind: str = "bind"
    source: str = ""
    options: tuple[str, ...] = ("rbind", "rprivate")

    def oci(self) -> dict[str, Any]:
        return {
            "destination": self.destination,
            "type": self.kind,
            "source": self.source,
            "options": list(self.options),
        }


_GUARDED: Final = ("nosuid", "noexec", "nodev")
_PTS_OPTIONS: Final = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")


def system_mounts(*, shm_size: int, writable: bool, host_ipc: bool) -> tuple[Mount, ...]:
    """The file systems of the kernel below /proc, /dev and /sys, in the order in which they are mounted.

    Each shows the namespaces of the process that mounts it, the host's too; only /dev/shm is the host's own mount.
    A *shm_size* of 0 is none.
    """
    access = () if writable else ("ro",)
    shm = Mount("/dev/shm", "tmpfs", "shm", (*_GUARDED, "mode=1777", f"size={shm_size}"))
    if host_ipc:
        shm = Mount("/dev/shm", "bind", "/dev/shm")
    mounts = (
        Mount("/proc", "proc", "proc", _GUARDED),
        Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount("/dev/pts", "devpts", "devpts", _PTS_OPTIONS),
        Mount("/sys", "sysfs", "sysfs", (*_GUARDED, *access)),
        Mount("/sys/fs/cgroup", "cgroup", "cgroup", (*access, *_GUARDED)),
        Mount("/dev/mqueue", "mqueue", "mqueue", _GUARDED),
    )
    return (*mounts, shm) if host_ipc or shm_size else mounts
