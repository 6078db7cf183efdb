"""Deletes links in the background, because the kernel takes 20 to 40 ms for each.

A link handed over is already without addresses, down, and out of the firewall, so nobody meets it any more. One thread,
one netlink socket of its own. A process that dies in between leaves a link with our mark, which the next
``Fabric.repair`` deletes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from sealane.linux.netlink.socket import Rtnl
from sealane.values import IfName
from sealane.wiring.apply import GONE


class Reaper:
    """*on_failure* is told of links that the kernel would not delete. The thread starts with the first link."""

    def __init__(self, open_rtnl: Callable[[], Rtnl], on_failure: Callable[[IfName, OSError], None]) -> None:
        self._open = open_rtnl
        self._on_failure = on_failure
        self._queue: queue.SimpleQueue[IfName | None] = queue.SimpleQueue()
        self._pending: dict[IfName, int] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def bury(self, link: IfName) -> None:
        """Delete *link* soon."""
        with self._changed:
            self._pending[link] = self._pending.get(link, 0) + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="reaper", daemon=True)
                self._thread.start()
        self._queue.put(link)

    def wait_for(self, link: IfName | None = None) -> None:
        """Return when *link*, or everything when it is None, has been deleted."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pending if link is None else link not in self._pending)

    def close(self) -> None:
        """Waits until everything is deleted. Idempotent."""
        with self._changed:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _work(self) -> None:
        with self._open() as rtnl:
            while (link := self._queue.get()) is not None:
                try:
                    rtnl.del_link(link)
                except OSError as error:
                    if error.errno not in GONE:
                        self._on_failure(link, error)
                finally:
                    self._done(link)

    def _done(self, link: IfName) -> None:
        with self._changed:
            self._pending[link] -= 1
            if not self._pending[link]:
                del self._pending[link]
            self._changed.notify_all()
