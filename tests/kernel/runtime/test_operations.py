"""Frozen, limited, taken away at any moment; what the kernel counts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import pytest

from kernel.runtime.lab import RuntimeLab, until
from sealane.errors import Internal, SealaneError
from sealane.linux import process
from sealane.runtime.resources import Limits, resources

MIB = 1 << 20
COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"


def test_a_paused_container_stands_still(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sh", "-c", COUNT)
        await lab.says("c1", "3\n")
        await lab.monitor.pause("c1")
        used = lab.monitor.usage("c1").cpu_total_ns
        assert lab.monitor.running("c1")
        assert lab.monitor.released("c1")
        await lab.monitor.kill("c1", signal.SIGUSR1)  # pending until it goes on
        assert lab.monitor.usage("c1").cpu_total_ns == used
        await lab.monitor.resume("c1")
        await until(lambda: lab.monitor.usage("c1").cpu_total_ns > used, "it goes on")

    lab.run(story())


def test_pausing_twice_is_refused_in_words(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sleep", "1000")
        with pytest.raises(Internal, match="resume c1"):
            await lab.monitor.resume("c1")
        await lab.monitor.pause("c1")
        with pytest.raises(Internal, match="pause c1"):
            await lab.monitor.pause("c1")

    lab.run(story())


def test_a_paused_container_can_be_deleted(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sh", "-c", COUNT)
        await lab.monitor.pause("c1")
        await lab.monitor.delete("c1")
        assert lab.monitor.processes("c1") == []

    lab.run(story())


def test_limits_are_the_kernels(lab: RuntimeLab) -> None:
    limits = Limits(memory=64 * MIB, pids=50, nano_cpus=500_000_000, cpu_shares=512)

    async def story() -> None:
        await lab.start("c1", "sh", "-c", "echo up; exec sleep 1000", limits=limits)
        await lab.says("c1", "up")  # until then the runtime's own threads count
        usage = lab.monitor.usage("c1")
        assert (usage.memory_limit, usage.pids_limit, usage.pids) == (64 * MIB, 50, 1)
        assert 0 < usage.memory < 64 * MIB
        assert usage.memory_stats
        assert quota(lab) == (50_000, 100_000)

    lab.run(story())


def quota(lab: RuntimeLab) -> tuple[int, int]:
    """Quota and period of c1 in microseconds."""
    folder = lab.layout.folder("cpu", lab.group("c1"))
    assert folder is not None
    if lab.layout.version == "v2":
        first, second = (folder / "cpu.max").read_text().split()
        return int(first), int(second)
    return int((folder / "cpu.cfs_quota_us").read_text()), int((folder / "cpu.cfs_period_us").read_text())


def test_update_of_a_running_container(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sleep", "1000", limits=Limits(memory=64 * MIB, pids=50))
        await lab.monitor.update("c1", resources(Limits(memory=128 * MIB, pids=60, nano_cpus=1_500_000_000)))
        usage = lab.monitor.usage("c1")
        assert (usage.memory_limit, usage.pids_limit) == (128 * MIB, 60)
        assert quota(lab) == (150_000, 100_000)
        await lab.monitor.update("c1", resources(Limits(memory=32 * MIB, pids=-1)))
        assert lab.monitor.usage("c1").memory_limit == 32 * MIB
        assert lab.monitor.usage("c1").pids_limit == 0

    lab.run(story())


def test_update_that_the_kernel_refuses(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sleep", "1000")
        with pytest.raises(Internal, match="update"):
            await lab.monitor.update("c1", resources(Limits(cpuset_cpus="4000")))
        assert lab.monitor.running("c1")

    lab.run(story())


def test_no_more_processes_than_allowed(lab: RuntimeLab) -> None:
    async def story() -> None:
        script = "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; echo all"
        result = await lab.shell(script, limits=Limits(pids=4))
        assert result.code != 0
        assert "can't fork" in result.err

    lab.run(story())


def test_out_of_memory_is_noticed(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sh", "-c", "exec tail /dev/zero", limits=Limits(memory=16 * MIB, memory_swap=16 * MIB))
        assert await lab.monitor.wait_exit("c1") == 128 + signal.SIGKILL
        assert lab.monitor.oom_killed("c1")

    lab.run(story())


def test_a_kill_is_not_out_of_memory(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sleep", "1000", limits=Limits(memory=64 * MIB))
        await lab.monitor.kill("c1", signal.SIGKILL)
        assert await lab.monitor.wait_exit("c1") == 128 + signal.SIGKILL
        assert not lab.monitor.oom_killed("c1")

    lab.run(story())


def test_counters_and_processes(lab: RuntimeLab) -> None:
    async def story() -> None:
        pid = await lab.start("c1", "sh", "-c", "sleep 1000 & sleep 1000 & echo up; wait")
        await lab.says("c1", "up")
        child = await lab.exec("c1", "sh", "-c", "while :; do :; done")
        await until(lambda: lab.monitor.usage("c1").pids == 4, "the runtime's own threads are gone")
        found = lab.monitor.processes("c1")
        assert len(found) == 4
        assert {pid, child.pid} < set(found)
        await until(lambda: lab.monitor.usage("c1").cpu_user_ns > 0, "user time is counted")
        usage = lab.monitor.usage("c1")
        assert usage.cpu_total_ns > 0
        await lab.monitor.delete("c1")
        assert await child.wait() == 128 + signal.SIGKILL

    lab.run(story())


def test_the_end_takes_everything_with_it(lab: RuntimeLab) -> None:
    """Process 1 is gone, so are all others of its pid namespace; without one, delete sees to it."""

    async def story() -> None:
        await lab.start("c1", "sh", "-c", "sleep 1000 & echo up", pidns="host")
        assert await lab.monitor.wait_exit("c1") == 0
        assert len(lab.monitor.processes("c1")) == 1
        await lab.monitor.delete("c1")
        assert lab.monitor.processes("c1") == []

    lab.run(story())


def test_what_programs_that_were_cut_off_leave(lab: RuntimeLab) -> None:
    """Files that runc and conmon write before they rename them; runc refuses to start where it finds its own."""

    async def story() -> None:
        await lab.start("c1", "sleep", "1000")
        unfinished = (lab.monitor.bundle("c1") / ".pid", lab.run_dir / "exits" / "c1.3PJCZ3")
        for path in unfinished:
            path.write_text("")
        await lab.monitor.delete("c1")
        assert [path for path in unfinished if path.exists()] == []
        assert (await lab.shell("echo again")).out == "again\n"

    lab.run(story())


def test_delete_is_idempotent_and_keeps_the_log(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sh", "-c", "echo kept; exec sleep 1000")
        await lab.says("c1", "kept")
        for _ in range(3):
            await lab.monitor.delete("c1")
        assert await lab.printed("c1") == "kept\n"

    lab.run(story())


@pytest.mark.parametrize("turns", range(0, 60, 4))
def test_deleted_at_any_moment_of_its_creation(lab: RuntimeLab, turns: int) -> None:
    """Given up while conmon and the runtime are at work. The fixture looks for what stays."""

    async def story() -> None:
        task = asyncio.create_task(lab.create("c1", "sleep", "1000"))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await lab.monitor.delete("c1")
        assert lab.monitor.processes("c1") == []
        assert not lab.monitor.running("c1")
        again = await lab.shell("echo again")  # and the name is free
        assert again.out == "again\n"

    lab.run(story())


@pytest.mark.parametrize("turns", range(0, 12, 2))
def test_deleted_at_any_moment_of_its_life(lab: RuntimeLab, turns: int) -> None:
    async def story() -> None:
        await lab.create("c1", "sh", "-c", "sleep 1000 & echo up; exit 0")
        starting = asyncio.create_task(lab.monitor.start("c1"))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        await lab.monitor.delete("c1")
        with contextlib.suppress(SealaneError):
            await starting

    lab.run(story())


def test_nested_groups_go_too(lab: RuntimeLab) -> None:
    """A container that made groups below its own, as Docker in Docker does."""

    async def story() -> None:
        await lab.start("c1", "sleep", "1000")
        pids = lab.monitor.processes("c1")
        for folder in lab.layout.folders(lab.group("c1")):
            if folder.exists():
                (folder / "inner").mkdir()
        holder = lab.layout.folder("pids", lab.group("c1"))
        assert holder is not None
        (holder / "inner" / "cgroup.procs").write_text(str(pids[0]))
        assert lab.monitor.processes("c1") == pids
        await lab.monitor.delete("c1")
        assert not any(process.exists(pid) for pid in pids)

    lab.run(story())


def test_ten_at_once(lab: RuntimeLab) -> None:
    async def one(number: int) -> tuple[int, str]:
        result = await lab.shell(f"hostname; exit {number}", f"c{number}")
        return result.code, result.out

    async def story() -> list[tuple[int, str]]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in range(10)]
        return [task.result() for task in tasks]

    assert lab.run(story()) == [(number, f"c{number}\n") for number in range(10)]


def test_descriptors_do_not_grow(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.shell("true")
        before = os.listdir("/proc/self/fd")
        for _ in range(5):
            await lab.shell("true")
        assert len(os.listdir("/proc/self/fd")) == len(before)

    lab.run(story())


def test_what_a_bundle_is_may_be_lost(lab: RuntimeLab) -> None:
    """The engine's volatile directory was wiped while the container ran: delete still does what it can."""

    async def story() -> None:
        pid = await lab.start("c1", "sleep", "1000")
        await lab.restart_engine()
        (lab.monitor.bundle("c1") / "conmon.pid").unlink()
        assert not lab.monitor.running("c1")
        await lab.monitor.delete("c1")
        await until(lambda: not process.exists(pid), "its process is gone")

    lab.run(story())
