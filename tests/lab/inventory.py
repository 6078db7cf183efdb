"""What an engine has, in its answers, in the kernel and on the disk: taken before and after, and compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import running
from support.engine import Engine
from support.poll import until


def inventory(engine: Engine) -> dict[str, Any]:
    """Everything that the engine has: in its answers, in the kernel, on the disk."""
    listings = {
        path: [item.get("Id") or item.get("Name") for item in engine.http("GET", path).json]
        for path in ("/containers/json?all=1", "/networks", "/images/json?all=1")
    }
    cgroups = [path for top in Path("/sys/fs/cgroup").glob(f"*{engine.cgroup}") for path in top.glob("*/")]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        **listings,
        "table": running.run(["nft", "-s", "list", "table", "inet", engine.name]).out,
        "links": _links(engine),
        "cgroups": sorted(map(str, cgroups)),
        "namespaces": sorted(path.name for path in (engine.run_dir / "netns").iterdir()),
        "mounts": sorted(line.split()[4] for line in mounts if f"/{engine.folder.name}/" in line),
        "bundles": sorted(path.name for path in (engine.root / "containers").iterdir()),
    }


def _links(engine: Engine) -> list[str]:
    """The ports of the default bridge; those that are down wait for the kernel to take them away."""
    listed = running.run(["ip", "-json", "link", "show", "up", "master", engine.name]).json
    return sorted(link["ifname"] for link in listed if link)  # what is filtered out is listed as {}


@contextmanager
def untouched(engine: Engine) -> Iterator[None]:
    """What happens inside leaves no trace. What the kernel takes away in the background has a moment for that."""
    before = inventory(engine)
    yield
    changes: dict[str, Any] = {}

    def same() -> bool:
        after = inventory(engine)
        changes.clear()
        changes.update({key: (before[key], after[key]) for key in before if before[key] != after[key]})
        return not changes

    try:
        until(same, "everything is as before", timeout_s=5)
    except AssertionError:
        raise AssertionError(f"left behind: {changes}") from None
