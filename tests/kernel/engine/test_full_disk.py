"""An engine whose disk is full: each refusal is one clear line, and what runs can be stopped and removed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kernel.engine.lives import POLITE, Life
from support import running
from support.engine import Engine
from support.poll import until
from support.registry import Registry
from support.session import Session

FULL = ("database or disk is full", "No space left on device")


@pytest.fixture
def engine(session: Session, registry: Registry) -> Iterator[Engine]:
    """Its state lies on a small file system of its own."""
    made = Engine(session, mirrors=[registry.url])
    disk = session.folder("small")
    running.run(["mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=20000", "small", str(disk)])
    made.root = disk / "root"
    try:
        with made:
            made.cli("pull", "busybox")
            yield made
            empty(made)
    finally:
        running.run(["umount", str(disk)])
        disk.rmdir()


def filler(engine: Engine) -> Path:
    return engine.root / "filler"


def fill(engine: Engine) -> None:
    with open(filler(engine), "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    with open(filler(engine), "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.write(b"x")


def empty(engine: Engine) -> None:
    filler(engine).unlink(missing_ok=True)


def listens(life: Life) -> bool:
    return "trap" in str(life.processes())


def test_nothing_new(engine: Engine) -> None:
    stopped = Life(engine, "stopped", *POLITE)
    fill(engine)
    replies = {
        "container": engine.http("POST", "/containers/create?name=new", {"Image": "busybox"}),
        "network": engine.http("POST", "/networks/create", {"Name": "red"}),
        "volume": engine.http("POST", "/volumes/create", {"Name": "vol"}),
        "start": stopped.verb("start"),
        "rename": stopped.verb("rename", name="other"),
    }

    for what, reply in replies.items():
        assert reply.status == 500, (what, reply.body)
        assert any(words in reply.message for words in FULL), (what, reply.message)
        assert "\n" not in reply.message
    assert "Traceback" not in engine.log.read_text(), engine.tail()
    empty(engine)
    assert stopped.start().status == "running"
    assert engine.http("POST", "/networks/create", {"Name": "red"}).status == 201
    assert engine.http("POST", "/containers/create?name=new", {"Image": "busybox"}).status == 201


def test_what_runs_can_be_stopped_and_removed(engine: Engine) -> None:
    lives = [Life(engine, name, *POLITE).start() for name in ("one", "two")]
    for life in lives:
        until(partial(listens, life), "it listens")
        engine.cli("exec", life.name, "dd", "if=/dev/zero", "of=/data", "bs=1M", "count=1")
    fill(engine)
    one, two = lives

    assert one.verb("stop").status == 204
    assert (one.status, one.state["ExitCode"]) == ("exited", 3)
    assert two.verb("kill").status == 204
    assert two.remove().status == 204
    assert one.remove().status == 204
    engine.kill()
    empty(engine)
    engine.start()
    assert [life.there for life in lives] == [False, False]


def test_an_end_that_could_not_be_written_is_seen_all_the_same(engine: Engine) -> None:
    life = Life(engine, "brief").start()
    fill(engine)
    os.kill(int(life.state["Pid"]), signal.SIGKILL)

    life.becomes("exited")
    assert life.state["ExitCode"] == 137
    empty(engine)
    assert life.start().status == "running"
