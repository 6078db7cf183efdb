"""What is told of a container's life: Docker's events, in an order that holds together, with Docker's attributes."""

from __future__ import annotations

import time
from pathlib import Path

from kernel.engine.lives import POLITE, Life, actions, events, meanwhile
from support.engine import Engine
from support.poll import until


def test_a_whole_life(engine: Engine, tmp_path: Path) -> None:
    begin = time.time()
    engine.http("POST", "/networks/create", {"Name": "red"})
    life = Life(engine, "box", *POLITE, host={"NetworkMode": "red", "Binds": ["vol:/data"]}, Labels={"k": "v"}).start()
    life.verb("rename", name="box2")
    life.name = "box2"
    life.verb("pause")
    life.verb("unpause")
    life.processes()
    life.verb("restart", t=0)
    until(lambda: "trap" in str(life.processes()), "it listens")
    life.verb("stop")
    assert life.remove().status == 204

    told = [line for line in actions(engine, begin, life) if line != "container top"]
    assert told == [
        "container create",
        "network connect",
        "volume mount",
        "container start",
        "container rename",
        "container pause",
        "container unpause",
        "container kill",
        "container kill",
        "network disconnect",
        "volume unmount",
        "container die",
        "container stop",
        "network connect",
        "volume mount",
        "container start",
        "container restart",
        "container kill",
        "network disconnect",
        "volume unmount",
        "container die",
        "container stop",
        "container destroy",
    ]


def test_what_each_says(engine: Engine) -> None:
    begin = time.time()
    engine.http("POST", "/networks/create", {"Name": "red"})
    life = Life(
        engine, "box", "sh", "-c", "exit 4", host={"NetworkMode": "red", "Binds": ["vol:/data:ro"]}, Labels={"k": "v"}
    )
    life.start().becomes("exited")
    life.verb("rename", name="box2")
    told = {f"{e['Type']} {e['Action']}": e for e in events(engine, begin)}
    common = {"image": "busybox", "k": "v"}
    network = {"container": life.id, "name": "red", "type": "bridge"}

    def attributes(what: str) -> dict[str, str]:
        return dict(told[what]["Actor"]["Attributes"])

    assert attributes("container create") == {**common, "name": "box"}
    assert attributes("network create") == {"name": "red", "type": "bridge"}
    assert attributes("network connect") == attributes("network disconnect") == network
    assert attributes("volume create") == {"driver": "local"}
    assert attributes("volume mount") == {
        "container": life.id, "destination": "/data", "driver": "local", "propagation": "", "read/write": "false",
    }  # fmt: skip
    assert attributes("volume unmount") == {"container": life.id, "driver": "local"}
    assert attributes("container die") == {**common, "name": "box", "execDuration": "0", "exitCode": "4"}
    assert attributes("container rename") == {**common, "name": "box2", "oldName": "/box"}
    assert told["container die"]["Actor"]["ID"] == life.id


def test_execs(engine: Engine) -> None:
    begin = time.time()
    Life(engine, "box").start()
    engine.cli("exec", "box", "true")
    engine.cli("exec", "box", "sh", "-c", "exit 3", check=False)
    until(lambda: len(events(engine, begin, event="exec_die")) == 2, "both ended")
    told = [e for e in events(engine, begin, container="box") if e["Action"].startswith("exec")]

    assert [e["Action"] for e in told] == [
        "exec_create: true ",  # Docker's, with the blank
        "exec_start: true ",
        "exec_die",
        "exec_create: sh -c exit 3",
        "exec_start: sh -c exit 3",
        "exec_die",
    ]
    assert [e["Actor"]["Attributes"].get("exitCode") for e in told] == [None, None, "0", None, None, "3"]
    assert len({e["Actor"]["Attributes"]["execID"] for e in told}) == 2


def test_files_attach_and_top(engine: Engine, tmp_path: Path) -> None:
    begin = time.time()
    life = Life(engine, "box").start()
    (tmp_path / "file").write_text("x")
    engine.cli("cp", str(tmp_path / "file"), "box:/tmp")
    engine.cli("cp", "box:/tmp/file", str(tmp_path / "back"))
    engine.cli("export", "-o", str(tmp_path / "all.tar"), "box")
    life.processes()
    engine.http("POST", "/containers/box/attach?logs=1&stdout=1")

    told = actions(engine, begin, life)
    for action in ("extract-to-dir", "archive-path", "export", "top", "attach"):
        assert f"container {action}" in told


def test_a_container_that_used_too_much_memory(engine: Engine) -> None:
    begin = time.time()
    limits = {"Memory": 20 << 20, "MemorySwap": 20 << 20}
    life = Life(engine, "hungry", "tail", "/dev/zero", host=limits).start().becomes("exited")

    assert life.state["OOMKilled"] is True
    told = actions(engine, begin, life)
    assert told.index("container oom") < told.index("container die")


def test_pausing_and_stopping(engine: Engine) -> None:
    life = Life(engine, "box", *POLITE).start()
    until(lambda: "trap" in str(life.processes()), "it listens")
    begin = time.time()
    life.verb("pause")
    life.verb("stop")

    assert life.state["ExitCode"] == 3
    assert [line for line in actions(engine, begin, life) if line != "container top"] == [
        "container pause", "container kill", "container unpause", "network disconnect", "container die",
        "container stop",
    ]  # fmt: skip


def test_times_never_repeat(engine: Engine) -> None:
    begin = time.time()
    for number in range(5):
        Life(engine, f"box{number}", "true").start().becomes("exited")
    times = [event["timeNano"] for event in events(engine, begin)]

    assert times == sorted(set(times))


def test_the_past_and_the_present_fit_together(engine: Engine) -> None:
    """``since`` and following at once: nothing is missed or told twice where they meet."""
    begin = time.time()
    with meanwhile(lambda: [Life(engine, f"box{number}", "true").start() for number in range(10)]):
        reply = engine.http("GET", f"/events?since={begin:.9f}&until={begin + 4:.9f}", timeout_s=30)
    live = [line for line in reply.body.splitlines() if b'"create"' in line]

    assert len(live) == len(set(live)) == 10
