"""Starting and ending the engine's process and its helpers, by pid file and by the peers of their sockets.

Layout of the run directory, as far as it matters here::

    <run-dir>/sealaned.pid    the engine's pid
    <run-dir>/dns.sock        the resolver's control socket (it outlives the engine)
    <run-dir>/relay.sock      the relay's control socket, when something needs the relay
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time

from sealane.cli.failures import Failure
from sealane.client.address import parse
from sealane.client.connection import Connection
from sealane.errors import SealaneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_POLL: Final = 0.02  # seconds between two looks at a socket that is not there yet
_HELPERS: Final = (("Resolver", "dns.sock"), ("Relay", "relay.sock"))
_LOG_TAIL: Final = 2000


def running(run_dir: str) -> int:
    """The pid of the engine of that run directory, 0 when none is running (a stale pid file does not count)."""
    try:
        with open(os.path.join(run_dir, "sealaned.pid"), encoding="ascii") as file:
            pid = int(file.read().strip() or "0")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return pid if b"sealane" in file.read() else 0
    except (OSError, ValueError):
        return 0


def start(options: list[str], *, run_dir: str, log: str, address: str, seconds: int) -> int:
    """Start the engine in a session of its own and wait until it answers; returns its pid.

    Raises Failure with the end of its log when it ends before, or does not answer in time.
    """
    os.makedirs(run_dir, exist_ok=True)
    program = os.path.join(os.path.dirname(sys.executable), "sealaned")
    command = [program] if os.access(program, os.X_OK) else [sys.executable, "-m", "sealane.daemon"]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failure(
                f"the engine ended at once (exit code {process.returncode}); its log {log} says:\n{_tail(log)}"
            )
        if _answers(address):
            return process.pid
        time.sleep(_POLL)
    process.terminate()
    raise Failure(f"the engine did not answer on {address} within {seconds} s; its log {log} says:\n{_tail(log)}")


def _answers(address: str) -> bool:
    connection = Connection(parse(address))
    try:
        return connection.request("GET", "/_ping", {}).status == 200
    except (SealaneError, OSError):
        return False
    finally:
        connection.close()


def _tail(log: str) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - _LOG_TAIL))
        return file.read().decode("utf-8", "replace").rstrip()


def stop(pid: int, seconds: int) -> None:
    """SIGTERM, and SIGKILL when it has not ended in time. A process that is gone already is fine."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not _ended(handle, seconds):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            _ended(handle, seconds)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _ended(handle: int, seconds: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def helpers(run_dir: str) -> list[tuple[str, int]]:
    """(name, pid) of the helpers that are running: whoever listens on their sockets."""
    found = []
    for name, file in _HELPERS:
        pid = _listener(os.path.join(run_dir, file))
        if pid:
            found.append((name, pid))
    return found


def _listener(where: str) -> int:
    """The pid of the process that listens on a Unix socket, 0 for none (SO_PEERCRED, socket(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(where)
            return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
        except OSError:
            return 0
