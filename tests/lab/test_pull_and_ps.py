"""Items 1, 2 and 4: an image is pulled, two containers run, ``ps`` and ``network ls`` print Docker's columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from lab.marks import ours
from support.drawing import Cli, Lab
from support.engine import Engine
from support.images import BUSYBOX, CENTOS, make
from support.poll import until
from support.registry import Registry
from support.session import Session

_TUTORIAL = ("run", "-it", "-d")


@pytest.fixture(scope="module")
def bare(session: Session, registry: Registry) -> Iterator[Engine]:
    with Engine(session, mirrors=[registry.url]) as made:
        yield made


@pytest.fixture
def fresh(bare: Engine, request: pytest.FixtureRequest) -> Iterator[Cli]:
    """A command line to an engine without images."""
    cli = Cli(bare, request.param)
    assert cli("images", "-aq").out == ""
    yield cli
    bare.tidy()
    cli("rmi", "-f", *set(cli("images", "-aq").out.split()))


@pytest.mark.parametrize("fresh", ["sealane", "docker"], indirect=True)
def test_the_first_pull_downloads_and_the_second_finds_it(fresh: Cli) -> None:
    image = dict(make().all())[CENTOS]
    (layer,) = json.loads(image.manifest)["layers"]
    short = layer["digest"].removeprefix("sha256:")[:12]

    first = fresh("pull", CENTOS).out.splitlines()
    assert first[0] == "7.6.1810: Pulling from library/centos"
    assert [line for line in first if line.startswith(f"{short}: ")][-1] == f"{short}: Pull complete"
    assert first[-3:] == [
        f"Digest: {image.digest}",
        f"Status: Downloaded newer image for {CENTOS}",
        f"docker.io/library/{CENTOS}",
    ]
    second = fresh("pull", CENTOS).out.splitlines()
    assert second[-2] == f"Status: Image is up to date for {CENTOS}"
    assert fresh("pull", "-q", CENTOS).out == f"docker.io/library/{CENTOS}\n"


@pytest.mark.parametrize("fresh", ["sealane", "docker"], indirect=True)
def test_a_pull_on_a_terminal_draws_progress(fresh: Cli) -> None:
    with fresh.terminal("pull", "busybox") as terminal:
        terminal.expect(r"[0-9a-f]{12}: (Downloading|Download complete|Extracting|Pull complete)")
        terminal.expect(r"Status: Downloaded newer image for busybox:latest")
        assert terminal.wait() == 0


@pytest.mark.parametrize("fresh", ["sealane", "docker"], indirect=True)
def test_run_pulls_what_is_missing(fresh: Cli) -> None:
    result = fresh("run", "--rm", "busybox", "echo", "hello")
    assert result.out == "hello\n"
    assert "Unable to find image 'busybox:latest' locally" in result.err
    assert "Status: Downloaded newer image for busybox:latest" in result.err
    assert "Error" in fresh.refuses("run", "--pull=never", "busybox:none", "true", code=125)


@pytest.mark.parametrize(
    "name", ["busybox", "docker.io/library/busybox", "library/busybox:latest", "index.docker.io/library/busybox", "id"]
)
def test_names_of_images_are_docker_s(cli: Cli, name: str) -> None:
    known = cli("inspect", "-f", "{{.Id}}", BUSYBOX).line
    asked = known.removeprefix("sha256:")[:12] if name == "id" else name
    assert cli("image", "inspect", "-f", "{{.Id}}", asked).line == known


def test_images_that_are_not_there(cli: Cli) -> None:
    said = cli.refuses("image", "inspect", "nothing/like:this")
    assert re.search(r"No such image: nothing/like:this", said), said
    said = cli.refuses("pull", "UpperCase")
    assert "must be lowercase" in said, said


def test_run_prints_the_id_and_ps_the_columns(lab: Lab, cli: Cli) -> None:
    ids = [cli(*_TUTORIAL, "--name", name, CENTOS).line for name in ("srv1", "srv2")]
    assert all(re.fullmatch(r"[0-9a-f]{64}", identifier) for identifier in ids)

    head, *rows = cli("ps", "-a").out.splitlines()
    assert re.split(r" {2,}", head.rstrip()) == [
        "CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES",
    ]  # fmt: skip
    assert [row.split()[-1] for row in rows] == ["srv2", "srv1"], "newest first"
    cells = re.split(r" {2,}", rows[1].rstrip())
    assert cells[:3] == [ids[0][:12], CENTOS, '"/bin/bash"']
    assert re.fullmatch(r"(Less than a|\d+) seconds? ago", cells[3])
    assert re.fullmatch(r"Up (Less than a|\d+) seconds?", cells[4])
    assert cells[5:] == ["srv1"]
    assert all(row.index("srv") == head.index("NAMES") for row in rows)

    assert cli("ps", "-q", "--no-trunc").out.split() == [ids[1], ids[0]]
    assert cli("ps", "-aq", "--filter", "name=srv2").line == ids[1][:12]
    assert cli("ps", "--format", "{{.Names}} {{.Image}} {{.Networks}}", "-n1").line == f"srv2 {CENTOS} bridge"
    assert json.loads(cli("ps", "--format", "json", "-l").line)["Names"] == "srv2"


def test_ps_says_how_they_ended(cli: Cli) -> None:
    cli("run", "--name", "ended", "busybox", "sh", "-c", "exit 3", check=False)
    cli("create", "--name", "made", "busybox", "true")
    assert cli("ps", "-q").out == ""
    states = dict(line.split(" ", 1) for line in cli("ps", "-a", "--format", "{{.Names}} {{.Status}}").out.splitlines())
    assert re.fullmatch(r"Exited \(3\) (Less than a|\d+) seconds? ago", states["ended"])
    assert states["made"] == "Created"


def test_a_fresh_engine_has_three_networks(cli: Cli) -> None:
    head, *rows = cli("network", "ls").out.splitlines()
    assert re.split(r" {2,}", head.rstrip()) == ["NETWORK ID", "NAME", "DRIVER", "SCOPE"]
    cells = [row.split() for row in rows]
    assert [row[1:] for row in cells] == [
        ["bridge", "bridge", "local"],
        ["host", "host", "local"],
        ["none", "null", "local"],
    ]
    assert all(re.fullmatch(r"[0-9a-f]{12}", row[0]) for row in cells)
    assert cli("network", "ls", "-q", "--no-trunc", "-f", "driver=null").line.startswith(cells[2][0])


@ours
def test_a_name_is_free_again_when_its_container_is_gone(cli: Cli) -> None:
    cli("run", "-d", "--name", "srv1", "busybox", "sleep", "1000")
    said = cli.refuses("run", "-d", "--name", "srv1", "busybox", "true", code=125)
    assert 'Conflict. The container name "/srv1" is already in use by container "' in said
    assert cli("rm", "-f", "srv1").line == "srv1"
    cli("run", "-d", "--rm", "--name", "srv1", "busybox", "true")
    until(lambda: cli("ps", "-aq").out == "", "the container is removed when it ends")
