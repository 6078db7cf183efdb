"""Reading a request's body from a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from kernel.image.lab import body, run
from sealane.image.threads import BodyReader, Stopped, in_thread


def everything(reader: BodyReader, size: int) -> bytes:
    return b"".join(iter(lambda: reader.read(size), b""))


@pytest.mark.parametrize(("length", "step", "size"), [(0, 1, 10), (5, 2, 3), (3_000_000, 40_000, 70_000), (9, 9, 100)])
def test_every_byte_comes_in_order(length: int, step: int, size: int) -> None:
    data = bytes(number * 7 % 256 for number in range(length))

    async def scene() -> tuple[bytes, bytes]:
        async with BodyReader(body(data, step)) as reader:
            return await in_thread(lambda _: (everything(reader, size), reader.read(size)), "load")

    assert run(scene()) == (data, b"")


def test_what_the_body_raises_comes_after_what_it_gave() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ConnectionResetError("the client has gone")

    def read(reader: BodyReader) -> bytes:
        first = reader.read(10)
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                reader.read(10)
        return first

    async def scene() -> bytes:
        async with BodyReader(broken()) as reader:
            return await in_thread(lambda _: read(reader), "load")

    assert run(scene()) == b"abc"


def test_it_is_not_received_faster_than_it_is_read() -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1 << 16
            yield bytes(1 << 16)
            await asyncio.sleep(0)

    async def scene() -> None:
        async with BodyReader(endless()) as reader:
            for _ in range(1000):
                await asyncio.sleep(0)
            assert given <= 2 << 20
            await in_thread(lambda _: reader.read(1), "load")

    run(scene())


def test_a_reader_of_a_stalled_client_is_woken_when_its_owner_is_cancelled() -> None:
    waiting = threading.Event()
    seen: list[type[BaseException]] = []

    async def stalled() -> AsyncIterator[bytes]:
        waiting.set()
        await asyncio.Event().wait()
        yield b""

    def read(reader: BodyReader) -> None:
        try:
            reader.read(1)
        except BaseException as error:
            seen.append(type(error))
            raise

    async def own() -> None:
        async with BodyReader(stalled()) as reader:
            await in_thread(lambda _: read(reader), "load", on_stop=reader.close)

    async def scene() -> None:
        owner = asyncio.ensure_future(own())
        await asyncio.to_thread(waiting.wait, 10)
        owner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await owner

    run(scene())
    assert seen == [Stopped]


def test_a_failure_inside_comes_out_as_it_is() -> None:
    async def scene() -> None:
        async with BodyReader(body(b"x" * 5_000_000)):
            raise ValueError("hostile")

    with pytest.raises(ValueError, match="hostile"):
        run(scene())
