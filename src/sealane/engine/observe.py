"""Looking at containers: attach, logs, top, stats, the size of the terminal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.model import (
    AttachRequest,
    LogLine,
    LogRequest,
    NetworkCounters,
    ProcessTable,
    StatsSample,
    Status,
)
from sealane.engine.sessions import AttachSession
from sealane.errors import Conflict, InvalidArgument, Unsupported
from sealane.runtime.conmon import Monitor
from sealane.runtime.logs import read_log

_COUNTERS = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets", "tx_errors", "tx_dropped",
)  # fmt: skip


class Observer:
    """The verbs that look."""

    def __init__(self, context: Context, containers: Containers, monitor: Monitor) -> None:
        self._context = context
        self._containers = containers
        self._monitor = monitor

    async def attach(self, reference: str, request: AttachRequest) -> AttachSession:
        """A session; for a container that does not run yet it waits for its start."""
        container = self._containers.get(reference)
        if container.state.status is Status.PAUSED:
            raise Conflict(f"container {reference} is paused, unpause the container before attach")
        if container.state.status is Status.RESTARTING:
            raise Conflict(f"container {reference} is restarting, wait until the container is running")
        asked = container.record.request
        replay = None
        if request.logs:
            replay = self.logs(reference, LogRequest(stdout=request.stdout, stderr=request.stderr))
        session = AttachSession(
            tty=asked.tty,
            stdin=request.stdin and asked.open_stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            replay=replay,
        )
        if not request.stream:
            session.abandon()
        elif container.running:
            session.connect(await self._monitor.attach(container.id))
        else:
            container.sessions.append(session)
        self._containers.emit("attach", container)
        return session

    async def logs(self, reference: str, request: LogRequest) -> AsyncIterator[LogLine]:
        """What the container wrote, oldest first; with *follow* until it ends."""
        container = self._containers.get(reference)
        driver = container.record.request.log_driver or self._context.settings.log_driver
        if driver == "none":
            raise Unsupported("configured logging driver does not support reading")
        entries = read_log(
            self._context.layout.log(container.id),
            tail=request.tail,
            since_ns=request.since_ns,
            until_ns=request.until_ns,
            finished=container.finished if request.follow else None,
        )
        async for entry in entries:
            if (entry.stream == 1 and request.stdout) or (entry.stream == 2 and request.stderr):
                yield LogLine(entry.stream, entry.time_ns, entry.data)

    async def resize(self, reference: str, height: int, width: int) -> None:
        container = self._containers.get(reference)
        if not container.running:
            raise Conflict(f"Container {container.id} is not running")
        try:
            await self._monitor.resize(container.id, height, width)
        except OSError as error:  # it ends just now: conmon has closed its side already
            raise Conflict(f"Container {container.id} is not running") from error
        self._containers.emit("resize", container, height=str(height), width=str(width))

    async def top(self, reference: str, ps_args: str) -> ProcessTable:
        """The container's processes as the host's ps shows them."""
        container = self._containers.get(reference)
        if not container.running:
            raise Conflict(f"container {container.id} is not running")
        pids = set(await asyncio.to_thread(self._monitor.processes, container.id))
        arguments = ps_args.split() if ps_args else ["-ef"]
        child = await asyncio.create_subprocess_exec(
            "ps", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, complaint = await child.communicate()
        if child.returncode != 0:
            raise InvalidArgument(f"error running ps: {complaint.decode(errors='replace').strip()}")
        self._containers.emit("top", container)
        return _table(output.decode(errors="replace"), pids)

    async def stats(self, reference: str) -> StatsSample:
        """One reading of the counters; zeros for a container that does not run."""
        container = self._containers.get(reference)
        if not container.running:
            return self._sample_of_nothing()
        return await asyncio.to_thread(self._sample, container)

    def _sample_of_nothing(self) -> StatsSample:
        return StatsSample(
            time_ns=self._context.clock.now_ns(),
            cpu_total_ns=0,
            cpu_user_ns=0,
            cpu_kernel_ns=0,
            system_cpu_ns=0,
            online_cpus=0,
            memory_usage=0,
            memory_limit=0,
            memory_stats={},
            pids=0,
            pids_limit=0,
            networks={},
        )

    def _sample(self, container: Container) -> StatsSample:
        usage = self._monitor.usage(container.id)
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit = usage.memory_limit if 0 < usage.memory_limit < machine else machine
        return StatsSample(
            time_ns=self._context.clock.now_ns(),
            cpu_total_ns=usage.cpu_total_ns,
            cpu_user_ns=usage.cpu_user_ns,
            cpu_kernel_ns=usage.cpu_kernel_ns,
            system_cpu_ns=_system_cpu_ns(),
            online_cpus=os.cpu_count() or 1,
            memory_usage=usage.memory,
            memory_limit=limit,
            memory_stats=usage.memory_stats,
            pids=usage.pids,
            pids_limit=usage.pids_limit,
            networks=_interfaces(container.state.pid),
            block_read=usage.block_read,
            block_write=usage.block_write,
        )


def _table(output: str, pids: set[int]) -> ProcessTable:
    lines = output.splitlines()
    titles = tuple(lines[0].split())
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = (tuple(line.split(None, len(titles) - 1)) for line in lines[1:])
    return ProcessTable(titles, tuple(row for row in rows if len(row) > column and int(row[column]) in pids))


def _system_cpu_ns() -> int:
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    return sum(map(int, fields)) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))


def _interfaces(pid: int) -> dict[str, NetworkCounters]:
    """Counters of a process's network namespace, from its own /proc/net/dev."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii").splitlines()[2:]
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, _, numbers = line.partition(":")
        values = [int(word) for word in numbers.split()]
        if name.strip() != "lo":
            chosen = (*values[0:4], *values[8:12])
            found[name.strip()] = NetworkCounters(**dict(zip(_COUNTERS, chosen, strict=True)))
    return found
