"""The kernel seen with other eyes than ours: ip(8)'s JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def ip(ns: Path, arguments: str) -> Any:
    """``ip -j -d`` in a namespace, decoded; None when it prints nothing."""
    done = subprocess.run(
        ["nsenter", f"--net={ns}", "ip", "-j", "-d", *arguments.split()], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout) if done.stdout.strip() else None


def link(ns: Path, name: str) -> Any:
    return ip(ns, f"link show dev {name}")[0]


def names(ns: Path) -> list[str]:
    return [item["ifname"] for item in ip(ns, "link")]
