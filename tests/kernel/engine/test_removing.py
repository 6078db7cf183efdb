"""Removing containers, whatever else is done to them at that moment: gone is gone."""

from __future__ import annotations

import socket
import time
from functools import partial
from pathlib import Path

from kernel.engine.lives import POLITE, SLEEP, Life, at_once, events, meanwhile, named_volumes
from support.engine import Engine
from support.poll import until


def nothing_of(engine: Engine, life: Life) -> bool:
    """No process, no bundle, no namespace, no files."""
    places = (engine.run_dir / "containers", engine.run_dir / "netns", engine.root / "containers")
    groups = Path("/sys/fs/cgroup").glob(f"*{engine.cgroup}/{life.id}")
    return not any((place / life.id).exists() for place in places) and not list(groups)


def test_start_and_forced_removal_at_once(engine: Engine) -> None:
    for number in range(12):
        life = Life(engine, f"race{number}")
        started, removed = at_once(partial(life.verb, "start"), partial(life.remove, force=1))

        assert started.status in (204, 404, 409), started.body
        assert removed.status == 204, removed.body
        assert not life.there
        assert nothing_of(engine, life)


def test_a_container_that_was_started_meanwhile_is_not_removed_without_force(engine: Engine) -> None:
    for number in range(12):
        life = Life(engine, f"race{number}")
        started, removed = at_once(partial(life.verb, "start"), life.remove)

        if removed.status == 204:
            assert started.status in (404, 409), started.body
            assert nothing_of(engine, life)
        else:
            assert (removed.status, started.status) == (409, 204), (removed.body, started.body)
            assert life.status == "running"


def test_two_starts_at_once_make_one_run(engine: Engine) -> None:
    begin = time.time()
    life = Life(engine, "twice")
    codes = sorted(reply.status for reply in at_once(*[lambda: life.verb("start")] * 4))

    assert codes == [204, 304, 304, 304]
    assert [e["Action"] for e in events(engine, begin, event="start")] == ["start"]


def test_every_verb_at_once_leaves_nothing(engine: Engine) -> None:
    verbs = ("start", "stop?t=0", "kill", "restart?t=0", "pause", "unpause", "rename?name=mix2", "start", "stop?t=0")
    for _ in range(4):
        life = Life(engine, "mix", *POLITE)
        replies = at_once(
            *[partial(engine.http, "POST", f"/containers/{life.id}/{verb}") for verb in verbs],
            partial(engine.http, "POST", "/networks/bridge/disconnect", {"Container": life.id}),
            partial(engine.http, "DELETE", f"/containers/{life.id}?force=1"),
        )

        assert all(reply.status < 500 for reply in replies), [reply.body for reply in replies]
        assert replies[-1].status == 204
        assert engine.http("GET", f"/containers/{life.id}/json").status == 404
        assert nothing_of(engine, life)


def test_forced_removal_does_not_wait_for_a_patient_stop(engine: Engine) -> None:
    life = Life(engine, "deaf", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done").start()
    with meanwhile(lambda: life.verb("stop", t=-1)) as stopping:
        until(lambda: "kill" in [e["Action"] for e in events(engine, 0, container="deaf")], "it was asked to stop")
        assert life.remove(force=1).status == 204
        assert stopping.result(timeout=10).status == 204
    assert nothing_of(engine, life)


def test_kill_returns_when_the_container_has_ended(engine: Engine) -> None:
    for number in range(5):
        life = Life(engine, f"killed{number}", "sh", "-c", "trap '' TERM; sleep 1000").start()
        assert life.verb("kill").status == 204
        assert life.remove().status == 204


def test_one_who_attached_and_waits_for_a_start_is_told_that_there_will_be_none(engine: Engine) -> None:
    life = Life(engine, "never")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(engine.socket))
        request = f"POST /containers/{life.id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
        sock.sendall((request + "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n").encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 101")
        assert life.remove().status == 204
        assert sock.recv(4096) == b""


def test_waiting_for_the_removal_ends_when_everything_is_gone(engine: Engine) -> None:
    """``docker run --rm`` goes on from here: name, files and nameless volumes must be free."""
    for _ in range(5):
        life = Life(engine, "brief", "sh", "-c", "exit 7", host={"AutoRemove": True}, Volumes={"/data": {}})
        (volume,) = {mount["Name"] for mount in life.view["Mounts"]}
        with meanwhile(partial(life.verb, "wait", condition="removed")) as waiting:
            life.start()
            assert waiting.result(timeout=20).json["StatusCode"] == 7
        assert volume not in named_volumes(engine)
        assert nothing_of(engine, life)


def test_named_volumes_stay(engine: Engine) -> None:
    life = Life(engine, "keeper", host={"Binds": ["precious:/data"]}, Volumes={"/tmp/x": {}})
    mounts = {mount["Destination"]: mount["Name"] for mount in life.view["Mounts"]}
    assert life.remove(v=1).status == 204

    assert "precious" in named_volumes(engine)
    assert mounts["/tmp/x"] not in named_volumes(engine)


def test_a_volume_of_a_stopped_container_is_in_use(engine: Engine) -> None:
    life = Life(engine, "holder", host={"Binds": ["held:/data"]})
    reply = engine.http("DELETE", "/volumes/held?force=1")

    assert (reply.status, reply.message) == (409, f"remove held: volume is in use - [{life.id}]")


def test_a_refused_creation_leaves_no_volume(engine: Engine) -> None:
    before = named_volumes(engine)
    refused = Life(
        engine,
        "greedy",
        host={"Mounts": [{"Type": "volume", "Target": "/b", "VolumeOptions": {"DriverConfig": {"Name": "nfs"}}}]},
        Volumes={"/a": {}},
    )

    assert refused.created.status == 400, refused.created.body
    assert named_volumes(engine) == before
    assert Life(engine, "greedy").created.status == 201


def test_what_ended_while_it_was_connected_is_no_server_error(engine: Engine) -> None:
    engine.http("POST", "/networks/create", {"Name": "red"})
    for number in range(8):
        life = Life(engine, f"brief{number}", *SLEEP).start()
        connected, killed = at_once(
            partial(engine.http, "POST", "/networks/red/connect", {"Container": life.id}), partial(life.verb, "kill")
        )

        assert connected.status in (200, 409), connected.body
        assert killed.status == 204, killed.body
        assert life.remove().status == 204
        assert nothing_of(engine, life)
    assert engine.http("DELETE", "/networks/red").status == 204
