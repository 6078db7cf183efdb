"""The engine is killed; its containers are not. Another engine finds them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sealane
from kernel.runtime.lab import RuntimeLab, read_until, until
from sealane.linux import process
from sealane.runtime.conmon import LOST
from sealane.runtime.leftovers import end_containers
from sealane.runtime.spec import oci_config

SOURCE = Path(sealane.__file__).parents[1]
SCRIPT = Path(__file__).with_name("engine_process.py")


async def engine_dies(lab: RuntimeLab, *args: str, start: bool = True) -> int:
    """Let an engine make container c1, kill that engine and its whole session; the pid of conmon."""
    plan = lab.plan("c1", *args)
    lab.adopt("c1")
    told = {
        "run_dir": str(lab.run_dir),
        "runtime": str(lab.runtime.path),
        "runtime_name": lab.runtime.name,
        "config": json.dumps(oci_config(plan)),
        "id": "c1",
        "log": str(lab.log("c1")),
        "start": "yes" if start else "",
    }
    (lab.folder / "launch.json").write_text(json.dumps(told))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), str(lab.folder / "launch.json")),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        start_new_session=True,
    )
    assert child.stdout is not None
    conmon = int(await child.stdout.readline())
    os.killpg(child.pid, signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    return conmon


def test_its_end_is_learned_by_the_next_engine(lab: RuntimeLab) -> None:
    async def story() -> None:
        await engine_dies(lab, "sh", "-c", "echo up; read x; echo got $x; exit 6")
        assert lab.monitor.running("c1")
        assert lab.monitor.released("c1")
        assert process.exists(lab.monitor.pid("c1"))
        waiting = asyncio.ensure_future(lab.monitor.wait_exit("c1"))
        streams = await lab.attach("c1")
        await streams.write(b"word\n")
        assert await waiting == 6
        assert await lab.printed("c1") == "up\ngot word\n"

    lab.run(story())


def test_one_that_ended_while_no_engine_was_there(lab: RuntimeLab) -> None:
    async def story() -> None:
        conmon = await engine_dies(lab, "sh", "-c", "echo done; exit 7")
        await until(lambda: not process.exists(conmon), "conmon has ended")
        assert not lab.monitor.running("c1")
        ended = lab.monitor.exit("c1")
        assert ended is not None
        assert ended.code == await lab.monitor.wait_exit("c1") == 7
        assert await lab.printed("c1") == "done\n"

    lab.run(story())


def test_one_that_was_not_released_yet(lab: RuntimeLab) -> None:
    async def story() -> None:
        await engine_dies(lab, "sh", "-c", "echo late", start=False)
        assert lab.monitor.running("c1")
        assert not lab.monitor.released("c1")
        await lab.monitor.start("c1")
        assert (await lab.result("c1")).out == "late\n"

    lab.run(story())


def test_everything_works_on_it(lab: RuntimeLab) -> None:
    async def story() -> None:
        await engine_dies(lab, "sleep", "1000")
        child = await lab.exec("c1", "echo", "here")
        await read_until(child.streams, b"here")
        assert await child.wait() == 0
        await lab.monitor.pause("c1")
        await lab.monitor.resume("c1")
        assert lab.monitor.usage("c1").pids == 1
        await lab.monitor.kill("c1", signal.SIGKILL)
        assert await lab.monitor.wait_exit("c1") == 128 + signal.SIGKILL

    lab.run(story())


def test_conmon_died_too(lab: RuntimeLab) -> None:
    async def story() -> None:
        conmon = await engine_dies(lab, "sleep", "1000")
        pid = lab.monitor.pid("c1")
        os.kill(conmon, signal.SIGKILL)
        await until(lambda: not process.exists(conmon), "conmon has ended")
        await lab.restart_engine()
        assert not lab.monitor.running("c1")
        assert await lab.monitor.wait_exit("c1") == LOST
        assert not process.exists(pid)

    lab.run(story())


def test_containers_that_no_record_knows(lab: RuntimeLab) -> None:
    """The engine died before it wrote down that they run: the next one ends them."""

    async def story() -> None:
        pids = [await engine_dies(lab, "sleep", "1000", start=False)]
        await lab.start("c2", "sleep", "1000")
        pids.append(lab.monitor.pid("c1"))
        await asyncio.to_thread(end_containers, lab.run_dir, {"c2"})
        await until(lambda: not any(process.exists(pid) for pid in pids), "they are gone")
        assert lab.monitor.running("c2")
        assert os.listdir(lab.run_dir / "containers") == ["c2"]
        assert os.listdir(lab.run_dir / "oci") == ["c2"]
        assert os.listdir(lab.run_dir / "exits") == []

    lab.run(story())


def test_a_number_that_now_is_another_process(lab: RuntimeLab) -> None:
    """After a reboot the file may name anybody: nobody but conmon is taken for conmon."""

    async def story() -> None:
        bundle = lab.monitor.bundle("c1")
        bundle.mkdir(parents=True)
        lab.adopt("c1")
        for stranger in (os.getpid(), 1):
            (bundle / "conmon.pid").write_text(str(stranger))
            await lab.restart_engine()
            assert not lab.monitor.running("c1")
            with pytest.raises(ProcessLookupError):
                await lab.monitor.kill("c1", signal.SIGKILL)
        await lab.start("c2", "sleep", "1000")  # a conmon, but not the one
        (bundle / "conmon.pid").write_text((lab.monitor.bundle("c2") / "conmon.pid").read_text())
        assert not lab.monitor.running("c1")
        await lab.monitor.delete("c1")
        assert lab.monitor.running("c2")

    lab.run(story())


@pytest.mark.parametrize("text", ["", "x", "-1", "99999999999", "0"])
def test_a_pid_file_that_holds_nonsense(lab: RuntimeLab, text: str) -> None:
    async def story() -> None:
        bundle = lab.monitor.bundle("c1")
        bundle.mkdir(parents=True)
        lab.adopt("c1")
        (bundle / "conmon.pid").write_text(text)
        (bundle / "pid").write_text(text)
        assert not lab.monitor.running("c1")
        assert await lab.monitor.wait_exit("c1") == LOST

    lab.run(story())
