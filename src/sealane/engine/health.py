"""Health checks: a command in the container at an interval, and what its results add up to.

``judge`` is the rule (Docker's: healthy at the first success, unhealthy after *retries* failures in a row, failures
inside the
start period do not count); the watch runs the command and commits what the rule says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.context import Clock
from sealane.engine.model import Health, HealthCheck, HealthProbe, Status

INTERVAL_NS: Final = 30_000_000_000
TIMEOUT_NS: Final = 30_000_000_000
START_INTERVAL_NS: Final = 5_000_000_000
RETRIES: Final = 3
LOG_LENGTH: Final = 5
OUTPUT_LENGTH: Final = 4096


class ProbeRunner(Protocol):
    """Runs a command in a container: its exit code and output; -1 when it ran out of time."""

    def __call__(self, container: Container, argv: tuple[str, ...], timeout_s: float) -> Awaitable[tuple[int, str]]: ...


def judge(health: Health, probe: HealthProbe, retries: int, in_start_period: bool) -> Health:
    """The new health after one more probe. Pure."""
    log = (*health.log, probe)[-LOG_LENGTH:]
    if probe.exit_code == 0:
        return Health("healthy", 0, log)
    if in_start_period and health.status == "starting":
        return Health("starting", 0, log)
    streak = health.failing_streak + 1
    return Health("unhealthy" if streak >= (retries or RETRIES) else health.status, streak, log)


def stopped_health(health: Health | None) -> Health | None:
    """Of a container that is not checked any more, because it ended or was paused: Docker calls it unhealthy. Pure."""
    return None if health is None else Health("unhealthy", health.failing_streak, health.log)


def clip(output: bytes) -> str:
    """What is kept of a probe's output: its beginning, with dots where the rest was."""
    text = output[:OUTPUT_LENGTH].decode(errors="replace")
    return text if len(output) <= OUTPUT_LENGTH else f"{text}..."


def probe_argv(check: HealthCheck) -> tuple[str, ...]:
    """The command of a check: CMD as it stands, CMD-SHELL through the shell."""
    if check.test[0] == "CMD-SHELL":
        return ("/bin/sh", "-c", *check.test[1:])
    return check.test[1:]


class HealthWatch:
    """Runs the checks of running containers; one task per container, ended by the container's end."""

    def __init__(self, containers: Containers, clock: Clock, probe: Callable[[], ProbeRunner]) -> None:
        self._containers = containers
        self._clock = clock
        self._probe = probe

    async def run(self, container: Container) -> None:
        """Probe until the container's present run is over."""
        check = container.record.process.health
        started = container.state.started_ns
        if check is None:
            return
        while await self._pause(container, self._delay_ns(container, check, started)):
            if container.state.started_ns != started or not container.running:
                return
            if container.state.status is not Status.PAUSED:
                await self._probe_once(container, check, started)

    def _delay_ns(self, container: Container, check: HealthCheck, started: int) -> int:
        health = container.state.health
        starting = health is not None and health.status == "starting"
        if starting and self._clock.now_ns() - started < check.start_period_ns:
            return check.start_interval_ns or START_INTERVAL_NS
        return check.interval_ns or INTERVAL_NS

    async def _pause(self, container: Container, delay_ns: int) -> bool:
        """False when the container ended meanwhile."""
        try:
            await asyncio.wait_for(container.finished.wait(), delay_ns / 1e9)
        except TimeoutError:
            return True
        return False

    async def _probe_once(self, container: Container, check: HealthCheck, started: int) -> None:
        begin = self._clock.now_ns()
        timeout_s = (check.timeout_ns or TIMEOUT_NS) / 1e9
        code, output = await self._probe()(container, probe_argv(check), timeout_s)
        if (
            container.state.status is not Status.RUNNING
            or container.state.started_ns != started
            or container.state.health is None
        ):
            return
        probe = HealthProbe(begin, self._clock.now_ns(), code, output)
        before = container.state.health
        after = judge(before, probe, check.retries, begin - started < check.start_period_ns)
        self._containers.commit(container, live=container.with_state(health=after))
        if after.status != before.status:
            self._containers.emit(f"health_status: {after.status}", container)
