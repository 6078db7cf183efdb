"""Which OCI runtime is taken, what this machine can do, and what a container that nobody knows leaves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kernel.runtime.lab import RuntimeLab, remove_empty_groups
from sealane.errors import Internal, Unavailable
from sealane.linux import cgroups
from sealane.runtime.machine import look_at_machine
from sealane.runtime.oci import OciRuntime, pick
from sealane.runtime.probe import (
    available_capabilities,
    cgroup_abilities,
    device_node,
    find_init,
    host_devices,
    seccomp_profile,
)

PARENT = f"/sealane/test-choice-{os.getpid()}"


def groups() -> list[Path]:
    layout = cgroups.layout()
    return [path for folder in layout.folders(PARENT) if folder.exists() for path in folder.iterdir() if path.is_dir()]


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_one_that_works_is_taken_and_leaves_nothing(tmp_path: Path) -> None:
    made = pick("auto", tmp_path, PARENT)
    try:
        assert made.name in ("crun", "runc")
        assert made.reason.endswith("works")
        assert made.version in subprocess.run([made.path, "--version"], capture_output=True, text=True).stdout
        assert (os.listdir(tmp_path), groups()) == ([], [])
    finally:
        remove_empty_groups(cgroups.layout(), PARENT)


def test_the_preferred_one_is_left_for_a_reason(tmp_path: Path) -> None:
    """crun is quicker; where it cannot work (both kinds of cgroups beside each other), that is said."""
    made = pick("auto", tmp_path, PARENT)
    remove_empty_groups(cgroups.layout(), PARENT)
    if made.name == "crun":
        assert made.reason == "crun is the faster one and works"
    else:
        assert re.match(r"crun (is not installed|does not work on this machine \(.+\)); runc works$", made.reason)


def test_the_configured_one(tmp_path: Path) -> None:
    works = pick("auto", tmp_path, PARENT)
    for wanted in (works.name, str(works.path)):
        made = pick(wanted, tmp_path, PARENT)
        assert (made.path, made.reason) == (works.path, "named in the configuration")
    remove_empty_groups(cgroups.layout(), PARENT)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'it is broken' >&2; exit 1", r"runtime does not work on this machine \(it is broken\); install crun"),
        ('echo \'{"level":"error","msg":"told"}\' >&2; exit 1', r"does not work on this machine \(told\)"),
        ("kill -9 $$", r"does not work on this machine \(\)"),
    ],
)
def test_one_that_does_not_work(tmp_path: Path, script: str, words: str) -> None:
    broken = program(tmp_path / "runtime", script)
    with pytest.raises(Unavailable, match=words):
        pick(str(broken), tmp_path / "root", PARENT)
    assert os.listdir(tmp_path / "root") == []


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^no OCI runtime: /nowhere is not installed; install crun or runc$"):
        pick("/nowhere", tmp_path, PARENT)


def test_what_a_runtime_says_reaches_the_caller(lab: RuntimeLab) -> None:
    async def story() -> None:
        with pytest.raises(Internal, match=r"runc state c9: container does not exist|crun state c9: .*"):
            await lab.runtime.state("c9")
        silent = OciRuntime(program(lab.folder / "silent", "exit 3"), "silent", "", "", lab.folder)
        with pytest.raises(Internal, match=r"^silent pause c1: exit code 3$"):
            await silent.pause("c1")
        await lab.start("c1", "sleep", "1000")
        assert (await lab.runtime.state("c1"))["status"] == "running"

    lab.run(story())


# this machine


def test_this_machine() -> None:
    machine = look_at_machine(cgroups.layout())
    assert machine.seccomp is not None
    assert machine.init == find_init()
    assert machine.capabilities == available_capabilities()
    assert machine.abilities.version == cgroups.layout().version


def test_an_init_that_does_not_exist(tmp_path: Path) -> None:
    assert find_init(str(tmp_path / "init")) is None
    link = tmp_path / "link"
    link.symlink_to("/bin/true")
    assert find_init(str(link)) == Path(os.path.realpath("/bin/true"))


def test_swap_is_limited_where_the_kernel_says_so() -> None:
    layout = cgroups.layout()
    memory = layout.hierarchies.get("memory", layout.hierarchies.get(""))
    assert memory is not None
    found = list(memory.glob("memory.memsw.limit_in_bytes")) + list(memory.glob("*/memory.swap.max"))
    assert cgroup_abilities(layout).swap_limit == bool(found)


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    assert seccomp_profile(tmp_path / "none.json") is None


def test_devices(tmp_path: Path) -> None:
    found = device_node("/dev/null")
    assert found is not None
    assert (found.kind, found.major, found.minor, found.path) == ("c", 1, 3, "/dev/null")
    (tmp_path / "link").symlink_to("/dev/zero")
    assert device_node(str(tmp_path / "link")) is None
    shown = device_node(str(tmp_path / "link"), "/dev/other", "r")
    assert shown is not None
    assert (shown.minor, shown.path, shown.permissions) == (5, "/dev/other", "r")
    assert device_node("/etc/passwd", "/x") is None
    with pytest.raises(FileNotFoundError):
        device_node("/dev/nope")
    every = {node.path for node in host_devices()}
    assert {"/dev/null", "/dev/full"} <= every
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) for path in every)


def test_programs_are_found_beside_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's PATH may lack /usr/sbin, where Debian has runc."""
    monkeypatch.setenv("PATH", "/nowhere")
    made = pick("auto", tmp_path, PARENT)
    remove_empty_groups(cgroups.layout(), PARENT)
    assert shutil.which(made.path.name, path="/usr/bin:/usr/sbin:/bin:/sbin") is not None
