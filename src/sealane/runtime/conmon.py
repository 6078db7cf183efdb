"""Containers' processes, each under its own conmon: created, released, joined by execs, watched, taken away.

RUN                          (the engine's run directory)
├── oci/ID/                  the OCI runtime's own state
├── exits/ID                 the exit code, written by conmon when the process has ended
└── containers/ID/           the bundle
    ├── config.json          for the runtime
    ├── pid  conmon.pid      of the container's first process, and of conmon
    ├── attach  ctl  winsz   conmon's socket and fifos
    ├── oom                  conmon saw the kernel's out-of-memory killer
    └── exec/EXEC/           process.json, pid, attach, ctl of an exec

A conmon outlives the engine: it holds the container's terminal, writes its log, and leaves the exit code in a file,
where a new engine finds it. An end is noticed by a pidfd on conmon, which goes right after that file is there; so is an
end of conmon itself, which nobody else would tell: its container is then killed, and its exit code is 255.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from sealane.errors import Internal, NotFound, SealaneError
from sealane.linux import cgroups, process
from sealane.runtime import teardown
from sealane.runtime.child import Conmon, read_pid
from sealane.runtime.failures import start_error
from sealane.runtime.launch import ExecLaunch, Launch, Programs, create_command, exec_command
from sealane.runtime.oci import OciRuntime
from sealane.runtime.release import release
from sealane.runtime.reports import ReportPipe
from sealane.runtime.spec import Json
from sealane.runtime.streams import Attached, resize

CONMON: Final = Path("/usr/bin/conmon")
#: What wait gives when the exit code is lost: conmon was killed.
LOST: Final = 255
_GO: Final = b"\0"
#: What runc calls its process in the container until it executes the command.
_RUNC_INIT: Final = "runc:[2:INIT]"
#: What conmon and the runtime make in a bundle. runc writes .pid first, and refuses to start where one is left.
_VOLATILE: Final = ("conmon.pid", "pid", ".pid", "attach", "ctl", "winsz", "oom")
#: conmon makes its terminal socket in TMPDIR and cuts a longer path off (sun_path is 108 bytes).
_LONGEST_TMPDIR: Final = 80


@dataclass(frozen=True, slots=True)
class Created:
    """A container that waits to be released."""

    pid: int
    conmon_pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended, from conmon's file: when, in ns since the epoch."""

    code: int
    at_ns: int


class ExecProcess:
    """A running exec. ``streams`` is None when it was not attached."""

    def __init__(self, pid: int, conmon: Conmon, streams: Attached | None, folder: Path, reports: ReportPipe) -> None:
        self.pid = pid
        self._conmon = conmon
        self._streams = streams
        self._folder = folder
        self._reports = reports
        self._code: int | None = None
        self._waiting = asyncio.Lock()

    @property
    def streams(self) -> Attached:
        """Its output and input. Raises Internal when the exec was started without them."""
        if self._streams is None:
            raise Internal("the exec was started detached: it has no streams")
        return self._streams

    async def wait(self) -> int:
        """The exit code, as soon as it is known; also for several who wait. Cleans up behind the process."""
        async with self._waiting:
            if self._code is None:
                report = await self._reports.next()
                self._code = LOST if report is None else report.data
                self._reports.close()
                shutil.rmtree(self._folder, ignore_errors=True)
        return self._code

    def kill(self) -> None:
        """Kill the process; nothing happens when it has ended."""
        # conmon reaps it, so the number is not another's while it is conmon's child
        if self.pid in process.children(self._conmon.pid):
            process.kill(self.pid, signal.SIGKILL)

    async def resize(self, height: int, width: int) -> None:
        resize(self._folder, height, width)


