"""Bad input: Docker's status code, one clear line that names the object, and nothing left behind."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.inventory import untouched
from lab.marks import ours
from support import running
from support.drawing import Cli, Lab
from support.engine import BIN, Engine
from support.registry import Registry, build_image, layer, sha256, tar_of
from support.session import Session


@pytest.fixture
def unchanged(engine: Engine) -> Iterator[None]:
    """What the test does leaves no trace."""
    with untouched(engine):
        yield


@pytest.fixture
def crooked(tmp_path: Path) -> Iterator[tuple[Registry, Path]]:
    """A registry of one's own, and the folder in which it keeps its blobs."""
    with Registry(tmp_path / "registry") as made:
        yield made, tmp_path / "registry" / "data" / "docker" / "registry" / "v2" / "blobs" / "sha256"


def _blob(folder: Path, digest: str) -> Path:
    hexadecimal = digest.removeprefix("sha256:")
    return folder / hexadecimal[:2] / hexadecimal / "data"


@ours
@pytest.mark.parametrize("crime", ["other bytes", "too short", "missing"])
def test_layers_that_are_not_what_they_say(
    cli: Cli, crooked: tuple[Registry, Path], unchanged: None, crime: str
) -> None:
    registry, blobs = crooked
    image = registry.push_image("app", "1", [layer({"bin/app": b"an application" * 5000})])
    (digest,) = (blob for blob in image.blobs if blob != image.id)
    path = _blob(blobs, digest)
    data = path.read_bytes()
    match crime:
        case "other bytes":
            path.write_bytes(data[:-20] + bytes(20))
        case "too short":
            path.write_bytes(data[: len(data) // 2])
        case _:
            path.unlink()
    said = cli.refuses("pull", f"{registry.host}/app:1")
    assert said.strip().splitlines()[-1], said
    assert digest[7:19] in said or digest in said, "the layer is named"
    path.write_bytes(data)
    assert "Downloaded newer image" in cli("pull", f"{registry.host}/app:1").out, "a good one can be had at once"
    cli("rmi", f"{registry.host}/app:1")


def _hostile() -> dict[str, bytes]:
    escape = tarfile.TarInfo("../../../../../../tmp/sealane-escaped")
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
    through = tarfile.TarInfo("link/sealane-escaped")
    hard = tarfile.TarInfo("passwd")
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../../../../../etc/passwd"
    return {
        "dots": tar_of((escape, b"out")),
        "through a link": tar_of(link, (through, b"out")),
        "hard link to the host": tar_of(hard),
        "no archive": b"this is no tar archive" * 100,
    }


@pytest.mark.parametrize("kind", ["dots", "through a link", "hard link to the host", "no archive"])
def test_hostile_layers(cli: Cli, crooked: tuple[Registry, Path], unchanged: None, kind: str) -> None:
    registry, _ = crooked
    registry.push("app", "1", build_image([_hostile()[kind]]))
    outside = Path("/tmp/sealane-escaped")
    assert not outside.exists()
    result = cli("pull", f"{registry.host}/app:1", check=False)
    assert not outside.exists()
    if result.code == 0:  # a link inside the image may lead to the image's own /tmp
        assert kind == "through a link"
        cli("rmi", f"{registry.host}/app:1")
    else:
        assert len(result.err.strip().splitlines()) == 1, result.err


@ours
def test_a_digest_that_is_not_there(cli: Cli, crooked: tuple[Registry, Path], unchanged: None) -> None:
    registry, _ = crooked
    registry.push_image("app", "1", [layer({"bin/app": b"x"})])
    wrong = sha256(b"nothing")
    assert wrong in cli.refuses("pull", f"{registry.host}/app@{wrong}")
    assert "not found" in cli.refuses("pull", f"{registry.host}/app:2")


def test_a_full_disk(session: Session, registry: Registry, tmp_path: Path) -> None:
    """The engine's whole state on a small file system: pulls, containers and networks fail in words, and it goes on."""
    engine = Engine(session, mirrors=[registry.url])
    engine.root, disk = tmp_path / "root", tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(24 << 20)
    running.run(["mkfs.ext4", "-q", "-F", str(disk)])
    engine.root.mkdir()
    running.run(["mount", "-o", "loop", str(disk), str(engine.root)])
    try:
        with engine:
            cli = Cli(engine, "sealane")
            assert "no space left on device" in cli.refuses("pull", "centos:7.6.1810")
            assert cli("images", "-q").out == ""
            cli("pull", "-q", "busybox")
            box = Lab(cli, engine.folder, ExitStack()).container("aa")
            said = box.shell("dd if=/dev/zero of=/big bs=1M", check=False).err
            assert "No space left on device" in said
            reply = engine.http("POST", "/networks/create", {"Name": "red"})
            assert reply.status in (201, 500)
            assert reply.status == 201 or "no space left on device" in reply.message.lower()
            box.run("rm", "/big")
            cli("network", "create", "blue")
            cli("run", "--rm", "--network", "blue", "busybox", "true")
    finally:
        running.run(["umount", str(engine.root)], check=False)


def test_who_may_not_speak_to_the_socket(engine: Engine, cli: Cli) -> None:
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search",
                "--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search"]  # fmt: skip
    program = "docker" if cli.program == "docker" else str(BIN / "sealane")
    result = running.run([*stranger, program, "ps"], env=engine.environ, check=False)
    assert result.code == 1
    assert "permission denied while trying to connect to" in result.err
    assert str(engine.socket) in result.err
    assert engine.socket.stat().st_mode & 0o777 == 0o660


def test_nobody_is_there(cli: Cli, tmp_path: Path) -> None:
    result = cli("-H", f"unix://{tmp_path}/none.sock", "ps", check=False)
    assert result.code == 1
    assert re.search(r"[Cc]annot connect to the (Docker|Sealane) daemon at unix://", result.err), result.err


@ours
@pytest.mark.parametrize("text", ["[nonsense]\nx = 1\n", "[engine]\nroot = 7\n", "[engine\n"])
def test_configurations_that_make_no_sense(tmp_path: Path, cli: Cli, text: str) -> None:
    path = tmp_path / "sealaned.toml"
    path.write_text(text)
    program = str(BIN / "sealaned")
    result = running.run([program, "--config", str(path)], check=False)
    assert result.code != 0
    assert str(path) in result.err
    assert len(result.err.strip().splitlines()) == 1
