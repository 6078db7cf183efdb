"""One container in memory: its two records, its locks and those who wait for it.

``lock`` is held by the verb that is changing the container's life (start, stop, remove, …); ``wiring`` by whoever
changes its
network, which a sudden exit does too, while a verb may be waiting for that very exit under ``lock``. Always ``lock``
first.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from sealane.engine.model import ContainerState, ExitStatus, Status
from sealane.values import ContainerId

if TYPE_CHECKING:
    from sealane.engine.records import ContainerLive, ContainerRecord
    from sealane.engine.sessions import AttachSession


class Container:
    """Mutable holder of immutable records; only the engine's managers change it, after the commit."""

    __slots__ = (
        "_exit_waiters",
        "exec_ids",
        "farewell",
        "finished",
        "kept",
        "live",
        "lock",
        "record",
        "removal",
        "removing",
        "restart_delay_ns",
        "sessions",
        "wiring",
    )

    def __init__(self, record: ContainerRecord, live: ContainerLive) -> None:
        self.record = record
        self.live = live
        self.lock = asyncio.Lock()
        self.wiring = asyncio.Lock()
        self.finished = asyncio.Event()  # set while no process of it runs
        self.removal = asyncio.Event()  # set when its record was deleted
        self.farewell = asyncio.Event()  # set when its files have gone too: those who wait for its removal are told
        self.removing = False
        self.kept = False  # its next end does not remove it, although it is to be removed automatically
        self.restart_delay_ns = 0  # the last pause of the restart policy, 0 after a start by hand
        self.sessions: list[AttachSession] = []  # attached before the start, waiting for it
        self.exec_ids: list[str] = []
        self._exit_waiters: list[asyncio.Future[ExitStatus]] = []
        if not self.running:
            self.finished.set()

    @property
    def id(self) -> ContainerId:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def state(self) -> ContainerState:
        return self.live.state

    @property
    def running(self) -> bool:
        """True while a process of it exists, paused or not."""
        return self.live.state.status in (Status.RUNNING, Status.PAUSED)

    @property
    def gone(self) -> bool:
        """True once it was removed: nothing may be done with it any more."""
        return self.removal.is_set()

    def with_state(self, **changes: object) -> ContainerLive:
        """The live record with other values of its state; nothing is changed yet."""
        return replace(self.live, state=replace(self.live.state, **changes))  # type: ignore[arg-type]

    def next_exit(self) -> asyncio.Future[ExitStatus]:
        """A future that the next exit of the container completes."""
        future: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._exit_waiters.append(future)
        return future

    def tell_exit(self, status: ExitStatus) -> None:
        """Complete everybody's ``next_exit``."""
        waiters, self._exit_waiters = self._exit_waiters, []
        for future in waiters:
            if not future.done():
                future.set_result(status)
