"""Being attached: keys to the container, its output to us, signals and window sizes along the way.

One loop polls the raw stream, standard input and the signal pipe. It never blocks in a write to the engine (the process
may not read its input until we have read its output), and it reads no more input than the engine takes.
"""

from __future__ import annotations

import os
import select
import signal
import socket

from sealane.cli.failures import Failure
from sealane.cli.keys import DetachWatch
from sealane.cli.terminal import RawMode, SignalPipe, size
from sealane.client.engine import path
from sealane.client.frames import STDERR, SYSTEM_ERROR, FrameReader
from sealane.errors import SealaneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from sealane.cli.app import App
    from sealane.client.connection import RawStream

_READ_SIZE: Final = 32 * 1024
#: What is passed on to the container's process; the window size and our own children are handled apart.
FORWARDED: Final = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGCONT,
)
_PATIENCE: Final = 3  # so many interrupts may the container ignore before we leave


class SignalDesk:
    """Reacts to caught signals: resizes the container's terminal, forwards the rest."""

    __slots__ = ("_app", "_forward_to", "_interrupts", "_resize_path", "pipe")

    def __init__(self, app: App, pipe: SignalPipe, *, resize_path: str = "", forward_to: str = "") -> None:
        """*resize_path*: the API path that resizes, empty for none; *forward_to*: the container, empty for none."""
        self._app = app
        self.pipe = pipe
        self._resize_path = resize_path
        self._forward_to = forward_to
        self._interrupts = 0

    def react(self) -> None:
        """Deal with the signals that have come."""
        for number in self.pipe.take():
            if number == signal.SIGWINCH:
                self.resize()
            elif self._forward_to:
                self._forward(number)

    def resize(self, more: int = 0) -> None:
        """Tell the engine the size of our terminal, and *more* each way; failures do not matter (it may have ended)."""
        now = size()
        if self._resize_path and now:
            self._quietly(self._resize_path, {"h": now[0] + more, "w": now[1] + more})

    def redraw(self) -> None:
        """Change the size for a moment, so that a program that runs already paints its prompt for us."""
        self.resize(1)

    def _forward(self, number: int) -> None:
        self._quietly(path("containers", self._forward_to, "kill"), {"signal": signal.Signals(number).name[3:]})
        if number in (signal.SIGINT, signal.SIGTERM):
            self._interrupts += 1
            if self._interrupts == _PATIENCE:
                raise Failure(f"\ngot {_PATIENCE} SIGTERM/SIGINTs, forcefully exiting", plain=True)

    def _quietly(self, where: str, query: dict[str, object]) -> None:
        engine = self._app.new_engine()
        try:
            engine.call("POST", where, query)
        except SealaneError:
            pass
        finally:
            engine.close()


def caught_signals(*, tty: bool, forward: bool) -> list[int]:
    """Which signals to catch for an attachment."""
    return [*([signal.SIGWINCH] if tty else []), *(FORWARDED if forward else [])]


class Attachment:
    """One raw stream joined with our standard streams."""

    __slots__ = ("_app", "_desk", "_frames", "_input_open", "_out", "_poll", "_stream", "_watch")

    def __init__(self, app: App, stream: RawStream, desk: SignalDesk, *, tty: bool, stdin: bool, keys: bytes) -> None:
        """*tty*: the stream is a terminal's (no frames). *keys*: the detach sequence, looked for on a terminal only."""
        self._app = app
        self._stream = stream
        self._desk = desk
        self._frames = None if tty else FrameReader()
        self._watch = DetachWatch(keys) if tty and app.in_is_terminal() else None
        self._input_open = stdin
        self._out = b""
        self._poll = select.poll()

    def run(self) -> bool:
        """Join the streams until the container's output ends (True) or the user detaches (False)."""
        self._poll.register(self._desk.pipe.fileno(), select.POLLIN)
        self._register()
        if self._stream.early and not self._receive():
            return True
        while True:
            for fd, events in self._poll.poll():
                if fd == self._desk.pipe.fileno():
                    self._desk.react()
                elif fd == self._stream.sock.fileno():
                    if events & select.POLLOUT:
                        self._flush()
                    if events & ~select.POLLOUT and not self._receive():
                        return True
                elif not self._type():
                    return False
            self._register()

    def _register(self) -> None:
        """Poll for what can be dealt with now: more input only when the last was taken."""
        self._poll.register(self._stream.sock.fileno(), select.POLLIN | (select.POLLOUT if self._out else 0))
        if self._input_open and not self._out:
            self._poll.register(0, select.POLLIN)
        else:
            try:
                self._poll.unregister(0)
            except KeyError:
                pass

    def _type(self) -> bool:
        """Read standard input and send it; False when the user detached."""
        try:
            data = os.read(0, _READ_SIZE)
        except OSError:  # the terminal went away
            data = b""
        if not data:
            self._input_open = False
            self._stream.close_write()
            return True
        if self._watch is not None:
            data = self._watch.feed(data)
        self._out += data
        self._flush()
        return self._watch is None or not self._watch.detached

    def _flush(self) -> None:
        if not self._out:
            return
        try:
            sent = self._stream.sock.send(self._out, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._input_open = False
            sent = len(self._out)
        self._out = self._out[sent:]

    def _receive(self) -> bool:
        """Pass on output; False at its end."""
        data = self._stream.read()
        write_output(self._app, self._frames, data)
        return bool(data)


def write_output(app: App, frames: FrameReader | None, data: bytes) -> None:
    """Write output of a container: as it is, or taken apart into standard output and standard error."""
    if frames is None:
        app.write_bytes(data)
        return
    for number, piece in frames.feed(data):
        app.write_bytes(piece, error=number in (STDERR, SYSTEM_ERROR))


def join(
    app: App,
    stream: RawStream,
    desk: SignalDesk,
    *,
    tty: bool,
    stdin: bool,
    keys: bytes,
    started: Callable[[], None] = lambda: None,
) -> bool:
    """Attach until the end (True) or until detached (False); raw mode while it lasts when both sides are terminals.

    *started* is called with the terminal already set, before the first byte is read.
    """
    raw = RawMode()
    try:
        if tty and stdin:
            raw.__enter__()
        started()
        desk.resize()
        return Attachment(app, stream, desk, tty=tty, stdin=stdin, keys=keys).run()
    finally:
        raw.restore()
        stream.close()


def wait_readable(desk: SignalDesk, source: int) -> None:
    """Wait until *source* is readable, forwarding signals meanwhile."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(desk.pipe.fileno(), select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if desk.pipe.fileno() in ready:
            desk.react()
        if source in ready:
            return
