"""What image tests share: stores, and a look at everything that lies in one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sealane.image.registry.download import Patience
from sealane.image.registry.pull import Progress, Puller
from sealane.image.store import ImageStore
from sealane.store.database import Database

T = TypeVar("T")

#: Where Docker Hub is in tests: a port of loopback on which nobody listens.
NO_HUB = "http://127.0.0.1:9"
QUICK = Patience(tries=3, pause_s=0.001, stall_s=20)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@dataclass
class Stores:
    root: Path
    database: Database

    def open(self) -> ImageStore:
        return ImageStore(self.root, self.database, lambda: 1_500_000_000_123_456_789)

    def puller(self, store: ImageStore, mirrors: tuple[str, ...] = (), **more: Any) -> Puller:
        return Puller(store, mirrors, **{"hub": NO_HUB, "patience": QUICK, **more})

    def files(self) -> dict[str, int]:
        """How much of everything there is on the disk."""
        return {
            name: len(os.listdir(self.root / name)) for name in ("blobs/sha256", "layers", "images", "downloads", "tmp")
        }

    @property
    def empty(self) -> bool:
        return not any(self.files().values())


@dataclass
class Steps:
    """The progress of a pull, as text."""

    seen: list[Progress] = field(default_factory=list)

    def __call__(self, step: Progress) -> None:
        self.seen.append(step)

    def of(self, layer: str) -> list[str]:
        """The states of one layer, repetitions left out."""
        states = [step.status for step in self.seen if step.id == layer]
        return [state for number, state in enumerate(states) if number == 0 or states[number - 1] != state]


async def body(
    data: bytes, step: int = 50_000, before_end: Callable[[], object] = lambda: None
) -> AsyncIterator[bytes]:
    for at in range(0, len(data), step):
        yield data[at : at + step]
    before_end()
