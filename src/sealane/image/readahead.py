"""Reading ahead: one thread decompresses and hashes while another one makes files out of what came before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

_DEPTH: Final = 8


class ReadAhead:
    """Calls *produce* in a thread of its own, a few pieces ahead of whoever calls this object.

    *produce* returns b"" at the end, and must not wait for anybody: `close`, which is idempotent, waits for it. What it
    raises comes out where its piece would have come.
    """

    def __init__(self, produce: Callable[[], bytes]) -> None:
        self._produce = produce
        self._made: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()
        self._free = threading.Semaphore(_DEPTH)
        self._closed = False
        self._last: bytes | BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._free.acquire()
            if self._closed:
                return
            try:
                piece = self._produce()
            except BaseException as error:
                self._made.put(error)
                return
            self._made.put(piece)
            if not piece:
                return

    def __call__(self) -> bytes:
        """The next piece; b"" at the end, again and again."""
        found = self._last if self._last is not None else self._made.get()
        if isinstance(found, BaseException):
            self._last = found
            raise found
        if not found:
            self._last = found
        self._free.release()
        return found

    def close(self) -> None:
        self._closed = True
        self._free.release()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
