"""A conmon process: started by us, or found again after a restart of the engine; its end, noticed through a pidfd."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_NAME: Final = "conmon"
_HIGHEST_PID: Final = 1 << 22


class Conmon:
    """One conmon. ``ended`` is set when it has gone. Belongs to the event loop in which it was made.

    conmon outlives the engine on purpose: ``close`` lets go of it and leaves it running.
    """

    def __init__(self, pid: int, pidfd: int, process: subprocess.Popen[bytes] | None) -> None:
        self.pid = pid
        self.ended = asyncio.Event()
        self._pidfd = pidfd
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pidfd, self._on_end)

    @classmethod
    def start(cls, command: Sequence[str], folder: Path, fds: Sequence[int], environment: Mapping[str, str]) -> Conmon:
        """Run *command* in *folder* with only *fds* open besides its standard streams. About a millisecond."""
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return cls(process.pid, os.pidfd_open(process.pid), process)

    @classmethod
    def find(cls, pid: int, identifier: str) -> Conmon | None:
        """The conmon of *identifier*, if *pid* still is it."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return None
        # looked at after the pidfd is held: the number cannot be given to another process unnoticed
        if not _is_conmon(pid, identifier):
            os.close(pidfd)
            return None
        return cls(pid, pidfd, None)

    def _on_end(self) -> None:
        self._let_go()
        if self._process is not None:
            self._process.poll()
        self.ended.set()

    def _let_go(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def kill(self, number: int) -> None:
        """Signal conmon itself. Does nothing when it has ended."""
        if not self.ended.is_set() and self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                pass

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._let_go()
        if self._process is not None and self._process.returncode is None:
            self._process.returncode = 0  # it is meant to go on: no warning about a child that was left


def kill_conmon(pid: int, identifier: str) -> None:
    """Kill the conmon of *identifier*, if *pid* still is it, and wait until it has gone. Blocking."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _is_conmon(pid, identifier):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            gone = select.poll()
            gone.register(pidfd, select.POLLIN)
            gone.poll()
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def read_pid(path: Path) -> int:
    """The pid in a file, 0 when there is none: the file may be absent, empty or cut off."""
    try:
        pid = int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0
    return pid if 0 < pid <= _HIGHEST_PID else 0


def _is_conmon(pid: int, identifier: str) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.path.basename(arguments[0]) == _NAME.encode() and f"--cuuid={identifier}".encode() in arguments
