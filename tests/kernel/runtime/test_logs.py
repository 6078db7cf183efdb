"""conmon writes, we read: while it writes, when it starts anew, from the end."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kernel.runtime.lab import RuntimeLab, until
from sealane.runtime.logs import LogLine, read_log

STAMP = "2024-05-01T10:00:00.000000001+00:00"


def read(path: Path, finished: asyncio.Event | None = None, **bounds: int) -> AsyncIterator[LogLine]:
    tail = bounds.get("tail")
    since_ns, until_ns = bounds.get("since_ns", 0), bounds.get("until_ns", 0)
    return read_log(path, tail=tail, since_ns=since_ns, until_ns=until_ns, finished=finished)


async def everything(lines: AsyncIterator[LogLine]) -> list[tuple[int, bytes]]:
    return [(line.stream, line.data) async for line in lines]


def test_lines_are_put_together(lab: RuntimeLab) -> None:
    """conmon logs what each read(2) gave; shown are lines, as Docker does."""

    async def story() -> None:
        script = "printf a; sleep 0.1; echo err >&2; sleep 0.1; printf 'b\\n'; echo; printf end"
        result = await lab.shell(script)
        assert (result.out, result.err) == ("ab\n\nend", "err\n")
        raw = lab.log("c1").read_text()
        assert " stdout P a\n" in raw
        assert await everything(read(lab.log("c1"))) == [(2, b"err\n"), (1, b"ab\n"), (1, b"\n"), (1, b"end")]

    lab.run(story())


def test_long_lines_come_in_dockers_pieces(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.shell("head -c 40000 /dev/zero | tr '\\0' z; echo; echo after")
        found = [line async for line in read(lab.log("c1"))]
        assert [len(line.data) for line in found] == [16384, 16384, 40000 - 2 * 16384 + 1, 6]
        assert len({line.time_ns for line in found[:3]}) == 1
        assert [line.data[-1:] for line in found] == [b"z", b"z", b"\n", b"\n"]
        assert await everything(read(lab.log("c1"), tail=1)) == [(1, b"after\n")]

    lab.run(story())


def test_the_time_is_that_of_writing(lab: RuntimeLab) -> None:
    async def story() -> None:
        before = time.time_ns()
        await lab.shell("echo x")
        found = [line.time_ns async for line in read(lab.log("c1"))]
        assert before < found[0] < time.time_ns()

    lab.run(story())


def test_a_terminals_output(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.shell("echo out; echo err >&2", terminal=True)
        assert await everything(read(lab.log("c1"))) == [(1, b"out\r\n"), (1, b"err\r\n")]

    lab.run(story())


def test_every_line_arrives_while_it_is_written(lab: RuntimeLab) -> None:
    """Following from before the first line to the end: nothing twice, nothing lost."""

    async def story() -> None:
        finished = asyncio.Event()
        await lab.create("c1", "sh", "-c", "for i in $(seq 5000); do echo line $i; done")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(read(lab.log("c1"), finished)))
            await lab.monitor.start("c1")
            await lab.monitor.wait_exit("c1")
            finished.set()
        assert reading.result() == [(1, f"line {number}\n".encode()) for number in range(1, 5001)]

    lab.run(story())


def test_a_line_is_told_at_once(lab: RuntimeLab) -> None:
    """The follower is woken by each line, not by a clock: it answers, and the container waits for the answer."""

    async def story() -> None:
        finished = asyncio.Event()
        script = "n=0; while read x; do n=$((n + 1)); echo $n; done"
        await lab.start("c1", "sh", "-c", script, options={"stdin": True, "stdin_once": True})
        streams = await lab.attach("c1")
        await streams.write(b"go\n")
        async for line in read(lab.log("c1"), finished):
            if line.data == b"50\n":
                await streams.close_stdin()
                await lab.monitor.wait_exit("c1")
                finished.set()
            else:
                await streams.write(b"go\n")

    lab.run(story())


def test_a_log_that_starts_anew_while_it_is_read(lab: RuntimeLab) -> None:
    """conmon puts a new file in the place of one that is full."""

    async def story() -> None:
        finished = asyncio.Event()
        options = {"log_max_bytes": 4096, "stdin": True, "stdin_once": True}
        await lab.start("c1", "sh", "-c", "while read x; do echo $x $x; done", options=options)
        streams = await lab.attach("c1")
        seen = []
        await streams.write(b"0\n")
        async for line in read(lab.log("c1"), finished):
            number = int(line.data.split()[0])
            seen.append(number)
            if number < 200:
                await streams.write(f"{number + 1}\n".encode())
            else:
                await streams.close_stdin()
                await lab.monitor.wait_exit("c1")
                finished.set()
        assert seen == list(range(201))
        assert lab.log("c1").stat().st_size <= 4096  # all 201 would be more

    lab.run(story())


@pytest.mark.parametrize("tail", [0, 1, 2, 5, 999, 1000, 5000])
def test_the_last_lines(lab: RuntimeLab, tail: int) -> None:
    async def story() -> None:
        await lab.shell("for i in $(seq 1000); do echo $i; done")
        found = await everything(read(lab.log("c1"), tail=tail))
        assert found == [(1, f"{number}\n".encode()) for number in range(1, 1001)][1000 - min(tail, 1000) :]

    lab.run(story())


def test_the_last_lines_and_what_follows(lab: RuntimeLab) -> None:
    async def story() -> None:
        finished = asyncio.Event()
        script = "echo 1; echo 2; echo 3; printf 4; read x; echo; echo 5"
        await lab.start("c1", "sh", "-c", script, options={"stdin": True, "stdin_once": True})
        streams = await lab.attach("c1")
        await until(lambda: b"P 4\n" in lab.log("c1").read_bytes(), "the unfinished line is there")
        seen = []
        async for line in read(lab.log("c1"), finished, tail=1):
            seen.append(line.data)
            if len(seen) == 1:
                await streams.close_stdin()
                await lab.monitor.wait_exit("c1")
                finished.set()
        assert seen == [b"3\n", b"4\n", b"5\n"]

    lab.run(story())


def test_between_two_times(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.shell("for i in 1 2 3 4 5; do echo $i; sleep 0.01; done")
        times = [line.time_ns async for line in read(lab.log("c1"))]
        found = await everything(read(lab.log("c1"), since_ns=times[1], until_ns=times[3]))
        assert found == [(1, b"2\n"), (1, b"3\n"), (1, b"4\n")]
        # the last two, and of these what is not too late
        assert await everything(read(lab.log("c1"), tail=2, until_ns=times[3])) == [(1, b"4\n")]

    lab.run(story())


def test_following_ends_when_the_time_has_come(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sh", "-c", "echo up; exec sleep 1000")
        await lab.says("c1", "up")
        soon = time.time_ns() + 50_000_000
        assert await everything(read(lab.log("c1"), asyncio.Event(), until_ns=soon)) == [(1, b"up\n")]
        assert time.time_ns() >= soon
        past = await everything(read(lab.log("c1"), asyncio.Event(), until_ns=1))
        assert past == []

    lab.run(story())


def test_files_that_are_not_there(tmp_path: Path) -> None:
    async def story() -> None:
        finished = asyncio.Event()
        for path in (tmp_path / "log", tmp_path / "no" / "log"):
            assert await everything(read(path)) == []
            finished.set()
            assert await everything(read(path, finished, tail=3)) == []

    asyncio.run(story())


def test_a_file_that_comes_later(tmp_path: Path) -> None:
    async def story() -> None:
        finished = asyncio.Event()
        lines = read(tmp_path / "log", finished)
        first = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0)
        (tmp_path / "log").write_text(f"{STAMP} stdout F hello\n")
        assert (await asyncio.wait_for(first, 10)).data == b"hello\n"
        finished.set()
        assert [line async for line in lines] == []

    asyncio.run(story())


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "log"

    async def story() -> None:
        finished = asyncio.Event()
        path.write_text(f"{STAMP} stdout F a long first line\n{STAMP} stdout F second\n")
        lines = read(path, finished)
        assert [(await anext(lines)).data, (await anext(lines)).data] == [b"a long first line\n", b"second\n"]
        path.write_text(f"{STAMP} stdout F new\n")
        assert (await asyncio.wait_for(anext(lines), 10)).data == b"new\n"
        finished.set()
        assert [line async for line in lines] == []

    asyncio.run(story())


def test_a_line_that_is_written_in_two_steps(tmp_path: Path) -> None:
    path = tmp_path / "log"

    async def story() -> None:
        finished = asyncio.Event()
        path.write_text(f"{STAMP} stdo")
        lines = read(path, finished)
        first = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0)
        with path.open("a") as file:
            file.write("ut F whole\n")
        assert (await asyncio.wait_for(first, 10)).data == b"whole\n"
        finished.set()
        assert [line async for line in lines] == []

    asyncio.run(story())


def test_without_inotify_it_looks_regularly(tmp_path: Path) -> None:
    """A user may have 128 of them; the 129th follower must work as well. Shown with no descriptor left for one."""
    path = tmp_path / "log"
    path.write_text(f"{STAMP} stdout F first\n")

    async def story() -> None:
        finished = asyncio.Event()
        lines = read(path, finished)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        spare = path.open()  # its number is what the log will get
        number = spare.fileno()
        spare.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (number + 1, hard))
        try:
            assert (await anext(lines)).data == b"first\n"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with path.open("a") as file:
            file.write(f"{STAMP} stdout F second\n")
        assert (await asyncio.wait_for(anext(lines), 10)).data == b"second\n"
        finished.set()
        assert [line async for line in lines] == []

    asyncio.run(story())


def test_a_reader_that_leaves_early_leaves_nothing(lab: RuntimeLab) -> None:
    """The fixture counts the descriptors."""

    async def story() -> None:
        await lab.start("c1", "sh", "-c", "while :; do echo x; sleep 0.01; done")
        for _ in range(3):
            lines = read(lab.log("c1"), asyncio.Event())
            assert (await anext(lines)).data == b"x\n"
            await lines.aclose()  # type: ignore[attr-defined]
            waiting = asyncio.ensure_future(everything(read(lab.log("c1"), asyncio.Event())))
            await asyncio.sleep(0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    lab.run(story())


def test_reading_ends_though_the_container_writes_faster(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "sh", "-c", "yes")
        await until(lambda: lab.log("c1").stat().st_size > 0, "it writes")
        assert await everything(read(lab.log("c1")))
        assert lab.monitor.running("c1")

    lab.run(story())
