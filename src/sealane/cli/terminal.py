"""The user's terminal: raw mode with certain restoration, its size, and signals as something to poll for.

Lifetime: both classes are context managers; leaving them puts everything back, whatever happened inside.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any


def size(fd: int = 0) -> tuple[int, int] | None:
    """(height, width) of the terminal behind *fd* in characters, or None when it is none."""
    for candidate in (fd, 1, 2):
        try:
            columns, lines = os.get_terminal_size(candidate)
        except OSError:
            continue
        if columns and lines:
            return lines, columns
    return None


class RawMode:
    """The terminal of *fd* hands every key on as it is typed, Ctrl-C included. Without a terminal: does nothing."""

    __slots__ = ("_fd", "_saved")

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._saved: list[Any] | None = None

    def __enter__(self) -> RawMode:
        import termios
        import tty

        if os.isatty(self._fd):
            self._saved = termios.tcgetattr(self._fd)
            tty.setraw(self._fd, termios.TCSANOW)
        return self

    def restore(self) -> None:
        """Back to the mode before; harmless when called again."""
        if self._saved is not None:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
            self._saved = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()


class SignalPipe:
    """Caught signals become bytes on a pipe, so that one loop sees them beside sockets and keys."""

    __slots__ = ("_before", "_read", "_wakeup", "_write", "numbers")

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = tuple(numbers)
        self._before: dict[int, Any] = {}
        self._read, self._write = -1, -1
        self._wakeup = -1

    def __enter__(self) -> SignalPipe:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        os.set_blocking(self._read, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in self.numbers:
            self._before[number] = signal.signal(number, _ignore)
        return self

    def fileno(self) -> int:
        return self._read

    def take(self) -> list[int]:
        """The signals that came since the last call."""
        try:
            return list(os.read(self._read, 256))
        except BlockingIOError:
            return []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)


def _ignore(number: int, frame: object) -> None:
    """The work is done by whoever polls the pipe."""
