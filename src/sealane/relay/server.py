"""``sealane-relay``: one process for all published ports that NAT cannot carry, and for ports that are only held.

    sealane-relay --socket PATH [--udp-idle SECONDS] [--linger SECONDS] [--detach]

The engine starts it when the first such port is published; it outlives the engine, and ends by itself when it has held
nothing for ``--linger`` seconds. ``PATH.lock`` is locked as long as it lives: one process per socket path. With
``--detach`` the command returns 0 when the process behind it serves, 3 when another one holds the lock already.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sealane.linux.fds import directory, short_socket_path
from sealane.relay.datagrams import DatagramListener
from sealane.relay.messages import EXIT_HELD, Json, Listener, listener_from_json, listener_to_json
from sealane.relay.sockets import open_listener
from sealane.relay.streams import StreamListener
from sealane.values import Transport

EXIT_USAGE: Final = 2
UDP_IDLE_S: Final = 90.0
LINGER_S: Final = 60.0

_Open = socket.socket | StreamListener | DatagramListener


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command line."""

    socket: Path
    udp_idle_s: float = UDP_IDLE_S
    linger_s: float = LINGER_S
    detach: bool = False


class Relay:
    """Everything that is listened on, by the engine's keys."""

    def __init__(self, udp_idle_s: float) -> None:
        self._udp_idle_s = udp_idle_s
        self._open: dict[str, tuple[Listener, _Open]] = {}

    @property
    def listeners(self) -> dict[str, Listener]:
        """What is held now."""
        return {key: listener for key, (listener, _) in self._open.items()}

    async def put(self, key: str, listener: Listener) -> None:
        """Listen. Raises OSError when that cannot be; what *key* had at another place then stays.

        At the same place a new target takes effect for new connections. A holder becomes a relay, and the other way
        round, by closing and opening: when another program takes the port in between, *key* has nothing any more.
        """
        before = self._open.get(key)
        if before is not None and before[0].same_place(listener):
            if before[0] == listener:
                return
            if self._retarget(before[1], listener):
                self._open[key] = (listener, before[1])
                return
            self.drop(key)
        opened = await self._listen(listener)
        self.drop(key)
        self._open[key] = (listener, opened)

    async def _listen(self, listener: Listener) -> _Open:
        sock = open_listener(listener)
        if listener.target is None:
            return sock
        if listener.transport is Transport.UDP:
            return DatagramListener(sock, listener.target, self._udp_idle_s)
        opened = StreamListener(sock, listener.target)
        await opened.start()
        return opened

    def drop(self, key: str) -> None:
        """Stop listening, and end what came through it. Idempotent."""
        held = self._open.pop(key, None)
        if held is not None:
            held[1].close()

    def close(self) -> None:
        """Drop everything."""
        for key in list(self._open):
            self.drop(key)

    def _retarget(self, opened: _Open, listener: Listener) -> bool:
        if isinstance(opened, socket.socket) or listener.target is None:
            return False
        opened.retarget(listener.target)
        return True


class Control:
    """The control socket: serves the engine's requests until ``ended`` is set."""

    def __init__(self, relay: Relay, linger_s: float) -> None:
        self.ended = asyncio.Event()
        self._relay = relay
        self._linger_s = linger_s
        self._changing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._settle()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of an engine. A line that is no message ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        try:
            while line := await reader.readline():
                reply = await self._do(json.loads(line))
                writer.write(json.dumps(reply, separators=(",", ":")).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TypeError):
            pass
        finally:
            del self._serving[task]
            writer.close()

    async def close(self) -> None:
        """End all connections after what was to be said on them, and wait until they have ended."""
        for writer in self._serving.values():
            writer.close()
        if self._serving:
            await asyncio.wait(list(self._serving))

    async def _do(self, message: Json) -> Json:
        try:
            async with self._changing:
                return await self._run(message)
        except OSError as error:
            return {"error": str(error), "errno": error.errno or 0}
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"{type(error).__name__}: {error}", "errno": 0}
        finally:
            self._settle()

    async def _run(self, message: Json) -> Json:
        match message["do"]:
            case "hello":
                return {"pid": os.getpid()}
            case "put":
                await self._relay.put(message["key"], listener_from_json(message["listener"]))
            case "drop":
                self._relay.drop(message["key"])
            case "held":
                held = self._relay.listeners
                return {"listeners": {key: listener_to_json(listener) for key, listener in held.items()}}
            case "shutdown":
                self.ended.set()
            case verb:
                raise ValueError(f"unknown verb {verb!r}")
        return {}

    def _settle(self) -> None:
        """Start the last minute when nothing is held, and stop it when something is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._relay.listeners:
            self._timer = asyncio.get_running_loop().call_later(self._linger_s, self.ended.set)


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Read the command line. Raises ValueError."""
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word == "--detach":
            given[word] = "yes"
        elif word in ("--socket", "--udp-idle", "--linger"):
            given[word] = next(rest, "")
        else:
            raise ValueError(f"unknown argument {word!r}")
    if not given.get("--socket"):
        raise ValueError("--socket PATH is missing")
    return Arguments(
        Path(given["--socket"]).absolute(),
        float(given.get("--udp-idle", UDP_IDLE_S)),
        float(given.get("--linger", LINGER_S)),
        "--detach" in given,
    )


def main(words: Sequence[str] | None = None) -> int:
    """The console script."""
    try:
        arguments = parse_arguments(sys.argv[1:] if words is None else words)
    except ValueError as error:
        print(f"sealane-relay: {error}", file=sys.stderr)
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
            print(f"sealane-relay: another process serves {arguments.socket} already", file=sys.stderr)
            _say(ready, EXIT_HELD)
            return EXIT_HELD
        try:
            asyncio.run(_serve(arguments, ready))
        finally:
            arguments.socket.unlink(missing_ok=True)
    return 0


async def _serve(arguments: Arguments, ready: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    relay = Relay(arguments.udp_idle_s)
    control = Control(relay, arguments.linger_s)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, control.ended.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    server = await asyncio.start_unix_server(control.serve, sock=_listen(arguments.socket))
    _say(ready, 0)
    await control.ended.wait()
    server.close()
    arguments.socket.unlink(missing_ok=True)  # before the connections end: whoever waits for that finds a clean place
    relay.close()
    await control.close()


def _listen(path: Path) -> socket.socket:
    """The control socket, for root only."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with directory(path.parent) as folder:
            sock.bind(short_socket_path(folder, path.name))
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


if __name__ == "__main__":
    sys.exit(main())
