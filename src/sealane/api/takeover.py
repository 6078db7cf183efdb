"""What happens on a connection that has left HTTP: a container's standard streams in both directions.

The rules, which are Docker's:

* what the client sends is standard input; when it stops sending (half-close) the process's input ends, and output
  still flows to its own end;
* output comes in frames that name the stream, or as it is when the process has a terminal;
* on a terminal the detach keys end the conversation and leave the process alone;
* a client that vanishes is a client that detached (and an input that ends with its client has ended).

Each side waits for the other: nobody's output is kept in memory because somebody reads slowly.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from sealane.api.detach import DetachFilter
from sealane.api.duplex import Duplex
from sealane.api.frames import frame
from sealane.errors import SealaneError

log: Final = logging.getLogger(__name__)

#: Seconds for the last input of a client that is gone already: its process may not be taking any.
LAST_INPUT_S: Final = 2.0

Conversation = Callable[[Duplex], Awaitable[None]]


class Session(Protocol):
    """The streams of one container or exec (the engine's AttachSession)."""

    @property
    def tty(self) -> bool: ...
    async def read(self) -> tuple[int, bytes] | None: ...
    async def write(self, data: bytes, /) -> None: ...
    async def close_stdin(self) -> None: ...
    async def close(self) -> None: ...


class _InputEnd(enum.Enum):
    FINISHED = "the client said all it had to say"
    DETACH = "the client wants to leave, or has left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A conversation with *session*; call it with the connection. Closes the session, never the container.

    ``stdin`` is whether the client's bytes are meant for the process at all. ``end_stdin`` says what a half-close
    means: the end of the process's input, or (Docker, for a container whose input stays open) a detach.
    """

    session: Session
    framed: bool
    stdin: bool
    end_stdin: bool
    detach_keys: bytes = b""

    async def __call__(self, duplex: Duplex) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                show = group.create_task(self._show(duplex))
                feed = group.create_task(self._feed(duplex))
                gone = group.create_task(duplex.wait_gone())
                await asyncio.wait((show, feed, gone), return_when=asyncio.FIRST_COMPLETED)
                if feed.done() and not feed.cancelled() and feed.result() is _InputEnd.FINISHED:
                    await asyncio.wait((show, gone), return_when=asyncio.FIRST_COMPLETED)
                elif gone.done():
                    await asyncio.wait((feed,), timeout=LAST_INPUT_S)  # what it sent before it left still counts
                for task in (show, feed, gone):
                    task.cancel()
        finally:
            await self.session.close()

    async def _show(self, duplex: Duplex) -> None:
        """Output to the client, until it ends or the client is gone."""
        try:
            while (piece := await self.session.read()) is not None:
                stream, data = piece
                duplex.write(frame(stream, data) if self.framed else data)
                await duplex.drain()
        except (OSError, SealaneError) as error:
            log.debug("attach: output ended: %s", error)

    async def _feed(self, duplex: Duplex) -> _InputEnd:
        """The client's bytes to the process, until the client stops sending, leaves, or types the detach keys."""
        keys = DetachFilter(self.detach_keys)
        listening = self.stdin
        while data := await duplex.read():
            if not listening:
                continue
            passed, detach = keys.feed(data)
            listening = await self._write(passed)
            if detach:
                return _InputEnd.DETACH
        if listening:
            listening = await self._write(keys.flush())
        if self.stdin and not self.end_stdin:
            return _InputEnd.DETACH
        if self.stdin and not self.session.tty:  # a terminal has no end of input
            await self._end_stdin()
        return _InputEnd.DETACH if duplex.gone else _InputEnd.FINISHED

    async def _write(self, data: bytes) -> bool:
        """False once the process takes no more input; its output still matters."""
        if not data:
            return True
        try:
            await self.session.write(data)
        except (OSError, SealaneError) as error:
            log.debug("attach: input ended: %s", error)
            return False
        return True

    async def _end_stdin(self) -> None:
        try:
            await self.session.close_stdin()
        except (OSError, SealaneError) as error:
            log.debug("attach: cannot end the input: %s", error)


@dataclass(frozen=True, slots=True)
class LastWords:
    """A conversation that only says *text* on standard error: an exec that could not be started."""

    text: str
    framed: bool

    async def __call__(self, duplex: Duplex) -> None:
        data = self.text.encode() + b"\r\n"
        duplex.write(frame(2, data) if self.framed else data)
