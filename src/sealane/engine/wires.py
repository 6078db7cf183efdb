"""The one thread that changes the network: verbs await, the kernel is asked in order.

``Fabric`` is synchronous; its calls take milliseconds. Running them on one thread keeps the event loop free and gives
them an order, which netlink and nft want anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from sealane.errors import Internal, SealaneError
from sealane.wiring.fabric import Fabric

P = ParamSpec("P")
T = TypeVar("T")


class Wires:
    """Owns the thread, not the fabric. ``close`` waits for what is under way."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wires")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *work* on the wiring thread. A kernel refusal comes out as Internal with the kernel's words.

        A verb that is cancelled does not leave its kernel work half done: the work runs to its end.
        """
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
        try:
            return await asyncio.shield(future)
        except SealaneError:
            raise
        except OSError as error:
            raise Internal(f"cannot change the network: {error}") from error

    def close(self) -> None:
        self._thread.shutdown(wait=True)
