"""Attached: output, input and its end, terminals."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from kernel.runtime.lab import RuntimeLab, read_all, read_until
from sealane.runtime.streams import Attached

INTERACTIVE = {"stdin": True, "stdin_once": True}
SIZES = "while :; do stty size; sleep 0.02; done"


async def attached(
    lab: RuntimeLab, *args: str, options: dict[str, object] | None = None, **changes: object
) -> Attached:
    """Attach before the start, so that nothing is missed."""
    await lab.create("c1", *args, options=options, **changes)
    streams = await lab.attach("c1")
    await lab.monitor.start("c1")
    return streams


def test_output_comes_by_streams(lab: RuntimeLab) -> None:
    async def story() -> None:
        streams = await attached(lab, "sh", "-c", "echo out; echo err >&2")
        assert await read_all(streams) == {1: b"out\n", 2: b"err\n"}
        assert await streams.read() is None
        await streams.close()
        assert await lab.monitor.wait_exit("c1") == 0

    lab.run(story())


@pytest.mark.parametrize("size", [1, 8191, 8192, 8193, 1 << 20])
def test_input_arrives_whole_and_ends(lab: RuntimeLab, size: int) -> None:
    """Half close: our end of the input, and output that goes on after it."""

    async def story() -> None:
        streams = await attached(lab, "sh", "-c", "md5sum; echo after", options=INTERACTIVE)
        sent = bytes(number % 251 for number in range(size))
        await streams.write(sent)
        await streams.close_stdin()
        said = (await read_all(streams))[1].split()
        assert said == [hashlib.md5(sent).hexdigest().encode(), b"-", b"after"]
        await streams.close()

    lab.run(story())


def test_input_and_output_at_the_same_time(lab: RuntimeLab) -> None:
    """More than all buffers between hold: it only gets through when both directions are served."""

    async def story() -> None:
        streams = await attached(lab, "cat", options=INTERACTIVE)
        sent = b"0123456789abcdef" * (1 << 17)

        async def write() -> None:
            await streams.write(sent)
            await streams.close_stdin()

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            reading = group.create_task(read_all(streams))
        assert reading.result()[1] == sent
        await streams.close()

    lab.run(story())


def test_without_stdin_it_is_at_its_end(lab: RuntimeLab) -> None:
    async def story() -> None:
        result = await lab.shell("cat; echo $?")
        assert result.out == "0\n"

    lab.run(story())


def test_stdin_stays_open_when_it_is_not_meant_once(lab: RuntimeLab) -> None:
    async def story() -> None:
        first = await attached(lab, "cat", options={"stdin": True})
        await first.write(b"one\n")
        await read_until(first, b"one\n")
        await first.close()
        second = await lab.attach("c1")
        await second.write(b"two\n")
        assert await read_until(second, b"two\n") == b"two\n"
        assert lab.monitor.running("c1")
        await second.close()

    lab.run(story())


def test_several_attach_to_one(lab: RuntimeLab) -> None:
    async def story() -> None:
        first = await attached(lab, "cat", options={"stdin": True})
        second = await lab.attach("c1")
        await first.write(b"hello\n")
        assert await read_until(first, b"hello\n") == b"hello\n"
        assert await read_until(second, b"hello\n") == b"hello\n"
        await first.close()
        await second.close()

    lab.run(story())


def test_leaving_does_not_end_the_container(lab: RuntimeLab) -> None:
    async def story() -> None:
        streams = await attached(lab, "sh", "-c", "echo up; exec sleep 1000")
        await read_until(streams, b"up")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(streams.read())
            await asyncio.sleep(0)
            await streams.close()
            await streams.close()
        assert reading.result() is None
        assert lab.monitor.running("c1")

    lab.run(story())


def test_input_for_one_that_has_ended_is_thrown_away(lab: RuntimeLab) -> None:
    async def story() -> None:
        streams = await attached(lab, "true", options=INTERACTIVE)
        await lab.monitor.wait_exit("c1")
        await streams.write(b"x" * 100_000)
        await streams.write(b"y")
        await streams.close_stdin()
        assert await read_all(streams) == {1: b"", 2: b""}
        await streams.close()

    lab.run(story())


def test_a_terminal(lab: RuntimeLab) -> None:
    async def story() -> None:
        streams = await attached(
            lab, "sh", "-c", "tty; test -t 2 && echo yes", terminal=True, options=INTERACTIVE, size=(40, 100)
        )
        said = await read_all(streams)
        assert said == {1: b"/dev/pts/0\r\nyes\r\n", 2: b""}
        await streams.close()

    lab.run(story())


def test_a_terminal_has_its_size_and_it_changes(lab: RuntimeLab) -> None:
    async def story() -> None:
        streams = await attached(lab, "sh", "-c", SIZES, terminal=True, options=INTERACTIVE, size=(40, 100))
        assert await read_until(streams, b"\n") == b"40 100\r\n"
        await lab.monitor.resize("c1", 50, 132)
        await read_until(streams, b"50 132")
        await lab.monitor.resize("c1", 100_000, 20)  # conmon drops more than a thousand
        await read_until(streams, b"1000 20")
        await streams.close()

    lab.run(story())


def test_control_characters(lab: RuntimeLab) -> None:
    """Ctrl-C interrupts the foreground, Ctrl-D ends a line discipline's input."""

    async def story() -> None:
        script = "trap 'echo interrupted' INT; cat; cat; echo done"
        streams = await attached(lab, "sh", "-c", script, terminal=True, options=INTERACTIVE)
        await streams.write(b"x\n")
        await read_until(streams, b"x\r\nx\r\n")  # the terminal's echo, and cat's
        await streams.write(b"\x03")
        await read_until(streams, b"interrupted")
        await streams.write(b"\x04")
        await read_until(streams, b"done")
        await streams.close()
        assert await lab.monitor.wait_exit("c1") == 0

    lab.run(story())


def test_the_end_of_a_client_does_not_end_a_terminal(lab: RuntimeLab) -> None:
    async def story() -> None:
        streams = await attached(lab, "sh", "-c", "echo up; cat", terminal=True, options=INTERACTIVE)
        await read_until(streams, b"up")
        await streams.close_stdin()
        await streams.close()
        again = await lab.attach("c1")
        await again.write(b"still\n")
        await read_until(again, b"still")
        await again.close()

    lab.run(story())


def test_resize_of_one_that_does_not_run(lab: RuntimeLab) -> None:
    async def story() -> None:
        await lab.start("c1", "true")
        await lab.monitor.wait_exit("c1")
        with pytest.raises(OSError, match=r"ctl|No such device"):
            await lab.monitor.resize("c1", 10, 10)

    lab.run(story())


def test_a_deep_run_directory(lab: RuntimeLab) -> None:
    """Socket addresses end after 108 bytes; directories do not."""

    async def story() -> None:
        await lab.move(lab.folder / ("d" * 100) / ("e" * 100))
        streams = await attached(lab, "sh", "-c", "tty; cat", terminal=True, options=INTERACTIVE)
        await streams.write(b"hello\n")
        await read_until(streams, b"hello")
        await streams.close()
        process = await lab.exec("c1", "echo", "deep")
        assert (await read_all(process.streams))[1] == b"deep\n"
        assert await process.wait() == 0
        await process.streams.close()

    lab.run(story())
