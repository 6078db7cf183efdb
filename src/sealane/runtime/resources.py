"""Limits of a container → OCI ``linux.resources``, for cgroup v1, hybrid and v2. Pure.

The OCI object speaks v1; both crun and runc translate it for v2. What the
machine cannot do (swap accounting) is left out, as Docker does with a warning, because the runtime would refuse the
whole container.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_CPU_PERIOD_US: Final = 100_000
_NANO: Final = 1_000_000_000
#: 0 would be "no processes at all" for the runtime; Docker's 0 and -1 both mean "no limit".
_UNLIMITED: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes, microseconds and counts; 0 or "" stands for "no limit of its own". *nano_cpus* wins over the quota."""

    memory: int = 0
    memory_swap: int = 0  # memory and swap together; -1: swap without limit; 0: as much swap as memory
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


@dataclass(frozen=True, slots=True)
class CgroupAbilities:
    """What the machine's cgroups can do: ``version`` is v1, hybrid or v2."""

    version: str = "v2"
    swap_limit: bool = True


def resources(limits: Limits, abilities: CgroupAbilities | None = None) -> dict[str, Any]:
    """``linux.resources`` without its devices, for create and for update; limits that are not set are not in it."""
    abilities = abilities or CgroupAbilities()
    sections = {"memory": _memory(limits, abilities), "cpu": _cpu(limits)}
    if limits.pids:
        sections["pids"] = {"limit": limits.pids if limits.pids > 0 else _UNLIMITED}
    if limits.blkio_weight:
        sections["blockIO"] = {"weight": limits.blkio_weight}
    return {name: section for name, section in sections.items() if section}


def _memory(limits: Limits, abilities: CgroupAbilities) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if limits.memory:
        memory["limit"] = limits.memory
    swap = limits.memory_swap or (2 * limits.memory)
    if swap and abilities.swap_limit:
        memory["swap"] = swap
    if limits.memory_reservation:
        memory["reservation"] = limits.memory_reservation
    if limits.memory_swappiness is not None and limits.memory_swappiness >= 0 and abilities.version != "v2":
        memory["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable and abilities.version != "v2":
        memory["disableOOMKiller"] = True
    return memory


def _cpu(limits: Limits) -> dict[str, Any]:
    cpu: dict[str, Any] = {}
    if limits.cpu_shares:
        cpu["shares"] = limits.cpu_shares
    period, quota = limits.cpu_period, limits.cpu_quota
    if limits.nano_cpus:
        period = _CPU_PERIOD_US
        quota = limits.nano_cpus * period // _NANO
    if period:
        cpu["period"] = period
    if quota:
        cpu["quota"] = quota
    if limits.cpuset_cpus:
        cpu["cpus"] = limits.cpuset_cpus
    if limits.cpuset_mems:
        cpu["mems"] = limits.cpuset_mems
    return cpu
