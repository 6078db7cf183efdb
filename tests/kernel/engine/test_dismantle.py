"""``sealaned --dismantle``: the host is rid of the engine, and what is durable waits for the next one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.engine.lives import Life, named_volumes
from support import running
from support.engine import BIN, Engine
from support.poll import until


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    made = make_engine()
    made.cli("pull", "busybox")
    return made


def options(engine: Engine) -> list[str]:
    return [
        "--config",
        str(engine.folder / "sealaned.toml"),
        "--root",
        str(engine.root),
        "--run-dir",
        str(engine.run_dir),
    ]


def dismantle(engine: Engine, *, check: bool = True) -> running.Result:
    return running.run([str(BIN / "sealaned"), *options(engine), "--dismantle"], check=check)


def links(engine: Engine) -> list[str]:
    """The links of this engine: they carry its name as their last mark."""
    listed = json.loads(running.run(["ip", "-json", "link"]).out)
    return [link["ifname"] for link in listed if any(name.endswith(engine.name) for name in link.get("altnames", ()))]


def test_everything_goes_but_what_is_durable(engine: Engine) -> None:
    engine.http("POST", "/networks/create", {"Name": "red"})
    lives = [
        Life(engine, "plain").start(),
        Life(engine, "red1", host={"NetworkMode": "red", "Binds": ["vol:/data"]}).start(),
        Life(engine, "open", host={"PortBindings": {"80/tcp": [{"HostPort": "18473"}]}}).start(),
        Life(engine, "frozen").start(),
    ]
    lives[3].verb("pause")
    lives[1].run("sh", "-c", "echo kept >/data/file; echo own >/own")
    pids = [int(life.state["Pid"]) for life in lives]
    helpers = engine.helpers()
    assert set(helpers) == {"dns", "relay"}
    assert links(engine)
    engine.kill()
    dismantle(engine)

    until(lambda: not links(engine), "no link of it is left")
    until(lambda: not [pid for pid in (*pids, *helpers.values()) if Path(f"/proc/{pid}").exists()], "nor a process")
    assert engine.name not in running.run(["nft", "list", "tables"]).out
    assert [path.name for path in engine.run_dir.iterdir()] == ["sealaned.pid"]
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(engine.run_dir) not in mounts
    assert str(engine.root) not in mounts
    assert not list(Path("/sys/fs/cgroup").glob(f"*{engine.cgroup}"))

    engine.start()
    assert [life.status for life in lives] == ["exited"] * 4
    assert "vol" in named_volumes(engine)
    assert lives[1].start().run("cat", "/data/file", "/own") == "kept\nown\n"


def test_it_can_be_done_twice(engine: Engine) -> None:
    engine.stop()
    dismantle(engine)
    dismantle(engine)


def test_not_while_the_engine_runs(engine: Engine) -> None:
    refused = dismantle(engine, check=False)

    assert refused.code == 1
    assert f"another sealaned (pid {engine.pid}) already serves {engine.run_dir}" in refused.err
    assert engine.http("GET", "/_ping").status == 200


def test_a_second_engine_in_the_same_place_is_refused(engine: Engine) -> None:
    refused = running.run([str(BIN / "sealaned"), *options(engine)], check=False)

    assert refused.code == 1
    assert f"another sealaned (pid {engine.pid}) already serves" in refused.err
    assert engine.http("GET", "/_ping").status == 200
