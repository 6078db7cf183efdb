"""Attached before, during and after the process: nothing is lost, nobody waits in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sealane.engine.model import LogLine
from sealane.engine.sessions import AttachSession


class FakeStreams:
    """A process that says *pieces* and ends."""

    def __init__(self, *pieces: tuple[int, bytes]) -> None:
        self._pieces = list(pieces)
        self.written: list[bytes] = []
        self.stdin_open = True
        self.closed = 0

    async def read(self) -> tuple[int, bytes] | None:
        await asyncio.sleep(0)
        return self._pieces.pop(0) if self._pieces else None

    async def write(self, data: bytes) -> None:
        self.written.append(data)

    async def close_stdin(self) -> None:
        self.stdin_open = False

    async def close(self) -> None:
        self.closed += 1


def session(*, stdin: bool = True, stdout: bool = True, stderr: bool = True, **more: object) -> AttachSession:
    return AttachSession(tty=False, stdin=stdin, stdout=stdout, stderr=stderr, **more)  # type: ignore[arg-type]


async def everything(attached: AttachSession) -> list[tuple[int, bytes]]:
    found = []
    while (piece := await attached.read()) is not None:
        found.append(piece)
    return found


def test_one_who_came_early_hears_all() -> None:
    async def run() -> list[tuple[int, bytes]]:
        attached = session()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(attached))
            await asyncio.sleep(0)
            attached.connect(FakeStreams((1, b"out"), (2, b"err")))
        return reading.result()

    assert asyncio.run(run()) == [(1, b"out"), (2, b"err")]


def test_only_what_was_asked_for() -> None:
    async def run() -> list[tuple[int, bytes]]:
        attached = session(stdout=False)
        attached.connect(FakeStreams((1, b"out"), (2, b"err"), (1, b"out")))
        return await everything(attached)

    assert asyncio.run(run()) == [(2, b"err")]


def test_the_log_comes_before_the_present() -> None:
    async def log() -> AsyncIterator[LogLine]:
        yield LogLine(1, 1, b"old\n")
        yield LogLine(2, 2, b"old err\n")

    async def run() -> list[tuple[int, bytes]]:
        attached = session(stderr=False, replay=log())
        attached.connect(FakeStreams((1, b"new\n")))
        return await everything(attached)

    assert asyncio.run(run()) == [(1, b"old\n"), (1, b"new\n")]


def test_a_process_that_never_comes_ends_the_wait() -> None:
    async def run() -> None:
        attached = session()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(attached))
            writing = group.create_task(attached.write(b"in"))
            await asyncio.sleep(0)
            attached.abandon()
        assert reading.result() == []
        assert writing.result() is None

    asyncio.run(run())


def test_input_waits_for_the_process_and_goes_nowhere_without_stdin() -> None:
    async def run() -> tuple[FakeStreams, FakeStreams]:
        found = []
        for stdin in (True, False):
            attached, streams = session(stdin=stdin), FakeStreams()
            async with asyncio.TaskGroup() as group:
                group.create_task(attached.write(b"in"))
                await asyncio.sleep(0)
                attached.connect(streams)
            await attached.close_stdin()
            found.append(streams)
        return found[0], found[1]

    with_stdin, without = asyncio.run(run())
    assert (with_stdin.written, with_stdin.stdin_open) == ([b"in"], False)
    assert (without.written, without.stdin_open) == ([], True)


def test_the_end_of_the_output_waits_for_the_exit_code() -> None:
    async def run() -> list[str]:
        order, ended = [], asyncio.Event()
        attached = session(ended=ended)
        attached.connect(FakeStreams())

        async def read() -> None:
            assert await attached.read() is None
            order.append("end of output")

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            for _ in range(3):
                await asyncio.sleep(0)
            order.append("exit code")
            ended.set()
        return order

    assert asyncio.run(run()) == ["exit code", "end of output"]


def test_leaving_closes_the_streams_once() -> None:
    async def run() -> None:
        attached, streams = session(), FakeStreams((1, b"x"))
        attached.connect(streams)
        assert not attached.closed
        await attached.close()
        await attached.close()
        assert (attached.closed, streams.closed) == (True, 1)

    asyncio.run(run())


def test_leaving_before_the_process_comes() -> None:
    async def run() -> None:
        attached = session()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(attached))
            await asyncio.sleep(0)
            await attached.close()
        assert (reading.result(), attached.closed) == ([], True)

    asyncio.run(run())
