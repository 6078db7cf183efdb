"""Limits of a container: what is asked is what the control groups hold, and an end by the memory killer is noted."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.marks import ours
from support.drawing import Box, Cli, Lab
from support.poll import until

_ROOT = Path("/sys/fs/cgroup")


def _limit(box: Box, controller: str, v1: str, v2: str) -> str:
    """A file of the container's control group, whichever version this host has for *controller*."""
    for line in Path(f"/proc/{box.pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return (_ROOT / controller / path.lstrip("/") / v1).read_text().strip()
        if controllers == "" and (_ROOT / "cgroup.controllers").exists():
            return (_ROOT / path.lstrip("/") / v2).read_text().strip()
    raise AssertionError(f"no control group for {controller}")


def _memory(box: Box) -> int:
    return int(_limit(box, "memory", "memory.limit_in_bytes", "memory.max"))


def _cpus(box: Box) -> float:
    try:
        quota, period = _limit(box, "cpu", "cpu.cfs_quota_us", "cpu.max").split()
    except ValueError:
        quota, period = (_limit(box, "cpu", f"cpu.cfs_{what}_us", "") for what in ("quota", "period"))
    return int(quota) / int(period)


def _pids(box: Box) -> int:
    return int(_limit(box, "pids", "pids.max", "pids.max"))


def test_what_was_asked_is_in_the_control_groups(lab: Lab, cli: Cli) -> None:
    options = ("--memory", "64m", "--cpus", "0.5", "--pids-limit", "17", "--cpu-shares", "512")
    box = lab.container("aa", options=options)
    assert _memory(box) == 64 << 20
    assert _cpus(box) == 0.5
    assert _pids(box) == 17
    shown = cli.engine.inspect("aa")["HostConfig"]
    assert (shown["Memory"], shown["NanoCpus"], shown["PidsLimit"]) == (64 << 20, 500_000_000, 17)
    own = Path(f"/proc/{box.pid}/cgroup").read_text()
    assert all(f"{cli.engine.cgroup}/" in line for line in own.splitlines() if line.split(":")[1])


def test_limits_change_while_it_runs(lab: Lab, cli: Cli) -> None:
    box = lab.container("aa", options=("--memory", "64m"))
    cli("update", "--memory", "32m", "--memory-swap", "64m", "--cpus", "0.25", "--pids-limit", "9", "aa")
    assert (_memory(box), _cpus(box), _pids(box)) == (32 << 20, 0.25, 9)
    cli("restart", "-t", "0", "aa")
    assert (_memory(box), _cpus(box), _pids(box)) == (32 << 20, 0.25, 9), "and stay"


def test_an_end_by_the_memory_killer_is_noted(cli: Cli) -> None:
    result = cli("run", "--name", "aa", "--memory", "16m", "--memory-swap", "16m", "busybox",
                 "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", check=False)  # fmt: skip
    assert result.code == 137
    assert cli("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "aa").line == "true 137"
    cli("run", "--name", "bb", "--memory", "16m", "busybox", "true")
    assert cli("inspect", "-f", "{{.State.OOMKilled}}", "bb").line == "false"


def test_too_many_processes(cli: Cli) -> None:
    text = "for n in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; wait"
    result = cli("run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", text, check=False)
    assert result.code != 0
    assert "can't fork" in result.err


def test_stats_know_the_limit(lab: Lab, cli: Cli) -> None:
    lab.container("aa", options=("--memory", "64m"))
    line = cli("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}").line
    assert line.startswith("aa ")
    assert line.split(" / ")[1].split()[0] == "64MiB"


def test_ulimits_and_shared_memory(lab: Lab) -> None:
    box = lab.container("aa", options=("--ulimit", "nofile=123:456", "--shm-size", "8m"))
    assert box.shell("ulimit -n; ulimit -Hn").out.split() == ["123", "456"]
    assert int(box.shell("df -k /dev/shm | tail -1 | awk '{print $2}'").line) == 8 << 10


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--memory=1m", "Minimum memory limit allowed is 6MB"),
        ("--memory=lots", "lots"),
        ("--cpus=-1", "Range of CPUs is from 0.01 to"),
        ("--cpus=1000", "Range of CPUs is from 0.01 to"),
        ("--pids-limit=x", "x"),
    ],
)
def test_limits_that_make_no_sense(cli: Cli, option: str, said: str) -> None:
    assert said in cli.refuses("run", "--rm", option, "busybox", "true", code=125)
    assert cli("ps", "-aq").out == ""


@ours
def test_the_groups_go_with_the_container(lab: Lab, cli: Cli) -> None:
    lab.container("aa")
    folder = cli.engine.cgroup.lstrip("/")
    hierarchies = [path for path in (_ROOT, *_ROOT.iterdir()) if (path / folder).is_dir()]
    assert hierarchies
    cli("rm", "-f", "aa")
    until(lambda: not any([*(top / folder).glob("*/")] for top in hierarchies), "no group is left")