class Monitor:
    """Starts and watches conmons. One per engine and event loop; ``close`` before the loop ends, containers go on."""

    def __init__(self, runtime: OciRuntime, run_dir: Path, conmon: Path = CONMON) -> None:
        self._runtime = runtime
        self._exits = run_dir / "exits"
        self._bundles = run_dir / "containers"
        self._programs = Programs(conmon, runtime.path, runtime.arguments())
        self._layout = cgroups.layout()
        self._conmons: dict[str, Conmon] = {}
        temporary = str(run_dir) if len(str(run_dir)) <= _LONGEST_TMPDIR else "/tmp"
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": temporary}
        for folder in (self._exits, self._bundles):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def bundle(self, identifier: str) -> Path:
        return self._bundles / identifier

    # making

    async def create(self, launch: Launch) -> Created:
        """Make a container up to the point where only its command is left to be executed.

        Raises CommandRefused (with ``exit_code`` 127 or 126) or StartFailed. What was made until then is taken away.
        """
        bundle = self.bundle(launch.id)
        bundle.mkdir(mode=0o700, exist_ok=True)
        (bundle / "config.json").write_bytes(msgspec.json.encode(launch.config))
        for stale in (self._exits / launch.id, bundle / "oom"):
            stale.unlink(missing_ok=True)
        reports, theirs = _pipe()
        try:
            command = create_command(self._programs, launch, bundle, self._exits)
            conmon = self._spawn(command, bundle, {"_OCI_SYNCPIPE": theirs})
            self._conmons[launch.id] = conmon
            (bundle / "conmon.pid").write_text(str(conmon.pid))
            report = await reports.next()
        except BaseException:
            await asyncio.shield(self.delete(launch.id))
            raise
        finally:
            reports.close()
        if report is None or report.data <= 0:
            await self.delete(launch.id)
            raise _refusal(report)
        return Created(report.data, conmon.pid)

    def _spawn(self, command: list[str], folder: Path, pipes: Mapping[str, int]) -> Conmon:
        """Start a conmon that has the *pipes*, whose ends here are closed."""
        environment = {**self._environment, **{name: str(fd) for name, fd in pipes.items()}}
        try:
            return Conmon.start(command, folder, tuple(pipes.values()), environment)
        except OSError as error:
            raise Internal(f"cannot run {command[0]}: {error.strerror}") from error
        finally:
            for fd in pipes.values():
                os.close(fd)

    async def start(self, identifier: str) -> None:
        """Let a created container's command run. Raises NotFound without one, Internal when it has died waiting."""
        if self._runtime.is_runc and await self._release(identifier):
            return
        await self._runtime.run("start", identifier)

    async def _release(self, identifier: str) -> bool:
        """By the fifo; given up when the container ends meanwhile."""
        conmon = self._conmon(identifier)
        async with asyncio.TaskGroup() as group:
            released = group.create_task(release(self._runtime.state_dir(identifier), lambda: self._waits(identifier)))
            ended = group.create_task(conmon.ended.wait())
            await asyncio.wait((released, ended), return_when=asyncio.FIRST_COMPLETED)
            done = released.done() and released.result()
            released.cancel()
            ended.cancel()
        return done

    def _waits(self, identifier: str) -> bool:
        """Whether a container's process is still runc's own, before its command."""
        try:
            return process.command(self.pid(identifier)) == _RUNC_INIT
        except (ProcessLookupError, OSError):
            return True  # it has ended, which somebody else notices

    # ends

    async def wait_exit(self, identifier: str) -> int:
        """Wait for a container to end; its exit code, 128 + N after signal N, LOST when nobody knows.

        Works for a container that was started by an earlier engine, and for one that has ended already.
        """
        conmon = self._found(identifier)
        if conmon is not None:
            await conmon.ended.wait()
        ended = self.exit(identifier)
        if ended is not None:
            return ended.code
        await asyncio.to_thread(self._kill_all, identifier)
        return LOST

    def exit(self, identifier: str) -> Ended | None:
        """How a container ended, None when it runs or never ran."""
        path = self._exits / identifier
        try:
            text = path.read_text(encoding="ascii").strip()
            return Ended(int(text), path.stat().st_mtime_ns)
        except (FileNotFoundError, ValueError):
            return None

    def running(self, identifier: str) -> bool:
        """Whether its conmon is there: True also for a container that was created and not yet released."""
        conmon = self._found(identifier)
        return conmon is not None and not conmon.ended.is_set() and self.exit(identifier) is None

    def released(self, identifier: str) -> bool:
        """Whether it has been let go. For recovery: a container that still waits was never started."""
        return self.running(identifier) and not (self._runtime.state_dir(identifier) / "exec.fifo").exists()

    def oom_killed(self, identifier: str) -> bool:
        """Whether the kernel killed in it for want of memory. To be asked before ``delete``."""
        if (self.bundle(identifier) / "oom").exists():
            return True
        path = teardown.cgroup_path(self.bundle(identifier))
        return bool(path) and teardown.oom_kills(self._layout, path) > 0

    def usage(self, identifier: str) -> cgroups.CgroupUsage:
        """A container's counters; zeros when its cgroup is gone. Reads some files: for a thread."""
        path = teardown.cgroup_path(self.bundle(identifier))
        return cgroups.usage(self._layout, path) if path else cgroups.CgroupUsage()

    def processes(self, identifier: str) -> list[int]:
        """Every process in a container, also of execs, as the host numbers them; for a thread."""
        path = teardown.cgroup_path(self.bundle(identifier))
        return cgroups.procs(self._layout, path) if path else []

    def pid(self, identifier: str) -> int:
        """The container's first process as the host numbers it. Raises ProcessLookupError when it has ended."""
        conmon = self._found(identifier)
        pid = read_pid(self.bundle(identifier) / "pid")
        if conmon is None or conmon.ended.is_set() or pid not in process.children(conmon.pid):
            raise ProcessLookupError(f"container {identifier} has no process")
        return pid

    async def kill(self, identifier: str, number: int) -> None:
        """Signal the container's first process. Raises ProcessLookupError when it has ended."""
        # conmon reaps it, so the number is not another's while it is conmon's child
        process.kill(self.pid(identifier), number)

    async def pause(self, identifier: str) -> None:
        await self._runtime.pause(identifier)

    async def resume(self, identifier: str) -> None:
        await self._runtime.resume(identifier)

    async def update(self, identifier: str, resources: Json) -> None:
        """Change the limits of a running container; *resources* is what ``spec.resources`` gives."""
        await self._runtime.update(identifier, resources)

    async def delete(self, identifier: str) -> None:
        """Take everything away that is left of a container, whatever state it is in. Idempotent.

        Its processes are killed; the bundle's directory itself and the log stay.
        """
        conmon = self._found(identifier)
        path = teardown.cgroup_path(self.bundle(identifier))
        state = self._runtime.state_dir(identifier)
        if conmon is not None and not conmon.ended.is_set():
            await asyncio.to_thread(self._stop, conmon, path)
            await conmon.ended.wait()
            for unfinished in self._exits.glob(f"{identifier}.*"):  # conmon was about to write the exit code
                unfinished.unlink(missing_ok=True)
        await asyncio.to_thread(teardown.remove, self._layout, path, state)
        self._conmons.pop(identifier, None)
        (self._exits / identifier).unlink(missing_ok=True)
        for name in _VOLATILE:
            (self.bundle(identifier) / name).unlink(missing_ok=True)
        shutil.rmtree(self.bundle(identifier) / "exec", ignore_errors=True)

    def _stop(self, conmon: Conmon, path: str) -> None:
        """End a container in the middle of anything: the runtime that is at work, then whatever it has made."""
        conmon.kill(signal.SIGKILL)
        if path:
            teardown.kill_all(self._layout, path)

    def _kill_all(self, identifier: str) -> None:
        path = teardown.cgroup_path(self.bundle(identifier))
        if path:
            teardown.kill_all(self._layout, path)

    def _conmon(self, identifier: str) -> Conmon:
        found = self._found(identifier)
        if found is None:
            raise NotFound(f"container {identifier} has no process")
        return found

    def _found(self, identifier: str) -> Conmon | None:
        """Its conmon, also one that an earlier engine has started."""
        known = self._conmons.get(identifier)
        if known is None:
            pid = read_pid(self.bundle(identifier) / "conmon.pid")
            known = Conmon.find(pid, identifier) if pid else None
            if known is not None:
                self._conmons[identifier] = known
        return known

    # streams

    async def attach(self, identifier: str) -> Attached:
        """Connect to a container's streams: what it prints from now on. Raises OSError when it does not run."""
        return Attached.connect(self.bundle(identifier))

    async def resize(self, identifier: str, height: int, width: int) -> None:
        """Set the size of a container's terminal. Raises OSError when it does not run."""
        resize(self.bundle(identifier), height, width)

    # execs

    async def exec(self, launch: ExecLaunch) -> ExecProcess:
        """Run one more process in a container. With *attach*, its streams are connected before it prints anything.

        Raises CommandRefused or StartFailed.
        """
        folder = self.bundle(launch.container) / "exec" / launch.id
        folder.mkdir(mode=0o700, parents=True)
        (folder / "process.json").write_bytes(msgspec.json.encode(launch.process))
        reports, sync = _pipe()
        conmon: Conmon | None = None
        streams: Attached | None = None
        try:
            command = exec_command(self._programs, launch, folder)
            if launch.attach:
                with _AttachPipes() as pipes:
                    conmon = self._spawn(command, folder, {"_OCI_SYNCPIPE": sync, **pipes.theirs()})
                    streams = await pipes.connect(folder)
            else:
                conmon = self._spawn(command, folder, {"_OCI_SYNCPIPE": sync})
            report = await reports.next()
            if report is None or report.data <= 0:
                raise _refusal(report, executing=True)
        except BaseException:
            reports.close()
            if streams is not None:
                await streams.close()
            await asyncio.shield(_give_up(conmon, folder))
            raise
        return ExecProcess(report.data, conmon, streams, folder, reports)

    def close(self) -> None:
        """Stop watching; everything that runs goes on running."""
        for conmon in self._conmons.values():
            conmon.close()
        self._conmons.clear()


