"""Further processes in a running container."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from kernel.runtime.lab import RuntimeLab, read_all, read_until, until
from sealane.errors import Internal, SealaneError
from sealane.linux import process
from sealane.runtime.failures import CommandRefused
from sealane.runtime.spec import User

FOREVER = ("sleep", "1000")


def test_output_and_exit_code(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        child = await lab.exec("c1", "sh", "-c", "hostname; echo err >&2; exit 9")
        assert await read_all(child.streams) == {1: b"c1\n", 2: b"err\n"}
        assert [await child.wait(), await child.wait()] == [9, 9]
        assert not (lab.monitor.bundle("c1") / "exec" / "e1").exists()
        assert await lab.printed("c1") == ""  # not in the container's log

    lab.run(story())


def test_detached(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        child = await lab.exec("c1", "sh", "-c", "echo lost; echo done > /tmp/done; exit 3", attach=False)
        assert await child.wait() == 3
        assert (lab.root("c1") / "tmp/done").read_text() == "done\n"
        with pytest.raises(Internal, match="detached"):
            _ = child.streams

    lab.run(story())


@pytest.mark.parametrize("attach", [False, True])
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [("nowhere", 127, "executable file not found in"), ("/etc/passwd", 126, "permission denied")],
)
def test_a_command_that_cannot_run(lab: RuntimeLab, command: str, code: int, words: str, attach: bool) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        with pytest.raises(CommandRefused, match=f"^OCI runtime exec failed: exec failed: .*{words}.*") as refused:
            await lab.exec("c1", command, attach=attach)
        assert refused.value.exit_code == code
        assert os.listdir(lab.monitor.bundle("c1") / "exec") == []
        assert lab.monitor.running("c1")

    lab.run(story())


def test_input_and_its_end(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        child = await lab.exec("c1", "sh", "-c", "cat; echo end", stdin=True)
        await child.streams.write(b"hello\n")
        await child.streams.close_stdin()
        assert (await read_all(child.streams))[1] == b"hello\nend\n"
        assert await child.wait() == 0

    lab.run(story())


def test_a_terminal(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        script = "stty size; until stty size | grep '44 88'; do sleep 0.02; done; cat"
        child = await lab.exec("c1", "sh", "-c", script, stdin=True, terminal=True, size=(33, 77))
        assert await read_until(child.streams, b"\n") == b"33 77\r\n"
        await child.resize(44, 88)
        assert await read_until(child.streams, b"\n") == b"44 88\r\n"
        await child.streams.write(b"\x04")
        assert await child.wait() == 0

    lab.run(story())


def test_killed_by_its_pid(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        child = await lab.exec("c1", *FOREVER)
        await until(lambda: process.command(child.pid) == "sleep", "the runtime's init has executed the command")
        assert child.pid in lab.monitor.processes("c1")
        process.kill(child.pid, signal.SIGKILL)
        assert await child.wait() == 128 + signal.SIGKILL
        assert lab.monitor.running("c1")

    lab.run(story())


def test_ends_with_its_container(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        child = await lab.exec("c1", *FOREVER)
        await lab.monitor.kill("c1", signal.SIGKILL)
        assert await child.wait() == 128 + signal.SIGKILL
        assert await read_all(child.streams) == {1: b"", 2: b""}
        assert await lab.monitor.wait_exit("c1") == 128 + signal.SIGKILL

    lab.run(story())


def test_as_another_user_elsewhere(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", *FOREVER)
        child = await lab.exec(
            "c1",
            *("sh", "-c", "id -u; id -g; id -G; pwd; grep core /proc/self/limits"),
            user=User(1000, 1000, (1000, 29)),
            cwd="/data",
            rlimits=(("core", 4096, 8192),),
        )
        said = (await read_all(child.streams))[1].decode().split()
        assert said == [
            "1000",
            "1000",
            "1000",
            "29",
            "/data",
            *["Max", "core", "file", "size", "4096", "8192", "bytes"],
        ]
        await child.wait()

    lab.run(story())


def test_many_at_once(lab: RuntimeLab) -> None:
    async def one(number: int) -> tuple[bytes, int]:
        child = await lab.exec("c1", "sh", "-c", f"echo {number}; exit {number}", name=f"e{number}")
        said = await read_all(child.streams)
        return said[1], await child.wait()

    async def story() -> list[tuple[bytes, int]]:
        await lab.start("c1", *FOREVER)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in range(8)]
        return [task.result() for task in tasks]

    assert lab.run(story()) == [(f"{number}\n".encode(), number) for number in range(8)]


def test_its_first_word_is_not_lost(lab: RuntimeLab) -> None:
    """The streams are connected before the process runs; the quickest process shows it."""

    async def story() -> None:
        await lab.start("c1", *FOREVER)
        for _ in range(10):
            child = await lab.exec("c1", "echo", "x")
            assert (await read_all(child.streams))[1] == b"x\n"
            assert await child.wait() == 0

    lab.run(story())


def test_in_one_that_has_ended(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "true")
        await lab.monitor.wait_exit("c1")
        with pytest.raises(SealaneError, match="OCI runtime exec failed"):
            await lab.exec("c1", "true")

    lab.run(story())


def test_given_up_while_it_starts(lab: RuntimeLab) -> None:
    """A client that goes away in the middle of an exec: nothing of ours stays, whatever the process does."""

    async def story() -> None:
        await lab.start("c1", *FOREVER)
        for turns in range(12):
            task = asyncio.create_task(lab.exec("c1", *FOREVER, name=f"e{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await until(lambda: os.listdir(lab.monitor.bundle("c1") / "exec") == [], "their directories are gone")

    lab.run(story())
