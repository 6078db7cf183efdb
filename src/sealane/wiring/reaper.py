"""Takes links and namespaces away in the background, in moments when nobody asks for anything else.

The kernel needs 20 to 40 ms to delete a link or a namespace with links, and holds the lock of all link operations for
most of that time: a network that is created right after one was removed would wait for it. So the dead are handed over
here, already down, without addresses and out of the firewall, and go when the fabric has been quiet for a moment
(``quiet`` seconds), or at the latest after ``patience`` seconds.

One thread, one netlink socket of its own. A namespace is held by an fd alone, so the kernel takes it away by itself
when the process dies. A link stays then; it carries our mark, and the next ``Fabric.repair`` deletes it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from sealane.linux.netlink.socket import Rtnl
from sealane.network.topology import HOST, LinkKey
from sealane.wiring.apply import GONE


class Reaper:
    """*on_failure* is told of links that the kernel would not delete. The thread starts with the first burial."""

    def __init__(
        self,
        open_rtnl: Callable[[], Rtnl],
        on_failure: Callable[[LinkKey, OSError], None],
        quiet: float = 0.1,
        patience: float = 3.0,
    ) -> None:
        self._open = open_rtnl
        self._on_failure = on_failure
        self._quiet = quiet
        self._patience = patience
        self._changed = threading.Condition()
        self._links: deque[tuple[float, LinkKey]] = deque()
        self._namespaces: deque[tuple[float, int]] = deque()
        self._going: LinkKey | None = None
        self._last_call = 0.0
        self._urgent = 0
        self._closing = False
        self._thread: threading.Thread | None = None

    def touch(self) -> None:
        """Somebody uses the fabric: not now."""
        self._last_call = time.monotonic()

    def bury(self, link: LinkKey) -> None:
        """Delete *link* soon, in the host's or another namespace."""
        with self._changed:
            self._links.append((time.monotonic(), link))
            self._awake()

    def bury_namespace(self, fd: int) -> None:
        """Close *fd* soon; it is the last thing that holds a namespace."""
        with self._changed:
            self._namespaces.append((time.monotonic(), fd))
            self._awake()

    def wait_for(self, link: LinkKey) -> None:
        """Return when *link* is not, or no longer, to be deleted; hurries."""
        with self._changed:
            if not self._holds(link):
                return
            self._urgent += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._holds(link))
            self._urgent -= 1

    def close(self) -> None:
        """Takes away what is left, at once. Idempotent."""
        with self._changed:
            self._closing = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _awake(self) -> None:
        if self._thread is None:
            self._closing = False
            self._thread = threading.Thread(target=self._work, name="reaper", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _holds(self, link: LinkKey) -> bool:
        return self._going == link or any(link == name for _, name in self._links)

    def _work(self) -> None:
        with self._open() as rtnl:
            while self._wait():
                self._namespaces_go()
                self._next_link_goes(rtnl)

    def _wait(self) -> bool:
        """Sleep until something may go; False when there is nothing left and the reaper closes."""
        with self._changed:
            while True:
                oldest = min((queue[0][0] for queue in (self._links, self._namespaces) if queue), default=None)
                if oldest is None:
                    if self._closing:
                        return False
                    self._changed.wait()
                    continue
                now = time.monotonic()
                due = min(self._last_call + self._quiet, oldest + self._patience)
                if self._closing or self._urgent or now >= due:
                    return True
                self._changed.wait(due - now)

    def _namespaces_go(self) -> None:
        """All at once: the kernel takes a batch away in the time of one."""
        with self._changed:
            fds = [fd for _, fd in self._namespaces]
            self._namespaces.clear()
        for fd in fds:
            os.close(fd)

    def _next_link_goes(self, rtnl: Rtnl) -> None:
        with self._changed:
            if not self._links:
                return
            _, self._going = self._links.popleft()
            link = self._going
        try:
            if link.ns == HOST:
                rtnl.del_link(link.name)
            else:
                with Rtnl.open_in(Path(link.ns)) as inside:
                    inside.del_link(link.name)
        except OSError as error:
            if error.errno not in GONE:
                self._on_failure(link, error)
        finally:
            with self._changed:
                self._going = None
                self._changed.notify_all()
