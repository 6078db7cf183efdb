"""Health checks of real containers; every expectation was seen on Docker Engine 26.1."""

from __future__ import annotations

from typing import Any

from kernel.engine.lives import Life
from support.engine import Engine
from support.poll import until

MS = 1_000_000


def check(*test: str, **times_ms: int) -> dict[str, Any]:
    times = {key: value * MS for key, value in {"Interval": 100, "Timeout": 5000, **times_ms}.items()}
    return {"Healthcheck": {"Test": list(test), "Retries": 2, **times}}


def health(life: Life) -> dict[str, Any]:
    return dict(life.state["Health"])


def becomes(life: Life, status: str) -> None:
    until(lambda: health(life)["Status"] == status, f"{life.name} is {status}")


def test_a_good_one(engine: Engine) -> None:
    life = Life(engine, "well", **check("CMD-SHELL", "echo hello")).start()
    assert health(life) == {"Status": "starting", "FailingStreak": 0, "Log": []}
    becomes(life, "healthy")

    (first, *_) = health(life)["Log"]
    assert (first["ExitCode"], first["Output"]) == (0, "hello\n")


def test_a_bad_one_and_its_recovery(engine: Engine) -> None:
    life = Life(engine, "ill", **check("CMD", "test", "-e", "/well")).start()
    becomes(life, "unhealthy")
    assert health(life)["FailingStreak"] >= 2
    life.run("touch", "/well")

    becomes(life, "healthy")


def test_a_probe_that_runs_out_of_time_is_killed(engine: Engine) -> None:
    life = Life(engine, "slow", **check("CMD-SHELL", "echo so; exec sleep 500", Timeout=200)).start()
    becomes(life, "unhealthy")

    assert health(life)["Log"][0]["ExitCode"] == -1
    assert health(life)["Log"][0]["Output"] == "Health check exceeded timeout (200ms): so\n"
    until(lambda: health(life)["FailingStreak"] >= 5, "five probes")
    assert len([line for line in life.processes() if "sleep 500" in line]) <= 1


def test_a_command_that_does_not_exist(engine: Engine) -> None:
    life = Life(engine, "wrong", **check("CMD", "no-such-command")).start()
    becomes(life, "unhealthy")

    assert health(life)["Log"][0]["ExitCode"] in (-1, 127)


def test_the_beginning_of_long_output_is_kept(engine: Engine) -> None:
    life = Life(engine, "loud", **check("CMD-SHELL", "yes abcdefgh | head -c 6000; exit 1")).start()
    becomes(life, "unhealthy")
    output = health(life)["Log"][0]["Output"]

    assert (len(output), output[:9], output[-3:]) == (4099, "abcdefgh\n", "...")


def test_a_paused_container_is_not_asked_and_is_asked_again_afterwards(engine: Engine) -> None:
    life = Life(engine, "well", **check("CMD", "true")).start()
    becomes(life, "healthy")
    assert life.verb("pause").status == 204
    assert health(life)["Status"] == "unhealthy"
    assert life.verb("unpause").status == 204

    becomes(life, "healthy")


def test_a_stopped_container_is_not_healthy(engine: Engine) -> None:
    life = Life(engine, "well", **check("CMD", "true")).start()
    becomes(life, "healthy")
    assert life.verb("stop", t=0).status == 204
    assert health(life)["Status"] == "unhealthy"
    life.start()

    assert health(life)["Status"] in ("starting", "healthy")
    becomes(life, "healthy")


def test_none_switches_it_off(engine: Engine) -> None:
    life = Life(engine, "quiet", Healthcheck={"Test": ["NONE"]}).start()

    assert "Health" not in life.state
