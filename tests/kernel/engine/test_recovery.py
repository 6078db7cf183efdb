"""A killed engine and the next one: what runs goes on, what ended is told truly, policies are applied."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernel.engine.lives import POLITE, Life, events, named_volumes
from sealane.engine.times import rfc3339_nano
from support import running
from support.engine import Engine
from support.poll import until


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    """One of the test's own, to be killed."""
    made = make_engine()
    made.cli("pull", "busybox")
    return made


def listens(life: Life) -> Life:
    until(lambda: "trap" in str(life.processes()), f"{life.name} listens")
    return life


def end(life: Life, number: signal.Signals) -> None:
    """End a container behind the engine's back; returns when its exit code has been written."""
    pid = int(life.state["Pid"])
    life.engine.kill()
    os.kill(pid, number)
    until((life.engine.run_dir / "exits" / life.id).exists, f"{life.name} has ended")


def test_what_runs_goes_on(engine: Engine) -> None:
    life = Life(engine, "box", *POLITE, host={"PortBindings": {"80/tcp": [{"HostPort": "18472"}]}}).start()
    before = life.view
    for stop in (engine.kill, engine.stop):
        stop()
        engine.start()
        after = life.view
        for key in ("State", "NetworkSettings", "RestartCount"):
            assert after[key] == before[key]
    assert life.run("echo", "hello") == "hello\n"
    listens(life).verb("stop")

    assert life.state["ExitCode"] == 3


def test_an_exit_code_and_a_time_from_while_nobody_looked(engine: Engine) -> None:
    life = listens(Life(engine, "box", *POLITE).start())
    end(life, signal.SIGTERM)
    ended_ns = (engine.run_dir / "exits" / life.id).stat().st_mtime_ns
    engine.start()

    assert (life.status, life.state["ExitCode"]) == ("exited", 3)
    assert life.state["FinishedAt"].rstrip("0Z") == rfc3339_nano(ended_ns).rstrip("0Z")
    assert life.start().status == "running"


@pytest.mark.parametrize(
    ("policy", "number", "status"),
    [
        ("on-failure", signal.SIGTERM, "running"),
        ("on-failure", signal.SIGUSR1, "exited"),
        ("unless-stopped", signal.SIGUSR1, "running"),
        ("always", signal.SIGUSR1, "running"),
        ("no", signal.SIGTERM, "exited"),
    ],
)
def test_policies_of_what_ended_meanwhile(engine: Engine, policy: str, number: signal.Signals, status: str) -> None:
    script = "trap 'exit 3' TERM; trap 'exit 0' USR1; while :; do sleep 0.05; done"
    life = listens(Life(engine, "box", "sh", "-c", script, host={"RestartPolicy": {"Name": policy}}).start())
    end(life, number)
    engine.start()

    assert life.status == status


@pytest.mark.parametrize(("policy", "status"), [("always", "running"), ("unless-stopped", "exited")])
def test_policies_of_what_somebody_had_stopped(engine: Engine, policy: str, status: str) -> None:
    life = Life(engine, "box", host={"RestartPolicy": {"Name": policy}}).start()
    life.verb("stop", t=0)
    engine.kill()
    engine.start()

    assert life.status == status


def test_one_that_waited_for_its_next_start_gets_it(engine: Engine) -> None:
    life = Life(engine, "crash", "sh", "-c", "exit 3", host={"RestartPolicy": {"Name": "always"}}).start()
    until(lambda: life.view["RestartCount"] >= 4 and life.status == "restarting", "it waits")
    engine.kill()
    begin = time.time()
    engine.start()

    until(lambda: "start" in [e["Action"] for e in events(engine, begin, container="crash")], "it was started")


def test_an_auto_removed_one_that_ended_meanwhile_is_removed(engine: Engine) -> None:
    life = listens(Life(engine, "brief", *POLITE, host={"AutoRemove": True}, Volumes={"/data": {}}).start())
    (volume,) = {mount["Name"] for mount in life.view["Mounts"]}
    end(life, signal.SIGTERM)
    engine.start()

    until(lambda: not life.there, "it is removed")
    until(lambda: volume not in named_volumes(engine), "its volume too")


def test_health_is_asked_on(engine: Engine) -> None:
    check = {"Test": ["CMD", "test", "-e", "/well"], "Interval": 100_000_000, "Retries": 1}
    life = Life(engine, "box", Healthcheck=check).start()
    until(lambda: life.state["Health"]["Status"] == "unhealthy", "ill")
    engine.kill()
    engine.start()
    life.run("touch", "/well")

    until(lambda: life.state["Health"]["Status"] == "healthy", "well")


