"""conmon's command lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sealane.runtime.launch import ExecLaunch, Launch, Programs, create_command, exec_command

PROGRAMS = Programs(Path("/usr/bin/conmon"), Path("/usr/sbin/runc"), ("--root=/run/oci", "--log-format=json"))
COMMON = [
    "--sync",
    "--api-version=1",
    "--runtime=/usr/sbin/runc",
    "--runtime-arg=--root=/run/oci",
    "--runtime-arg=--log-format=json",
    "--full-attach",
    "--log-level=error",
    "--no-sync-log",
]


def options(terminal: bool = False, **changes: Any) -> set[str]:
    """What a container's conmon is told beyond what all are told."""
    launch = Launch(id="c", config={"process": {"terminal": terminal}}, **changes)
    command = create_command(PROGRAMS, launch, Path("/b"), Path("/exits"))
    assert command[0] == "/usr/bin/conmon"
    assert set(COMMON) <= set(command)
    return set(command[1:]) - set(COMMON)


OWN = {"--cid=c", "--cuuid=c", "--bundle=/b", "--container-pidfile=/b/pid", "--exit-dir=/exits"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"--log-path=none"}),
        ({"log_path": Path("/l")}, {"--log-path=k8s-file:/l"}),
        ({"log_path": Path("/l"), "log_max_bytes": 5}, {"--log-path=k8s-file:/l", "--log-size-max=5"}),
        ({"log_max_bytes": 5}, {"--log-path=none"}),
        ({"stdin": True}, {"--log-path=none", "--stdin", "--leave-stdin-open"}),
        ({"stdin": True, "stdin_once": True}, {"--log-path=none", "--stdin"}),
        ({"terminal": True}, {"--log-path=none", "--terminal"}),
        (
            {"terminal": True, "stdin": True, "stdin_once": True},
            {"--log-path=none", "--terminal", "--stdin", "--leave-stdin-open"},
        ),
    ],
)
def test_containers(changes: dict[str, Any], expected: set[str]) -> None:
    assert options(**changes) == OWN | expected


@pytest.mark.parametrize(
    ("terminal", "changes", "expected"),
    [
        (False, {"attach": False}, set()),
        (False, {}, {"--exec-attach"}),
        (False, {"stdin": True}, {"--exec-attach", "--stdin"}),
        (True, {"stdin": True}, {"--exec-attach", "--stdin", "--leave-stdin-open", "--terminal"}),
    ],
)
def test_execs(terminal: bool, changes: dict[str, Any], expected: set[str]) -> None:
    launch = ExecLaunch(id="e", container="c", process={"terminal": terminal}, **changes)
    command = exec_command(PROGRAMS, launch, Path("/b/exec/e"))
    own = {"--cid=c", "--cuuid=e", "--bundle=/b/exec/e", "--container-pidfile=/b/exec/e/pid", "--exec"}
    own |= {"--exec-process-spec=/b/exec/e/process.json", "--log-path=none"}
    assert set(command[1:]) - set(COMMON) == own | expected
