"""A program on a real terminal, and somebody who reads and types.

with Terminal(["sealane", "exec", "-it", "srv1", "bash"]) as terminal:
    terminal.expect(r"# $")
    terminal.type("hostname -i\\n")
    assert "172" in terminal.expect(r"# $")
    terminal.type("exit\\n")
    assert terminal.wait() == 0

Only the standard library, for the quickstart uses it too: ``python -m support.terminal PROMPT LINE… -- COMMAND…``
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Final, Self

from support.poll import until

_TIMEOUT_S: Final = 20.0
#: What programs send to paint: CSI sequences (colours, bracketed paste, whose end goes to the line's begin) and titles.
_PAINT: Final = re.compile(r"\x1b\[\?2004l\r|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07")
#: The beginning of such a sequence, or of a line's end, whose rest comes with the next read.
_HALF: Final = re.compile(r"(?:\x1b\[\?2004l|\x1b(?:\[[0-9;?]*[ -/]*|\][^\x07]*)?|(?<!\x1b\[\?2004l)\r)\Z")


class Terminal:
    """A pseudo-terminal of 24 by 80 with a program in a session of its own. Close is idempotent."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, rows: int = 24, columns: int = 80
    ) -> None:
        self.screen = ""  # everything that was ever shown, without paint
        self.raw = ""  # the same as it came
        self._half = ""  # of a sequence
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._seen = 0  # how much of it an `expect` has returned
        self._code: int | None = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            _become(command, {**os.environ, **(env or {})})
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """What happens when somebody pulls at the window's corner."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str | bytes) -> None:
        """Send keys: ``\\n`` is Enter, ``\\x03`` is Ctrl-C."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self._fd, data) :]

    def wait_for_keys(self) -> None:
        """Wait until the program takes key by key (Ctrl-C and the like come to it as bytes)."""
        until(lambda: not termios.tcgetattr(self._fd)[3] & termios.ICANON, "the terminal is raw")

    def expect(self, pattern: str, timeout_s: float = _TIMEOUT_S) -> str:
        """Wait until *pattern* is seen in what came since the last `expect`; returns that up to the match's end.

        Raises AssertionError showing the screen when time is up or the program has ended.
        """
        wanted = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout_s
        while True:
            found = wanted.search(self.screen, self._seen)
            if found:
                text, self._seen = self.screen[self._seen : found.end()], found.end()
                return text
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{pattern!r} did not appear; the screen:\n{self.screen[-3000:]}")

    def _read(self, timeout_s: float) -> bool:
        """Take what has come, False at the end or when nothing came."""
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        text = self._decoder.decode(data)
        self.raw += text
        text = self._half + text
        half = _HALF.search(text)
        self._half = half.group() if half else ""
        self.screen += _PAINT.sub("", text.removesuffix(self._half)).replace("\r\n", "\n")
        return bool(data)

    def wait(self, timeout_s: float = _TIMEOUT_S) -> int:
        """The program's exit code (128 + signal), once it has ended; the rest of its output goes to ``screen``."""
        if self._code is not None:
            return self._code
        deadline = time.monotonic() + timeout_s
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code
                return self._code
            if time.monotonic() > deadline:
                raise AssertionError(f"the program goes on; the screen:\n{self.screen[-3000:]}")
            time.sleep(0.02)

    def close(self) -> None:
        """End the program, if it still runs, and take the terminal away."""
        if self._fd < 0:
            return
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(AssertionError):
                self.wait()
        os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _become(command: Sequence[str], env: Mapping[str, str]) -> None:
    """In the child: turn into the program, with signals as a login gives them."""
    try:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(command[0], list(command), {**env, "TERM": "xterm"})
    except OSError as error:
        os.write(2, f"{command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def play(prompt: str, lines: Sequence[str], command: Sequence[str]) -> int:
    """Run *command*, type each line when *prompt* (a regular expression) shows, print the whole screen."""
    with Terminal(command) as terminal:
        for line in lines:
            terminal.expect(prompt)
            terminal.type(f"{line}\n")
        try:
            return terminal.wait()
        finally:
            print(terminal.screen.rstrip("\n"), flush=True)


if __name__ == "__main__":
    end = sys.argv.index("--")
    raise SystemExit(play(sys.argv[1], sys.argv[2:end], sys.argv[end + 1 :]))