def test_a_paused_one_stays_paused(engine: Engine) -> None:
    life = Life(engine, "box").start()
    life.verb("pause")
    engine.kill()
    engine.start()

    assert life.status == "paused"
    assert life.verb("unpause").status == 204
    assert life.run("echo", "x") == "x\n"


def test_one_without_its_monitor_is_ended_and_the_engine_comes_up(engine: Engine) -> None:
    life = Life(engine, "box").start()
    pid = int(life.state["Pid"])
    monitor = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    engine.kill()
    os.kill(monitor, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{monitor}").exists(), "its monitor is gone")
    engine.start()

    assert (life.status, life.state["ExitCode"]) == ("exited", 255)
    until(lambda: not Path(f"/proc/{pid}").exists(), "its process too")
    assert life.start().status == "running"


def test_one_whose_namespace_was_taken_away_does_not_keep_the_engine_down(engine: Engine) -> None:
    engine.http("POST", "/networks/create", {"Name": "red"})
    life = Life(engine, "box", host={"NetworkMode": "red"}).start()
    engine.kill()
    running.run(["umount", "--lazy", f"{engine.run_dir}/netns/{life.id}"])
    engine.start()

    assert life.status in ("running", "exited")
    assert life.remove(force=1).status == 204


def test_a_deletion_that_was_cut_off_is_finished(engine: Engine) -> None:
    engine.http("POST", "/volumes/create", {"Name": "kept"})
    trash = engine.root / "volumes" / ".removed-1" / "_data"
    stranger = engine.root / "containers" / ("f" * 64) / "upper"
    engine.kill()
    for folder in (trash, stranger):
        folder.mkdir(parents=True)
    engine.start()

    assert named_volumes(engine) == {"kept"}
    assert not trash.parent.exists()
    assert not stranger.parent.exists()


def test_a_kill_at_any_moment_of_many_starts(engine: Engine) -> None:
    """Whatever was half done is either there whole or not at all, and can be started and removed."""
    lives = [Life(engine, f"box{number}", *POLITE) for number in range(8)]
    for pause in (0.02, 0.06, 0.15):
        _kill_during_starts(engine, lives, pause)
        engine.start()
        for life in lives:
            assert life.status in ("created", "running", "exited"), life.state
            if life.status == "running":
                assert life.run("echo", "x") == "x\n"
            life.verb("stop", t=0)
        bundles = {path.name for path in (engine.run_dir / "containers").iterdir()}
        assert bundles == set()
    for life in lives:
        assert life.start().remove(force=1).status == 204


def _kill_during_starts(engine: Engine, lives: list[Life], pause_s: float) -> None:
    def start(life: Life) -> None:
        with contextlib.suppress(OSError):  # the engine was killed
            life.verb("start")

    with ThreadPoolExecutor(len(lives)) as pool:
        begin = time.monotonic()
        for life in lives:
            pool.submit(start, life)
        until(lambda: time.monotonic() > begin + pause_s, "some starts are under way")
        engine.kill()


def test_an_orderly_end_during_starts(engine: Engine) -> None:
    """The engine finishes what it has begun, or takes it back, and says nothing of errors."""
    lives = [Life(engine, f"box{number}", host={"RestartPolicy": {"Name": "no"}}) for number in range(8)]
    with ThreadPoolExecutor(len(lives)) as pool:
        started = [pool.submit(life.verb, "start") for life in lives]
        until(lambda: len(list((engine.run_dir / "netns").iterdir())) >= 2, "some starts are under way")
        engine.stop()
    assert "Traceback" not in engine.log.read_text()
    engine.start()
    for life, answer in zip(lives, started, strict=True):
        answered = answer.exception() is None and answer.result().status == 204
        assert not answered or life.status == "running"


def test_an_orderly_end_while_containers_crash(engine: Engine) -> None:
    for number in range(6):
        Life(engine, f"crash{number}", "sh", "-c", "exit 3", host={"RestartPolicy": {"Name": "always"}}).start()
    for _ in range(3):
        engine.stop()
        assert "Traceback" not in engine.log.read_text(), engine.tail()
        engine.start()
        until(lambda: engine.http("GET", "/_ping").status == 200, "it answers")
