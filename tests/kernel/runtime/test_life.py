"""Created, released, ended: exit codes, and who learns of them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from dataclasses import replace

import pytest

from kernel.runtime.lab import Result, RuntimeLab, until
from sealane.errors import Internal, NotFound, SealaneError
from sealane.linux import process
from sealane.runtime.conmon import LOST, Monitor
from sealane.runtime.failures import CommandRefused, StartFailed
from sealane.runtime.spec import Mount


@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
def test_exit_codes(lab: RuntimeLab, code: int) -> None:
    assert lab.run(lab.shell(f"echo out; echo err >&2; exit {code}")) == Result(code, "out\n", "err\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1])
def test_a_signal_ends_with_128_and_its_number(lab: RuntimeLab, number: int) -> None:
    async def story() -> int:
        await lab.start("c1", "sh", "-c", "trap 'exit 3' HUP; echo up; exec sleep 1000", pidns="host")
        await lab.says("c1", "up")
        await lab.monitor.kill("c1", number)
        return await lab.monitor.wait_exit("c1")

    assert lab.run(story()) == 128 + number


def test_a_signal_can_be_handled(lab: RuntimeLab) -> None:
    async def story() -> Result:
        await lab.start("c1", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done")
        await lab.says("c1", "up")
        await lab.monitor.kill("c1", signal.SIGTERM)
        return await lab.result("c1")

    assert lab.run(story()) == Result(3, "up\nbye\n", "")


def test_process_1_ignores_what_it_does_not_handle(lab: RuntimeLab) -> None:
    """As in Docker: why stop needs its second signal."""

    async def story() -> int:
        await lab.start("c1", "sh", "-c", "echo up; sleep 1000; exit 4")
        await lab.says("c1", "up")
        await lab.monitor.kill("c1", signal.SIGTERM)
        await lab.monitor.kill("c1", signal.SIGKILL)
        return await lab.monitor.wait_exit("c1")

    assert lab.run(story()) == 128 + signal.SIGKILL


def test_nothing_runs_before_the_release(lab: RuntimeLab) -> None:
    async def story() -> None:
        pid = await lab.create("c1", "sh", "-c", "echo ran")
        assert lab.monitor.running("c1")
        assert not lab.monitor.released("c1")
        assert lab.monitor.pid("c1") == pid
        assert process.command(pid).startswith("runc")
        assert await lab.printed("c1") == ""
        await lab.monitor.start("c1")
        assert await lab.result("c1") == Result(0, "ran\n", "")
        assert not lab.monitor.running("c1")

    lab.run(story())


def test_an_engine_killed_in_the_middle_of_a_release(lab: RuntimeLab) -> None:
    """It had opened the fifo, and neither read nor removed it: the container runs, and nobody writes any more."""

    async def story() -> None:
        pid = await lab.create("c1", "sleep", "1000")
        fifo = os.open(lab.runtime.state_dir("c1") / "exec.fifo", os.O_RDONLY | os.O_NONBLOCK)
        await until(lambda: process.command(pid) == "sleep", "the container is let go")
        os.close(fifo)
        await lab.restart_engine()
        await lab.monitor.start("c1")
        assert lab.monitor.released("c1")

    lab.run(story())


def test_released_is_told_apart(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sleep", "1000")
        assert lab.monitor.released("c1")
        await lab.restart_engine()
        assert lab.monitor.released("c1")

    lab.run(story())


def test_a_container_that_waits_can_be_killed(lab: RuntimeLab) -> None:
    async def story() -> int:
        await lab.create("c1", "echo", "never")
        await lab.monitor.kill("c1", signal.SIGKILL)
        return await lab.monitor.wait_exit("c1")

    assert lab.run(story()) == 128 + signal.SIGKILL


def test_start_of_one_that_died_waiting_fails(lab: RuntimeLab) -> None:
    async def story() -> None:
        pid = await lab.create("c1", "echo", "never")
        os.kill(pid, signal.SIGKILL)
        await lab.monitor.wait_exit("c1")
        with pytest.raises(Exception, match="c1"):
            await lab.monitor.start("c1")

    lab.run(story())


def test_several_wait_for_one_end(lab: RuntimeLab) -> None:
    async def story() -> list[int]:
        await lab.start("c1", "sh", "-c", "read x; exit 5", options={"stdin": True, "stdin_once": True})
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(lab.monitor.wait_exit("c1")) for _ in range(5)]
            streams = await lab.monitor.attach("c1")
            await streams.write(b"go\n")
            await streams.close()
        return [task.result() for task in waiting] + [await lab.monitor.wait_exit("c1")]

    assert lab.run(story()) == [5] * 6


def test_the_end_carries_its_time(lab: RuntimeLab) -> None:
    async def story() -> None:
        before = time.time_ns()
        await lab.start("c1", "true")
        await lab.monitor.wait_exit("c1")
        ended = lab.monitor.exit("c1")
        assert ended is not None
        # the file system's clock ticks by 4 ms
        assert before - 10**8 < ended.at_ns < time.time_ns() + 10**8

    lab.run(story())


def test_a_container_can_be_started_again(lab: RuntimeLab) -> None:
    async def story() -> None:
        first = await lab.shell("echo one > /tmp/x; exit 1")
        again = await lab.shell("cat /tmp/x; exit 2")
        assert (first.code, again) == (1, Result(2, "one\n", ""))

    lab.run(story())


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("/nowhere", 127, "no such file or directory"),
        ("nowhere", 127, "executable file not found in $PATH"),
        ("/etc/passwd", 126, "permission denied"),
        ("/etc", 126, "permission denied"),
    ],
)
def test_a_command_that_cannot_run(lab: RuntimeLab, command: str, code: int, words: str) -> None:
    async def story() -> None:
        with pytest.raises(CommandRefused, match=re.escape(words)) as refused:
            await lab.create("c1", command)
        assert refused.value.exit_code == code
        assert str(refused.value).startswith("failed to create task for container: failed to create shim task: OCI ")
        assert not lab.monitor.running("c1")

    lab.run(story())


def test_a_file_that_is_no_program(lab: RuntimeLab) -> None:
    """Found out by execve(2), after the release."""

    async def story() -> Result:
        broken = lab.root("c1") / "broken"
        broken.write_bytes(b"\x7fELFnot really")
        broken.chmod(0o755)
        return await lab.outcome("c1", "/broken")

    result = lab.run(story())
    assert result.code == 1
    assert "exec format error" in result.err


def test_a_container_that_cannot_be_made(lab: RuntimeLab) -> None:
    async def story() -> None:
        with pytest.raises(StartFailed, match=r"/mnt.*no such device") as refused:
            await lab.create("c1", "true", mounts=(Mount("/mnt", "no-such-fs", "none", ()),))
        assert refused.value.exit_code == 128
        assert not lab.monitor.running("c1")

    lab.run(story())


def test_a_root_that_is_not_there(lab: RuntimeLab) -> None:
    async def story() -> None:
        plan = replace(lab.plan("c1", "true"), rootfs=lab.folder / "absent")
        with pytest.raises(SealaneError, match=r"invalid rootfs: stat .*/absent"):
            await lab.monitor.create(lab.launch(plan))

    lab.run(story())


def test_a_machine_without_conmon(lab: RuntimeLab) -> None:
    async def story() -> None:
        monitor = Monitor(lab.runtime, lab.run_dir, conmon=lab.folder / "conmon")
        with pytest.raises(Internal, match=r"cannot run .*/conmon: No such file"):
            await monitor.create(lab.launch(lab.plan("c1", "true")))
        monitor.close()

    lab.run(story())

    lab.run(story())


def test_conmon_killed(lab: RuntimeLab) -> None:
    """Nobody else holds the terminal and the exit code: the container goes with it."""

    async def story() -> None:
        pid = await lab.start("c1", "sleep", "1000")
        conmon = int((lab.monitor.bundle("c1") / "conmon.pid").read_text())
        process.kill(conmon, signal.SIGKILL)
        assert await lab.monitor.wait_exit("c1") == LOST
        await until(lambda: not process.exists(pid), "the container's process is gone")

    lab.run(story())


def test_one_that_never_was(lab: RuntimeLab) -> None:
    async def story() -> None:
        assert not lab.monitor.running("c9")
        assert lab.monitor.exit("c9") is None
        assert lab.monitor.processes("c9") == []
        assert lab.monitor.usage("c9").pids == 0
        assert not lab.monitor.oom_killed("c9")
        await lab.monitor.delete("c9")
        with pytest.raises(ProcessLookupError, match="c9"):
            await lab.monitor.kill("c9", signal.SIGTERM)
        with pytest.raises(NotFound, match="c9"):
            await lab.monitor.start("c9")
        with pytest.raises(OSError, match="c9"):
            await lab.monitor.attach("c9")

    lab.run(story())