class _AttachPipes:
    """With which an exec's conmon is held until we are connected to it: it listens, says so, and waits for us."""

    def __init__(self) -> None:
        self._start, self._go = os.pipe2(os.O_CLOEXEC)
        self._listening, self._attach = _pipe()

    def theirs(self) -> Mapping[str, int]:
        """The ends for conmon, which the caller closes."""
        return {"_OCI_STARTPIPE": self._start, "_OCI_ATTACHPIPE": self._attach}

    async def connect(self, folder: Path) -> Attached:
        """Let conmon listen, connect to it, and let it run the process. Raises Internal when it has ended."""
        os.write(self._go, _GO)
        if await self._listening.next() is None:
            raise Internal("conmon ended before the exec could be attached to")
        streams = Attached.connect(folder)
        os.write(self._go, _GO)
        return streams

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._go)
        self._listening.close()


async def _give_up(conmon: Conmon | None, folder: Path) -> None:
    """Take an exec away that has not come to its process: nobody knows of it."""
    if conmon is not None:
        await asyncio.to_thread(teardown.kill_family, conmon.pid, conmon.ended.is_set)
        conmon.kill(signal.SIGKILL)
        await conmon.ended.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _pipe() -> tuple[ReportPipe, int]:
    mine, theirs = os.pipe2(os.O_CLOEXEC)
    return ReportPipe(mine), theirs


def _refusal(report: object, *, executing: bool = False) -> SealaneError:
    return start_error(getattr(report, "message", ""), executing=executing)
