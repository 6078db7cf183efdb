"""What runtime configurations have to know of the machine, found out once when the engine starts."""

from __future__ import annotations

import gzip
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sealane.linux.cgroups import CgroupLayout
from sealane.runtime.defaults import ALL_CAPABILITIES
from sealane.runtime.resources import CgroupAbilities
from sealane.runtime.seccomp import Profile, SyscallAbi, parse_profile
from sealane.runtime.spec import DeviceNode

SECCOMP_PROFILE: Final = Path("/usr/share/containers/seccomp.json")
#: Static programs: they must run in an image that has no C library.
_INITS: Final = ("/usr/bin/catatonit", "/usr/libexec/podman/catatonit", "/usr/bin/tini-static", "/usr/bin/docker-init")


def cgroup_abilities(layout: CgroupLayout) -> CgroupAbilities:
    """Whether swap can be limited: in v1 the root group has the file; in v2 every other group has."""
    if layout.version == "v2":
        root = layout.hierarchies[""]
        groups = (entry.path for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False))
        swap = any(os.path.exists(f"{group}/memory.swap.max") for group in groups)
        return CgroupAbilities("v2", swap)
    memory = layout.hierarchies.get("memory")
    swap = memory is not None and (memory / "memory.memsw.limit_in_bytes").exists()
    return CgroupAbilities(layout.version, swap)


def available_capabilities() -> tuple[str, ...]:
    """Those that this process has in effect: no container can have more (privileged ones have these)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    bits = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
    return tuple(name for number, name in enumerate(ALL_CAPABILITIES) if bits >> number & 1)


def find_init(configured: str = "") -> Path | None:
    """The init that ``--init`` uses: the configured one, or the first of those that Debian's packages bring."""
    for candidate in (configured,) if configured else _INITS:
        if os.access(candidate, os.X_OK):
            return Path(os.path.realpath(candidate))
    return None


def seccomp_profile(path: Path = SECCOMP_PROFILE) -> Profile | None:
    """The default profile, for this machine's system calls; None when the kernel has no seccomp or the file is absent.

    Raises InvalidArgument when the file is there and cannot be understood.
    """
    if not os.path.exists("/proc/sys/kernel/seccomp"):
        return None
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return parse_profile(content, syscall_abi(), str(path))


def syscall_abi() -> SyscallAbi:
    """Which system calls beside the native ones the kernel can take; when it does not say, all of them."""
    machine = platform.machine()
    if machine != "x86_64":
        return SyscallAbi(machine)
    option = _kernel_options()
    return SyscallAbi(machine, has_x86=option("CONFIG_IA32_EMULATION"), has_x32=option("CONFIG_X86_X32_ABI"))


def _kernel_options() -> Callable[[str], bool]:
    text = _kernel_config()
    return lambda name: text is None or f"\n{name}=y\n" in text


def _kernel_config() -> str | None:
    try:
        return gzip.decompress(Path("/proc/config.gz").read_bytes()).decode()
    except OSError:
        pass
    try:
        return Path(f"/boot/config-{platform.release()}").read_text()
    except OSError:
        return None


def host_devices() -> tuple[DeviceNode, ...]:
    """Every device below the host's /dev, for privileged containers; what the runtime mounts itself is left out."""
    found: list[DeviceNode] = []
    for top, folders, files in os.walk("/dev"):
        folders[:] = [name for name in folders if os.path.join(top, name) not in _OWN_FOLDERS]
        for name in files:
            node = device_node(os.path.join(top, name))
            if node is not None and node.path != "/dev/console":
                found.append(node)
    return tuple(found)


_OWN_FOLDERS: Final = frozenset({"/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.lxc", "/dev/.lxd-mounts"})


def device_node(host_path: str, path: str = "", permissions: str = "rwm") -> DeviceNode | None:
    """The device at *host_path*, to appear at *path*; None when it is none (or a link). Raises OSError when absent."""
    found = os.lstat(host_path) if not path else os.stat(host_path)
    kind = {0o020000: "c", 0o060000: "b"}.get(found.st_mode & 0o170000)
    if kind is None:
        return None
    return DeviceNode(
        path=path or host_path,
        kind=kind,
        major=os.major(found.st_rdev),
        minor=os.minor(found.st_rdev),
        mode=found.st_mode & 0o7777,
        uid=found.st_uid,
        gid=found.st_gid,
        permissions=permissions,
    )
