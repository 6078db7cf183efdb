"""A registry of the test's own that sends the first bytes of one layer and then waits for a word, beside the test."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

from kernel.image.fake import FakeRegistry
from support.registry import BuiltImage


class StallingRegistry:
    """Serves *image* as ``HOST/team/app:1``; of *blob* only *first* bytes come before `release`."""

    def __init__(self, image: BuiltImage, blob: str, first: int) -> None:
        self._fake = FakeRegistry(pauses={blob: first})
        self._fake.add("team/app", "1", image)
        self._blob = blob
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), name="registry")

    async def _serve(self) -> None:
        self._fake.gates[self._blob] = asyncio.Event()
        async with self._fake.serving():
            self._ready.set()
            await self._over.wait()

    def release(self) -> None:
        """The rest may come, now and later."""
        self._loop.call_soon_threadsafe(self._fake.gates[self._blob].set)

    @property
    def name(self) -> str:
        return f"{self._fake.host}/team/app:1"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20), "the registry does not start"
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
