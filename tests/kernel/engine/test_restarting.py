"""Containers that are started again and again: the pauses grow, and stopping or removing them is for good."""

from __future__ import annotations

import time
from functools import partial

import pytest

from kernel.engine.lives import POLITE, Life, actions, events, meanwhile
from support.engine import Engine
from support.poll import until

ALWAYS = {"RestartPolicy": {"Name": "always"}}


def listens(life: Life) -> bool:
    return "trap" in str(life.processes())


@pytest.fixture
def crashing(engine: Engine) -> Life:
    """Ends at once with 3, always to be started again; restarting for at least 0.8 s."""
    life = Life(engine, "crash", "sh", "-c", "exit 3", host=ALWAYS).start()
    until(lambda: life.view["RestartCount"] >= 4 and life.status == "restarting", "it waits for its fifth start")
    return life


def test_the_pauses_double(engine: Engine) -> None:
    begin = time.time()
    life = Life(engine, "crash", "sh", "-c", "exit 3", host=ALWAYS).start()
    until(lambda: life.view["RestartCount"] >= 4, "four restarts")
    told = [(e["Action"], e["timeNano"]) for e in events(engine, begin, container="crash")]
    ends = [when for action, when in told if action == "die"]
    starts = [when for action, when in told if action == "start"][1:]

    pauses = [start - end for end, start in zip(ends, starts, strict=False)]
    for number, pause in enumerate(pauses):
        assert pause >= 100_000_000 * 2**number, pauses


def test_a_start_by_hand_begins_anew(engine: Engine, crashing: Life) -> None:
    assert crashing.verb("stop").status == 204
    crashing.start()

    until(lambda: crashing.view["RestartCount"] == 1, "the count begins again", timeout_s=5)


def test_it_counts_as_running(engine: Engine, crashing: Life) -> None:
    assert (crashing.state["Running"], crashing.state["Restarting"], crashing.state["ExitCode"]) == (True, True, 3)


@pytest.mark.parametrize(
    ("verb", "status", "words"),
    [
        ("start", 304, ""),
        ("pause", 409, "is restarting, wait until the container is running"),
        ("attach?stream=1&stdout=1", 409, "is restarting, wait until the container is running"),
    ],
)
def test_what_has_to_wait_for_the_start(engine: Engine, crashing: Life, verb: str, status: int, words: str) -> None:
    reply = engine.http("POST", f"/containers/crash/{verb}")

    assert reply.status == status, reply.body
    assert words in reply.body.decode()


def test_no_exec_while_restarting(engine: Engine, crashing: Life) -> None:
    reply = engine.http("POST", "/containers/crash/exec", {"Cmd": ["true"]})

    assert (reply.status, reply.message) == (
        409, f"Container {crashing.id} is restarting, wait until the container is running",
    )  # fmt: skip


def test_removing_needs_force(crashing: Life) -> None:
    reply = crashing.remove()

    assert (reply.status, reply.message) == (
        409,
        'cannot remove container "/crash": container is restarting: stop the container before removing or force remove',
    )


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_stopping_is_for_good_and_is_told_to_those_who_wait(engine: Engine, crashing: Life, verb: str) -> None:
    with meanwhile(lambda: crashing.verb("wait", condition="next-exit")) as waiting:
        begin = time.time()
        assert crashing.verb(verb).status == 204
        assert waiting.result(timeout=10).json["StatusCode"] == 3
    count = crashing.view["RestartCount"]

    assert crashing.status == "exited"
    until(lambda: time.time() > begin + 2.5, "longer than the pause was")
    assert (crashing.status, crashing.view["RestartCount"]) == ("exited", count)


def test_what_was_removed_while_it_waited_never_comes_back(engine: Engine, crashing: Life) -> None:
    begin = time.time()
    assert crashing.remove(force=1).status == 204
    until(lambda: time.time() > begin + 2.5, "longer than the pause was")

    assert actions(engine, begin, crashing) == ["container destroy"]
    assert not (engine.run_dir / "containers" / crashing.id).exists()


def test_a_stop_signal_ends_the_restarts_and_another_does_not(engine: Engine) -> None:
    kept = Life(engine, "kept", "sh", "-c", "trap 'exit 5' HUP; while :; do sleep 0.05; done", host=ALWAYS).start()
    ended = Life(engine, "ended", *POLITE, host=ALWAYS).start()
    for life in (kept, ended):
        until(partial(listens, life), "it listens")
    assert kept.verb("kill", signal="HUP").status == 204
    assert ended.verb("kill", signal="TERM").status == 204

    until(lambda: kept.view["RestartCount"] == 1, "it was started again")
    ended.becomes("exited")
    assert (ended.state["ExitCode"], ended.view["RestartCount"]) == (3, 0)


def test_on_failure_gives_up(engine: Engine) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    life = Life(engine, "fails", "sh", "-c", "exit 4", host=policy).start().becomes("exited")

    assert (life.view["RestartCount"], life.state["ExitCode"]) == (2, 4)


def test_on_failure_is_content_with_success(engine: Engine) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure"}}
    life = Life(engine, "works", "true", host=policy).start().becomes("exited")

    assert life.view["RestartCount"] == 0
