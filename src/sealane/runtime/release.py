"""Letting a created container run: what ``runc start`` does, without starting another runc for it.

A container that runc has created waits in open(2) of a fifo, ``exec.fifo`` in runc's state directory: opening it for
reading lets it go, it writes one byte and executes its command. runc tells "created" from "running" by the fifo's being
there, so it is removed afterwards. That takes a tenth of a millisecond instead of six. (crun's fifo works the other way
round, and crun is quick: it is asked.)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sealane.runtime.readiness import readable

_FIFO: Final = "exec.fifo"
#: How often it is looked whether somebody has released the container before us.
_LOOK_S: Final = 0.1


async def release(state_dir: Path, waits: Callable[[], bool]) -> bool:
    """Release the container whose runc state is in *state_dir*. False when it does not wait there, or died waiting.

    *waits* says whether the process is still the runtime's. An engine that was killed after it had opened the fifo, and
    before it removed it, has released the container: nobody will ever write again. Waits without end for a container
    that never comes to its fifo: the caller bounds it by the container's life.
    """
    path = state_dir / _FIFO
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # without a writer it is not readable until one has come; read at once, it would say "end"
        while not await _readable_soon(fd):
            if not waits():
                path.unlink(missing_ok=True)
                return True
        said = os.read(fd, 1)
    finally:
        os.close(fd)
    if not said:
        return False
    path.unlink(missing_ok=True)
    return True


async def _readable_soon(fd: int) -> bool:
    try:
        async with asyncio.timeout(_LOOK_S):
            await readable(fd)
    except TimeoutError:
        return False
    return True
