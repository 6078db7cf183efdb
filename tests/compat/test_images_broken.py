"""Images when things go wrong: the engine killed in the middle, clients that go away, full disks, hostile archives."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import signal
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat.stalling import StallingRegistry
from support import images, running
from support.engine import Engine
from support.poll import holds, until
from support.registry import BuiltImage, Registry, build_image, layer, sha256, tar_of
from support.session import Session

NOISE = random.Random(5).randbytes(6_000_000)  # does not compress, so that there is something to interrupt


def busybox() -> bytes:
    """A plain archive with a shell."""
    (packed,) = (
        blob for digest, blob in dict(images.make().all())[images.BUSYBOX].blobs.items() if blob[:1] == b"\x1f"
    )
    return zlib.decompress(packed, wbits=31)


def many(count: int) -> bytes:
    """A layer whose unpacking takes a while."""
    return layer({f"many/{number % 50}/{number}": b"x" * 100 for number in range(count)})


class Store:
    """What lies on the disk of an engine."""

    def __init__(self, engine: Engine) -> None:
        self.root = engine.root / "image"

    def count(self, *where: str) -> int:
        return len(list(self.root.glob("/".join([*where, "*"]))))

    def look(self) -> dict[str, int]:
        return {name: self.count(name) for name in ("tmp", "downloads", "layers", "images", "blobs/sha256")}

    @property
    def arrived(self) -> int:
        """Bytes of interrupted or running transfers."""
        sizes = 0
        for file in (self.root / "downloads").iterdir():
            with contextlib.suppress(FileNotFoundError):
                sizes += file.stat().st_size
        return sizes


NOTHING = {"tmp": 0, "downloads": 0, "layers": 0, "images": 0, "blobs/sha256": 0}


@pytest.fixture
def fresh(make_engine: Callable[..., Engine]) -> Engine:
    """An engine without images."""
    return make_engine()


@contextlib.contextmanager
def background(engine: Engine, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``docker ARGUMENTS`` beside the test."""
    process = subprocess.Popen(
        ["docker", *arguments], env=engine.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=running.default_signals,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# kill -9


def test_an_engine_killed_during_a_download(fresh: Engine) -> None:
    image = build_image([busybox(), layer({"noise": NOISE})])
    store = Store(fresh)
    with StallingRegistry(image, _layers(image)[1], 3_000_000) as registry:
        with background(fresh, "pull", registry.name) as pull:
            until(lambda: store.arrived >= 2_000_000 and store.count("layers") == 1, "one layer is there, one half")
            fresh.kill()
            assert pull.wait(20) == 1
        fresh.start()

        assert fresh.docker("images", "-q", "-a").out == ""
        assert store.look() == NOTHING
        refused = fresh.docker("run", "--rm", "--pull=never", registry.name, "true", check=False)
        assert (refused.code, "No such image" in refused.err) == (125, True)
        registry.release()
        assert "Downloaded newer image" in fresh.docker("pull", registry.name).out
        assert fresh.docker("run", "--rm", registry.name, "sha256sum", "/noise").out.split()[0] == sha256(NOISE)[7:]


@pytest.mark.parametrize(
    "moment",
    ["blobs/sha256/*", "tmp/layer-*/diff/many/*/*", "tmp/layer-*/layer.json", "layers/*/layer.json", "images/*"],
)
def test_an_engine_killed_while_it_unpacks(fresh: Engine, registry: Registry, moment: str) -> None:
    """Whatever is there afterwards is whole, and another pull makes it so."""
    files = 6000
    registry.push_image("team/many", "1", [busybox(), many(files)])
    name, store = f"{registry.host}/team/many:1", Store(fresh)

    with background(fresh, "pull", name) as pull:
        while not any(store.root.glob(moment)) and pull.poll() is None:
            pass  # every millisecond counts
        fresh.kill()
    fresh.start()

    assert (store.count("tmp"), store.count("downloads")) == (0, 0)
    whole = len(fresh.docker("images", "-q", "-a").out.split())
    assert store.count("images") == whole
    if not whole:
        assert store.look() == NOTHING
    fresh.docker("pull", name)
    counted = fresh.docker("run", "--rm", name, "sh", "-c", "find /many -type f | wc -l").out
    assert int(counted) == files


def test_an_engine_killed_during_a_load(fresh: Engine) -> None:
    image = build_image([busybox(), many(6000)])
    archive = images.archive({"loaded:1": image})
    store = Store(fresh)

    with background(fresh, "load", "-i", str(_file(fresh, archive))):
        until(lambda: store.count("tmp", "layer-*", "diff", "many") > 10, "it unpacks")
        fresh.kill()
    fresh.start()

    assert store.look() == NOTHING
    assert fresh.docker("load", input=archive).out == "Loaded image: loaded:1\n"
    assert fresh.docker("run", "--rm", "loaded:1", "cat", "/many/7/7").out == "x" * 100


def _layers(image: BuiltImage) -> list[str]:
    return [item["digest"] for item in json.loads(image.manifest)["layers"]]


def _file(engine: Engine, data: bytes) -> Path:
    path = engine.folder / "input"
    path.write_bytes(data)
    return path


# clients that go away


def test_an_interrupted_client_ends_its_pull_and_the_next_goes_on(fresh: Engine) -> None:
    image = build_image([busybox(), layer({"noise": NOISE})])
    store = Store(fresh)
    with StallingRegistry(image, _layers(image)[1], 3_000_000) as registry:
        with background(fresh, "pull", registry.name) as pull:
            until(lambda: store.arrived >= 2_000_000 and store.count("layers") == 1, "one layer is there, one half")
            pull.send_signal(signal.SIGINT)
            pull.wait(20)
        assert fresh.docker("images", "-q", "-a").out == ""
        until(lambda: store.count("tmp") == 0, "nothing is unpacked any more")
        registry.release()
        again = fresh.docker("pull", registry.name).out
        assert "Already exists" in again
        assert fresh.docker("run", "--rm", registry.name, "sha256sum", "/noise").out.split()[0] == sha256(NOISE)[7:]


def test_a_client_that_goes_away_in_the_middle_of_a_load(fresh: Engine) -> None:
    archive = images.archive({"loaded:1": build_image([layer({"noise": NOISE})])})
    store = Store(fresh)
    read, write = os.pipe()
    with background_load(fresh, read) as load, open(write, "wb", buffering=0) as stream:
        stream.write(archive[:2_000_000])
        until(lambda: store.count("tmp", "load-*") >= 1, "the first member comes")
        load.kill()  # it would wait for the rest of its input before it heard of anything milder
        load.wait(20)

    holds(lambda: _equal(store.look(), NOTHING))


@contextlib.contextmanager
def background_load(engine: Engine, source: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        ["docker", "load"], env=engine.environ, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=running.default_signals,
    )  # fmt: skip
    os.close(source)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _equal(seen: Any, wanted: Any) -> None:
    assert seen == wanted


def test_the_engine_stops_in_the_middle_of_a_pull(fresh: Engine) -> None:
    image = build_image([layer({"noise": NOISE})])
    stalling = StallingRegistry(image, _layers(image)[0], 3_000_000)
    with stalling as registry, background(fresh, "pull", registry.name) as pull:
        until(lambda: Store(fresh).arrived >= 2_000_000, "half of it is there")
        fresh.stop()
        assert pull.wait(20) == 1
    fresh.start()
    assert Store(fresh).look() == NOTHING


# full disks


@pytest.fixture
def small(session: Session, registry: Registry, tmp_path: Path) -> Iterator[Engine]:
    """An engine whose state lies on a file system of its own, of 40 MB."""
    disk, place = tmp_path / "disk", tmp_path / "place"
    disk.touch()
    os.truncate(disk, 40 << 20)
    place.mkdir()
    running.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", str(disk)])
    running.run(["mount", "-o", "loop", str(disk), str(place)])
    try:
        engine = Engine(session, mirrors=[registry.url])
        engine.root = place / "root"
        with engine:
            yield engine
    finally:
        running.run(["umount", str(place)])


def test_a_full_disk_is_told_and_nothing_stays(small: Engine, registry: Registry) -> None:
    noise = random.Random(6).randbytes(30_000_000)
    image = registry.push_image("team/big", "1", [layer({"noise": noise})])
    name, store = f"{registry.host}/team/big:1", Store(small)
    free = _free(small)

    pulled = small.docker("pull", name, check=False)
    assert pulled.code == 1
    assert pulled.err == (
        f"failed to register layer {_layers(image)[0][7:19]}: write /noise: no space left on device\n"
    )
    assert store.look() == NOTHING
    for command, data in (
        (("load",), images.archive({"big:1": image})),
        (("import", "-", "big:1"), layer({"noise": noise})),
    ):
        refused = small.docker(*command, input=data, check=False)
        assert refused.code == 1
        assert "no space left on device" in refused.err
        assert store.look() == NOTHING
    assert small.docker("images", "-q", "-a").out == ""
    assert abs(_free(small) - free) < 1 << 20
    small.cli("pull", images.BUSYBOX)
    assert small.cli("run", "--rm", images.BUSYBOX, "echo", "there is room").out == "there is room\n"


def test_a_disk_without_room_for_the_archive(small: Engine, registry: Registry) -> None:
    noise = random.Random(6).randbytes(60_000_000)
    image = registry.push_image("team/bigger", "1", [layer({"noise": noise})])

    pulled = small.docker("pull", f"{registry.host}/team/bigger:1", check=False)

    assert pulled.code == 1
    assert pulled.err == f"cannot store blob {_layers(image)[0]}: no space left on device\n"
    assert Store(small).look() == NOTHING


def _free(engine: Engine) -> int:
    found = os.statvfs(engine.root)
    return found.f_bavail * found.f_frsize


# hostile archives


def _entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


HOSTILE = {
    "climbs out": (tar_of((_entry("../../evil"), b"x")), "invalid tar archive: ../../evil is outside of the root"),
    "hard link out": (
        tar_of(_entry("h", tarfile.LNKTYPE, "../../../../../etc/shadow")),
        "invalid tar archive: ../../../../../etc/shadow is outside of the root",
    ),
    "through a file": (tar_of((_entry("a"), b"x"), (_entry("a/b"), b"x")), "invalid tar archive: a/b: not a directory"),
    "no archive": (b"garbage " * 500, "invalid tar archive: invalid header: wrong checksum"),
    "cut off": (layer({"f": b"x" * 5000})[:3000], "unexpected end of the archive in the middle of an entry"),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("way", ["load", "import", "pull"])
def test_hostile_layers(engine: Engine, registry: Registry, kind: str, way: str) -> None:
    plain, words = HOSTILE[kind]
    image = build_image([layer({"good": b"x"}), plain])
    store = Store(engine)
    before = store.look()

    match way:
        case "load":
            reply = engine.http("POST", "/images/load", images.archive({"evil:1": image}))
            status, told = reply.status, reply.message
        case "import":
            reply = engine.http("POST", "/images/create?fromSrc=-&repo=evil&tag=1", plain)
            status, told = reply.status, reply.message
        case _:
            registry.push("team/evil", "1", image)
            pulled = engine.docker("pull", f"{registry.host}/team/evil:1", check=False)
            status, told = 400 if pulled.code == 1 else 200, pulled.err

    assert status == 400
    assert words in told
    assert len(told.strip().splitlines()) == 1
    assert store.look() == before
    assert engine.http("GET", "/images/evil:1/json").status == 404


def test_a_link_that_leads_out_writes_inside(engine: Engine, tmp_path: Path) -> None:
    """Followed as a process in the container would follow it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = _entry("out", tarfile.SYMTYPE, str(outside))
    archive = tar_of(link, _entry("out", tarfile.DIRTYPE), (_entry("out/file"), b"evil"))

    assert engine.docker("import", "-", "link:1", input=archive).code == 0

    assert list(outside.iterdir()) == []
    assert engine.docker("rmi", "link:1").code == 0


ODD: dict[str, dict[str, Any]] = {
    "wrong type": {"config": {"Tty": "yes"}},
    "number out of range": {"config": {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 10**30}}},
    "NUL": {"config": {"Env": ["A=\0"]}},
    "deep": {"config": {"Volumes": {"v": json.loads("[" * 400 + "]" * 400)}}},
    "another system": {"os": "windows"},
    "another layer": {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}},
    "climbing diff id": {"rootfs": {"type": "layers", "diff_ids": ["sha256:../../../../etc"]}},
    "year 10000": {"created": "9999-12-31T23:59:59-23:00"},
    "odd port": {"config": {"ExposedPorts": {"99999/tcp": {}}}},
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_configurations_do_not_hide_other_images(engine: Engine, kind: str) -> None:
    image = build_image([layer({"x": b"y"})], **{"config": {}, **ODD[kind]})

    loaded = engine.http("POST", "/images/load", images.archive({"odd:1": image}))

    assert loaded.status in (200, 400)
    for path in ("/images/json", "/system/df", f"/images/{images.BUSYBOX}/json"):
        assert engine.http("GET", path).status == 200
    if loaded.status == 200:
        for path in ("/images/odd:1/json", "/images/odd:1/history"):
            assert engine.http("GET", path).status == 200
        assert engine.http("DELETE", "/images/odd:1").status == 200


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"", "no manifest.json and no index.json"),
        (b"x" * 100, "unexpected end of the archive in a header"),
        (b"x" * 1000, "wrong checksum"),
        (layer({"manifest.json": b"[]"})[:600], "unexpected end of the archive"),
        (layer({"manifest.json": b'[{"Config":"none.json","Layers":[]}]'}), "none.json is missing"),
        (layer({"manifest.json": b'[{"Config":"../../../etc/passwd","Layers":[]}]'}), "passwd is missing"),
        (layer({"manifest.json": b'{"a": 1}'}), "manifest.json: "),
        (layer({"index.json": b'{"schemaVersion": 2}'}), "it has no configuration or no layers"),
        (layer({"etc/passwd": b"root"}), "a root filesystem is for import"),
        (tar_of(_entry("manifest.json", tarfile.SYMTYPE, "manifest.json")), "no manifest.json"),
        (tar_of(_entry("manifest.json", tarfile.SYMTYPE, "/etc/passwd")), "no manifest.json"),
    ],
)  # fmt: skip
def test_archives_that_are_none(engine: Engine, archive: bytes, words: str) -> None:
    before = Store(engine).look()

    reply = engine.http("POST", "/images/load", archive)

    assert (reply.status, "\n" in reply.message) == (400, False)
    assert words in reply.message
    assert Store(engine).look() == before


def test_a_bomb_is_stopped_by_the_disk_alone(small: Engine) -> None:
    """Ten gigabytes of zeros in ten megabytes: they are not held in memory, and the disk is given back."""
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=1) as packed:
        info = _entry("zeros")
        info.size = 10 << 30
        packed.write(info.tobuf())
        for _ in range(200):
            packed.write(bytes(1 << 20))
    before = _peak(small.pid)

    refused = small.http("POST", "/images/create?fromSrc=-&repo=bomb", bomb.getvalue())

    assert refused.status == 500
    assert refused.message == "cannot import the image: write /zeros: no space left on device"
    assert _peak(small.pid) - before < 64 << 10
    assert Store(small).look() == NOTHING


def _peak(pid: int) -> int:
    """Peak memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")
