"""``sealane-dns``: the resolver process. It is started by the engine and outlives it.

    sealane-dns --socket PATH [--resolv-conf PATH] [--ttl SECONDS] [--detach]

It holds all of its state in memory and takes it from the control socket (``messages``). ``PATH.lock`` is locked for as
long as the process lives, so there is one process per socket path, and a socket file left by a killed one is replaced.
With ``--detach`` the command returns 0 when the process behind it serves, 3 when another one holds the lock already.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealane.dns.answer import Directory
from sealane.dns.control import ControlServer, Verbs
from sealane.dns.forward import ATTEMPT_S, Forwarder
from sealane.dns.hosts import HostServers
from sealane.dns.loop import Loop
from sealane.dns.messages import EXIT_HELD
from sealane.dns.resolver import Resolver
from sealane.linux.fds import directory, short_socket_path

EXIT_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command line."""

    socket: Path
    resolv_conf: Path = Path("/etc/resolv.conf")
    ttl: int = 1
    attempt_s: float = ATTEMPT_S
    detach: bool = False


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Read the command line by hand: argparse alone would be a tenth of this process. Raises ValueError."""
    given: dict[str, str] = {}
    detach = False
    rest = iter(words)
    for word in rest:
        if word == "--detach":
            detach = True
        elif word in ("--socket", "--resolv-conf", "--ttl", "--attempt-seconds"):
            given[word] = next(rest, "")
        else:
            raise ValueError(f"unknown argument {word!r}")
    if not given.get("--socket"):
        raise ValueError("--socket PATH is missing")
    return Arguments(
        socket=Path(given["--socket"]).absolute(),
        resolv_conf=Path(given.get("--resolv-conf", "/etc/resolv.conf")),
        ttl=int(given.get("--ttl", "1")),
        attempt_s=float(given.get("--attempt-seconds", ATTEMPT_S)),
        detach=detach,
    )


def main(words: Sequence[str] | None = None) -> int:
    """The console script."""
    try:
        arguments = parse_arguments(sys.argv[1:] if words is None else words)
    except ValueError as error:
        print(f"sealane-dns: {error}", file=sys.stderr)
        return EXIT_USAGE
    ready = -1
    if arguments.detach:
        parent_end, ready = os.pipe()
        if os.fork():
            os.close(ready)
            said = os.read(parent_end, 1)  # nothing: the child ended before it could serve
            return said[0] if said else 1
        os.close(parent_end)
        os.setsid()
        os.chdir("/")
    return _hold_and_serve(arguments, ready)


def _hold_and_serve(arguments: Arguments, ready: int) -> int:
    """Serve while the lock is ours. *ready*, when not -1, gets one byte: the exit code of the command that waits."""
    with open(f"{arguments.socket}.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"sealane-dns: another process serves {arguments.socket} already", file=sys.stderr)
            _say(ready, EXIT_HELD)
            return EXIT_HELD
        try:
            _serve(arguments, ready)
        finally:
            arguments.socket.unlink(missing_ok=True)
    return 0


def _serve(arguments: Arguments, ready: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop = Loop(time.monotonic)
    directory = Directory()
    forwarder = Forwarder(loop, HostServers(arguments.resolv_conf), arguments.attempt_s)
    resolver = Resolver(loop, directory, forwarder, arguments.ttl)
    control = ControlServer(loop, listen(arguments.socket), Verbs(loop, resolver, directory))
    _say(ready, 0)
    try:
        loop.run()
    finally:
        arguments.socket.unlink(missing_ok=True)  # before the connections end: whoever waits finds a clean place
        control.close()
        for container in list(resolver.guests):
            resolver.close(container)
        loop.close()


def listen(path: Path) -> socket.socket:
    """The control socket, for root only."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with directory(path.parent) as folder:
            sock.bind(short_socket_path(folder, path.name))
        sock.listen(16)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


def _say(ready: int, code: int) -> None:
    if ready >= 0:
        os.write(ready, bytes([code]))
        os.close(ready)


def _end(_signal: int, _frame: object) -> None:
    raise SystemExit(0)  # the loop catches Exception only


if __name__ == "__main__":
    sys.exit(main())
