"""What the engine says about itself and the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sealane import VERSION
from sealane.engine.containers import Containers
from sealane.engine.context import Context
from sealane.engine.model import Status, SystemInfo


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """What was found when the engine came up: the OCI runtime picked and why, and the machine's cgroups."""

    runtime: str
    version: str
    reason: str
    conmon_version: str
    cgroup_version: str


class System:
    """Answers ``info`` and ``version``."""

    def __init__(
        self, context: Context, containers: Containers, count_images: Callable[[], int], facts: RuntimeFacts
    ) -> None:
        self._context = context
        self._containers = containers
        self._count_images = count_images
        self._facts = facts
        self._os_name, self._os_version = _os_release()

    def info(self) -> SystemInfo:
        states = [container.state.status for container in self._containers.all()]
        running = states.count(Status.RUNNING)
        paused = states.count(Status.PAUSED)
        settings = self._context.settings
        return SystemInfo(
            id=self._context.host_id,
            version=VERSION,
            root=self._context.layout.root,
            run_dir=self._context.layout.run,
            host_name=platform.node(),
            kernel=platform.release(),
            os_name=self._os_name,
            os_version=self._os_version,
            architecture=platform.machine(),
            cpus=os.cpu_count() or 1,
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            cgroup_version=self._facts.cgroup_version,
            cgroup_driver="cgroupfs",
            runtime=self._facts.runtime,
            runtime_version=self._facts.version,
            runtime_reason=self._facts.reason,
            conmon_version=self._facts.conmon_version,
            default_pools=tuple((str(base), size) for base, size in settings.default_pools),
            containers=len(states),
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=self._count_images(),
            mirrors=settings.mirrors,
            insecure_registries=settings.insecure_registries,
            warnings=(),
            time_ns=self._context.clock.now_ns(),
            labels=settings.labels,
        )


def _os_release() -> tuple[str, str]:
    found = {}
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return "Linux", ""
    for line in text.splitlines():
        key, _, value = line.partition("=")
        found[key] = value.strip('"')
    return found.get("PRETTY_NAME", "Linux"), found.get("VERSION_ID", "")
