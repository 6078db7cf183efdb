"""``sealane`` shows what the real ``docker`` shows: the same command through both, on the same engine, at one moment.

The stage is set once for the module; the commands here only look, or are refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.engine import Engine
from support.images import BUSYBOX
from support.poll import until
from support.transcripts import bare

BUSY = "echo out; echo err >&2; trap 'exit 7' TERM; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def stage(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Containers w1 (running, with everything), x1 (running), y1 (never started), z1 (ended with 3), two networks."""
    engine, shared = shared_engine, tmp_path_factory.mktemp("shared")
    mtu = "com.docker.network.driver.mtu=1400"
    engine.cli("network", "create", "--subnet", "10.77.0.0/16", "--label", "x=y", "-o", mtu, "net")
    engine.cli("network", "create", "net2")
    engine.cli("tag", BUSYBOX, "extra:two")
    engine.cli(
        "run", "-d", "--name", "w1", "-v", "vol:/v", "-v", f"{shared}:/shared:ro", "-p", "39999:80",
        "-p", "127.0.0.1:39998:81/udp", "-p", "39990-39992:90-92", "--expose", "77", "--label", "a=b",
        "--label", "c=<d>", "--network", "net", "--ip", "10.77.0.9", "--mac-address", "02:42:0a:4d:00:09",
        "--health-cmd", "true", "--health-interval", "1h", "-e", "FOO=bar", "-m", "64m", "--pids-limit", "50",
        "--ulimit", "nofile=100:200",
        BUSYBOX, "sh", "-c", BUSY,
    )  # fmt: skip
    engine.cli("run", "-d", "--name", "x1", "--network", "net", "--network-alias", "al", BUSYBOX, "sleep", "100000")
    engine.cli("create", "--name", "y1", BUSYBOX, "true")
    engine.cli("run", "--name", "z1", BUSYBOX, "sh", "-c", "exit 3", check=False)
    until(lambda: engine.cli("logs", "w1").err == "err\n", "w1 has spoken")
    yield engine
    engine.tidy()
    engine.cli("rmi", "extra:two")


def both(engine: Engine, words: list[str]) -> tuple[object, object]:
    """What the two programs make of it, docker first."""
    return bare(engine.docker(*words, check=False)), bare(engine.cli(*words, check=False))


def lines(name: str) -> list[str]:
    """The command lines of a file beside this one: one a line, with comments and empty lines."""
    text = (Path(__file__).parent / "command_lines" / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("line", lines("looking.txt"))
def test_looking(stage: Engine, line: str) -> None:
    docker, sealane = both(stage, shlex.split(line))

    assert sealane == docker


@pytest.mark.parametrize("line", lines("refused.txt"))
def test_what_is_refused(stage: Engine, line: str) -> None:
    docker, sealane = both(stage, shlex.split(line))

    assert sealane == docker
    assert isinstance(docker, tuple)
    assert docker[0] != 0


def test_details_are_the_engine_s_own_json(stage: Engine) -> None:
    """Byte for byte, and not only in sense: people compare such outputs."""
    for words in (["inspect", "w1", "x1"], ["network", "inspect", "net"], ["volume", "inspect", "vol"]):
        assert stage.cli(*words).out == stage.docker(*words).out


def test_streams_of_logs_stay_apart(stage: Engine) -> None:
    for result in (stage.docker("logs", "w1"), stage.cli("logs", "w1")):
        assert (result.out, result.err) == ("out\n", "err\n")


def test_facts_about_the_engine(stage: Engine) -> None:
    def server(text: str) -> str:
        return text[text.index("Server:") :]

    assert server(stage.cli("info").out) == server(stage.docker("info").out)


def test_events_that_were(stage: Engine) -> None:
    words = ["events", "--since", "1h", "--until", "0s", "--filter", "container=z1", "--filter", "event=create"]

    assert stage.cli(*words).out == stage.docker(*words).out != ""
    assert stage.cli(*words, "--format", "json").json == stage.docker(*words, "--format", "json").json


def test_what_containers_use(stage: Engine) -> None:
    form = "{{.Name}} {{.ID}} {{.PIDs}} {{.Container}}"
    words = ["stats", "--no-stream", "--format", form, "x1"]

    assert stage.cli(*words).out == stage.docker(*words).out


def test_an_archive_of_an_image(stage: Engine, tmp_path: Path) -> None:
    stage.docker("save", "-o", str(tmp_path / "docker.tar"), BUSYBOX)
    stage.cli("save", "-o", str(tmp_path / "sealane.tar"), BUSYBOX)

    assert (tmp_path / "sealane.tar").read_bytes() == (tmp_path / "docker.tar").read_bytes()
    assert list(tmp_path.glob("*.partial*")) == []
