"""Control groups below ``sealane/``, whatever this machine has: v1, v2 or both."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealane.linux import cgroups
from sealane.linux.cgroups import CgroupLayout
from support.poll import until


@pytest.fixture
def group() -> Iterator[str]:
    """A group in every hierarchy; the runtime's work, done here by hand."""
    path = f"/sealane/test-{os.getpid()}"
    where = cgroups.layout()
    parents = [folder.parent for folder in where.folders(path) if not folder.parent.exists()]
    for folder in where.folders(path):
        folder.mkdir(parents=True)
        _enable(folder)
    yield path
    cgroups.remove(where, path)
    for parent in parents:
        parent.rmdir()


def _enable(folder: Path) -> None:
    """A new group of cpuset (v1) takes processes only when it has CPUs and memory."""
    for name in ("cpuset.mems", "cpuset.cpus"):
        for level in (folder.parent, folder):
            file = level / name
            if file.exists() and not file.read_text().strip():
                file.write_text((level.parent / name).read_text())


@pytest.fixture
def member(group: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "1000"])
    for folder in cgroups.layout().folders(group):
        (folder / "cgroup.procs").write_text(str(child.pid))
    yield child
    child.kill()
    child.wait()


def test_the_layout_is_what_is_mounted() -> None:
    where = cgroups.layout()
    mounted = Path("/proc/mounts").read_text()
    assert (" cgroup2 " in mounted, " cgroup " in mounted) == (where.version != "v1", where.version != "v2")
    assert all(root.is_dir() for root in where.hierarchies.values())
    assert len(where.folders("/a")) == len(set(where.folders("/a")))


def test_members_are_listed_with_those_of_groups_below(group: str, member: subprocess.Popen[bytes]) -> None:
    where = cgroups.layout()
    assert cgroups.procs(where, group) == [member.pid]
    for folder in where.folders(group):
        (folder / "below").mkdir()
        _enable(folder / "below")
        (folder / "below" / "cgroup.procs").write_text(str(member.pid))
    assert cgroups.procs(where, group) == [member.pid]
    assert cgroups.procs(where, f"{group}/nosuch") == []


def test_usage_is_the_groups(group: str, member: subprocess.Popen[bytes]) -> None:
    where = cgroups.layout()
    (where.folder("pids", group) or Path()).joinpath("pids.max").write_text("7")
    used = cgroups.usage(where, group)
    assert (used.pids, used.pids_limit) == (1, 7)
    assert used.oom_kills == 0
    assert cgroups.usage(where, f"{group}/nosuch") == cgroups.CgroupUsage()


def test_processor_time_is_counted(group: str) -> None:
    where = cgroups.layout()
    with subprocess.Popen(["sh", "-c", "read go; while :; do :; done"], stdin=subprocess.PIPE) as busy:
        try:
            for folder in where.folders(group):
                (folder / "cgroup.procs").write_text(str(busy.pid))
            assert busy.stdin is not None
            busy.stdin.write(b"go\n")
            busy.stdin.flush()
            until(lambda: cgroups.usage(where, group).cpu_total_ns > 50_000_000, "50 ms are counted")
            until(lambda: cgroups.usage(where, group).cpu_user_ns > 0, "time of the program itself is counted")
        finally:
            busy.kill()


def test_removal_takes_everything_below_along_and_is_idempotent(group: str) -> None:
    where = cgroups.layout()
    for folder in where.folders(group):
        (folder / "a" / "b").mkdir(parents=True)
    cgroups.remove(where, group)
    assert not any(folder.exists() for folder in where.folders(group))
    cgroups.remove(where, group)


def test_a_group_with_a_process_is_not_removed(group: str, member: subprocess.Popen[bytes]) -> None:
    with pytest.raises(OSError, match="processes are still in it"):
        cgroups.remove(cgroups.layout(), group)
    assert member.poll() is None


# the formats of v1 and v2, from files


def test_a_group_of_version_2(tmp_path: Path) -> None:
    folder = tmp_path / "sealane" / "x"
    folder.mkdir(parents=True)
    for name, text in {
        "cpu.stat": "usage_usec 7000\nuser_usec 5000\nsystem_usec 2000\nnr_periods 0\n",
        "memory.current": "4096\n",
        "memory.max": "max\n",
        "memory.stat": "anon 1024\nfile 2048\n",
        "memory.events": "low 0\noom 1\noom_kill 2\n",
        "pids.current": "3\n",
        "pids.max": "100\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n",
    }.items():
        (folder / name).write_text(text)
    used = cgroups.usage(CgroupLayout("v2", {"": tmp_path}), "/sealane/x")
    assert used == cgroups.CgroupUsage(
        memory=4096,
        memory_stats={"anon": 1024, "file": 2048},
        cpu_total_ns=7_000_000,
        cpu_user_ns=5_000_000,
        cpu_kernel_ns=2_000_000,
        pids=3,
        pids_limit=100,
        block_read=11,
        block_write=22,
        oom_kills=2,
    )


def test_a_group_of_version_1(tmp_path: Path) -> None:
    files = {
        "memory": {"memory.usage_in_bytes": "4096", "memory.limit_in_bytes": "8192", "memory.stat": "cache 1\nrss 2\n",
                   "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"},
        "cpuacct": {"cpuacct.usage": "70000000", "cpuacct.stat": "user 5\nsystem 2\n"},
        "pids": {"pids.current": "3", "pids.max": "max"},
        "blkio": {"blkio.throttle.io_service_bytes": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n"},
    }  # fmt: skip
    for controller, contents in files.items():
        folder = tmp_path / controller / "sealane"
        folder.mkdir(parents=True)
        for name, text in contents.items():
            (folder / name).write_text(text)
    where = CgroupLayout("v1", {controller: tmp_path / controller for controller in files})
    used = cgroups.usage(where, "/sealane")
    assert (used.memory, used.memory_limit, used.memory_stats) == (4096, 8192, {"cache": 1, "rss": 2})
    assert (used.cpu_total_ns, used.cpu_user_ns, used.cpu_kernel_ns) == (70_000_000, 50_000_000, 20_000_000)
    assert (used.pids, used.pids_limit, used.block_read, used.block_write, used.oom_kills) == (3, 0, 10, 20, 4)
