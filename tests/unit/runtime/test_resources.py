"""Limits → what the OCI runtime is told, for every kind of cgroups."""

from __future__ import annotations

from typing import Any

import pytest

from sealane.runtime.resources import CgroupAbilities, Limits, resources

MIB = 1 << 20


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), {}),
        (Limits(memory=64 * MIB), {"memory": {"limit": 64 * MIB, "swap": 128 * MIB}}),
        (Limits(memory=64 * MIB, memory_swap=64 * MIB), {"memory": {"limit": 64 * MIB, "swap": 64 * MIB}}),
        (Limits(memory=64 * MIB, memory_swap=-1), {"memory": {"limit": 64 * MIB, "swap": -1}}),
        (Limits(memory_reservation=MIB), {"memory": {"reservation": MIB}}),
        (Limits(nano_cpus=2_500_000_000, cpu_quota=7), {"cpu": {"period": 100_000, "quota": 250_000}}),
        (Limits(cpu_period=50_000, cpu_quota=-1), {"cpu": {"period": 50_000, "quota": -1}}),
        (Limits(cpu_shares=2, cpuset_cpus="0", cpuset_mems="0-1"), {"cpu": {"shares": 2, "cpus": "0", "mems": "0-1"}}),
        (Limits(pids=7), {"pids": {"limit": 7}}),
        (Limits(pids=-1), {"pids": {"limit": -1}}),
        (Limits(blkio_weight=500), {"blockIO": {"weight": 500}}),
    ],
)
def test_limits(limits: Limits, expected: dict[str, Any]) -> None:
    assert resources(limits) == expected


@pytest.mark.parametrize("version", ["v1", "hybrid", "v2"])
def test_what_only_version_1_has(version: str) -> None:
    limits = Limits(memory=MIB, memory_swappiness=0, oom_kill_disable=True)
    memory = resources(limits, CgroupAbilities(version))["memory"]
    old = {"swappiness": 0, "disableOOMKiller": True} if version != "v2" else {}
    assert memory == {"limit": MIB, "swap": 2 * MIB, **old}


def test_no_swap_where_it_cannot_be_limited() -> None:
    for swap in (0, -1, 2 * MIB):
        found = resources(Limits(memory=MIB, memory_swap=swap), CgroupAbilities("v1", swap_limit=False))
        assert found == {"memory": {"limit": MIB}}


def test_a_swappiness_that_is_not_set() -> None:
    for value in (None, -1):
        assert resources(Limits(memory_swappiness=value), CgroupAbilities("v1")) == {}
