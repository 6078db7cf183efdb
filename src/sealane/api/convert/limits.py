"""Resource limits and restart policies of a request. Pure.

``cpus`` is how many processors the machine has: Docker refuses to give more than there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sealane.api.schema.container import Resources as WireResources
from sealane.api.schema.container import RestartPolicy as WirePolicy
from sealane.engine.model import Resources, RestartPolicy
from sealane.errors import InvalidArgument

MINIMUM_MEMORY: Final = 6 * 1024 * 1024
_POLICIES: Final = ("no", "always", "on-failure", "unless-stopped")
_SET: Final = re.compile(r"^[0-9]{1,6}(-[0-9]{1,6})?$")


def resources(asked: WireResources, cpus: int) -> Resources:
    """The limits of HostConfig or of an update. Raises InvalidArgument in Docker's words."""
    _check_memory(asked)
    _check_cpu(asked, cpus)
    if asked.BlkioWeight and not 10 <= asked.BlkioWeight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    return Resources(
        memory=asked.Memory,
        memory_swap=asked.MemorySwap,
        memory_reservation=asked.MemoryReservation,
        memory_swappiness=None if asked.MemorySwappiness == -1 else asked.MemorySwappiness,
        kernel_memory=asked.KernelMemory or 0,
        nano_cpus=asked.NanoCpus,
        cpu_shares=max(asked.CpuShares, 0),
        cpu_period=asked.CpuPeriod,
        cpu_quota=asked.CpuQuota,
        cpuset_cpus=asked.CpusetCpus,
        cpuset_mems=asked.CpusetMems,
        pids_limit=max(asked.PidsLimit or 0, 0),
        blkio_weight=asked.BlkioWeight,
        oom_kill_disable=bool(asked.OomKillDisable),
    )


def restart_policy(asked: WirePolicy, auto_remove: bool = False) -> RestartPolicy:
    """Raises InvalidArgument in Docker's words."""
    name, retries = asked.Name or "no", asked.MaximumRetryCount
    if name not in _POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if retries < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if retries and name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if auto_remove and name != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    return RestartPolicy(name, retries)


def _check_memory(asked: WireResources) -> None:
    memory, swap, reservation = asked.Memory, asked.MemorySwap, asked.MemoryReservation
    if memory and memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if swap > 0 and not memory:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if memory and 0 < swap < memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if swap < -1:
        raise InvalidArgument(f"invalid memory swap limit {swap}: it should be -1 (unlimited), 0 or more bytes")
    if reservation and reservation < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if memory and reservation > memory:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    swappiness = asked.MemorySwappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")


def _check_cpu(asked: WireResources, cpus: int) -> None:
    if asked.NanoCpus:
        if asked.CpuPeriod:
            raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
        if asked.CpuQuota:
            raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
        if not 10_000_000 <= asked.NanoCpus <= cpus * 1_000_000_000:
            raise InvalidArgument(f"Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    if asked.CpuPeriod and not 1000 <= asked.CpuPeriod <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < asked.CpuQuota < 1000 or asked.CpuQuota < -1:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    wanted = set(_numbers(asked.CpusetCpus, "cpus"))
    if wanted - set(range(cpus)):
        raise InvalidArgument(
            f"Requested CPUs are not available - requested {asked.CpusetCpus}, available: {_span(cpus)}"
        )
    list(_numbers(asked.CpusetMems, "mems"))
    if asked.CpuRealtimePeriod or asked.CpuRealtimeRuntime:
        raise InvalidArgument("CPU real-time scheduling is not supported: CpuRealtimePeriod and CpuRealtimeRuntime")


def _numbers(text: str, what: str) -> Iterator[int]:
    """The numbers of a kernel list such as ``0-2,4``."""
    for part in text.split(",") if text else ():
        if not _SET.fullmatch(part):
            raise InvalidArgument(f"Invalid value {text} for cpuset {what}: invalid format: {text}")
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise InvalidArgument(f"Invalid value {text} for cpuset {what}: invalid format: {text}")
        yield from range(int(first), min(int(last or first), 65536) + 1)


def _span(cpus: int) -> str:
    return f"0-{cpus - 1}" if cpus > 1 else "0"
