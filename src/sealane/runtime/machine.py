"""What plans of containers depend on of this machine, found out once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sealane.linux.cgroups import CgroupLayout
from sealane.runtime.probe import available_capabilities, cgroup_abilities, find_init, seccomp_profile
from sealane.runtime.resources import CgroupAbilities
from sealane.runtime.seccomp import Profile


@dataclass(frozen=True, slots=True)
class Machine:
    """What plans depend on of this machine, found out once."""

    abilities: CgroupAbilities
    seccomp: Profile | None
    init: Path | None
    capabilities: tuple[str, ...]


def look_at_machine(layout: CgroupLayout, init_path: str = "") -> Machine:
    """Raises InvalidArgument when the machine's seccomp profile cannot be understood."""
    return Machine(cgroup_abilities(layout), seccomp_profile(), find_init(init_path), available_capabilities())
