"""cp and export: what comes out, what goes in, and that nothing leads out of the container."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kernel.runtime.lab import RuntimeLab
from sealane.linux.inotify import Inotify
from sealane.runtime.rootfs import disk_usage, mount_root, remove_tree, unmount_root
from sealane.runtime.spec import Mount

IN_OPEN = 0x20
SECRET = "the host's own\n"


@dataclass(frozen=True)
class Outcome:
    """What the child said."""

    code: int
    out: bytes
    complaint: dict[str, str]


class Files:
    """The files of a container: of a stopped one, or of a running one."""

    def __init__(self, lab: RuntimeLab, running: bool) -> None:
        self.lab = lab
        self.root = lab.root("c1")
        self.outside = lab.folder / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text(SECRET)
        self.where = ["--root", str(self.root)]
        if running:
            pid = lab.run(lab.start("c1", "sleep", "1000"))
            self.where = ["--pid", str(pid)]

    def do(self, verb: str, path: str, *flags: str, given: bytes = b"") -> Outcome:
        command = [sys.executable, "-m", "sealane.runtime.confined", *self.where, *flags, verb, path]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        return Outcome(done.returncode, done.stdout, json.loads(done.stderr) if done.stderr else {})

    def stat(self, path: str) -> dict[str, Any]:
        done = self.do("stat", path)
        assert done.code == 0, done.complaint
        found: dict[str, Any] = json.loads(done.out)
        return found

    def get(self, path: str, verb: str = "get") -> dict[str, tarfile.TarInfo]:
        done = self.do(verb, path)
        assert done.code == 0, done.complaint
        with tarfile.open(fileobj=io.BytesIO(done.out)) as archive:
            return {member.name: member for member in archive}

    def text(self, path: str, name: str) -> str:
        with tarfile.open(fileobj=io.BytesIO(self.do("get", path).out)) as archive:
            content = archive.extractfile(name)
            assert content is not None
            return content.read().decode()

    def refused(self, verb: str, path: str, *flags: str, given: bytes = b"") -> tuple[str, str]:
        done = self.do(verb, path, *flags, given=given)
        assert done.code == 1
        return done.complaint["kind"], done.complaint["message"]


@pytest.fixture(params=[False, True], ids=["stopped", "running"])
def files(lab: RuntimeLab, request: pytest.FixtureRequest) -> Files:
    return Files(lab, request.param)


def archive(*members: tuple[str, bytes, dict[str, Any]] | tuple[str, bytes], **options: Any) -> bytes:
    """A tar archive of (name, content, fields of TarInfo)."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode=options.get("mode", "w"), format=tarfile.PAX_FORMAT) as made:
        for name, content, *fields in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for field, value in (fields[0] if fields else {}).items():
                setattr(member, field, value)
            made.addfile(member, io.BytesIO(content))
    return output.getvalue()


def fill(files: Files) -> None:
    """A tree of all sorts."""
    data = files.root / "data"
    (data / "f").write_text("content\n")
    os.chown(data / "f", 1000, 29)
    (data / "f").chmod(0o4750)
    os.utime(data / "f", (1_700_000_000, 1_700_000_000))
    os.setxattr(data / "f", "user.note", b"\xff\x00x")
    os.link(data / "f", data / "hard")
    (data / "lf").symlink_to("f")
    (files.root / "link").symlink_to("/data")
    os.mkfifo(data / "fifo")
    os.mknod(data / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (data / "sub").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(data / "socket"))


def test_a_tree_comes_out_as_it_is(files: Files) -> None:
    fill(files)
    found = files.get("/data")
    assert sorted(found) == sorted(
        f"data{end}" for end in ("", "/f", "/fifo", "/hard", "/kept", "/lf", "/null", "/sub")
    )
    file = found["data/f"]
    assert (file.uid, file.gid, file.mode, file.mtime, file.size) == (1000, 29, 0o4750, 1_700_000_000, 8)
    assert file.pax_headers["SCHILY.xattr.user.note"].encode("utf-8", "surrogateescape") == b"\xff\x00x"
    assert (found["data/hard"].islnk(), found["data/hard"].linkname) == (True, "data/f")
    assert (found["data/lf"].issym(), found["data/lf"].linkname) == (True, "f")
    assert found["data/fifo"].isfifo()
    assert (found["data/null"].ischr(), found["data/null"].devmajor, found["data/null"].devminor) == (True, 1, 3)
    assert (found["data/sub"].isdir(), found["data/sub"].mode) == (True, 0o700)
    assert files.text("/data/f", "f") == "content\n"


@pytest.mark.parametrize(
    ("path", "name", "first"),
    [
        ("/data", "data", "data"),
        ("/data/", "data", "data"),
        ("/data/.", ".", "."),
        ("data", "data", "data"),
        ("/link", "link", "link"),
        ("/link/", "link", "link"),
        ("/link/.", ".", "."),
        ("/link/f", "f", "f"),
        ("/data/../data/f", "f", "f"),
        ("/../../data/f", "f", "f"),
        ("/data/lf", "lf", "lf"),
    ],
)
def test_names_are_as_they_were_asked_for(files: Files, path: str, name: str, first: str) -> None:
    """As Docker Engine names them; its CLI rewrites them from there."""
    fill(files)
    assert files.stat(path)["name"] == name
    assert next(iter(files.get(path))) == first


def test_the_root(files: Files) -> None:
    assert files.stat("/")["name"] == "/"
    found = files.get("/")
    assert next(iter(found)) in ("/", "")
    assert {"/bin/busybox", "/data/kept"} <= found.keys()
    assert [name for name in found if name.startswith(("/proc/", "/sys/", "/dev/"))] == []
    assert found["/proc"].isdir()


def test_stat(files: Files) -> None:
    fill(files)
    found = files.stat("/data/f")
    assert (found["size"], found["mtime_ns"], found["link_target"]) == (8, 1_700_000_000 * 10**9, "")
    assert found["mode"] == (1 << 23) | 0o750  # Go's ModeSetuid
    assert files.stat("/data")["mode"] == (1 << 31) | 0o755
    assert files.stat("/data/lf")["link_target"] == "/data/f"
    assert files.stat("/data/lf")["mode"] == (1 << 27) | 0o777
    assert files.stat("/data/null")["mode"] & (1 << 26 | 1 << 21) == 1 << 26 | 1 << 21
    assert files.stat("/data/fifo")["mode"] & 1 << 25


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/nope", "not-found", "Could not find the file /nope in container"),
        ("/nope/deeper", "not-found", "Could not find the file /nope/deeper in container"),
        ("/data/f/", "failed", "lstat /data/f/: not a directory"),
        ("/data/f/.", "failed", "lstat /data/f/.: not a directory"),
        ("/data/f/x", "failed", "lstat /data/f/x: not a directory"),
        ("-x", "not-found", "Could not find the file -x in container"),
        ("--pid", "not-found", "Could not find the file --pid in container"),
    ],
)
def test_paths_that_lead_nowhere(files: Files, path: str, kind: str, message: str) -> None:
    fill(files)
    for verb in ("stat", "get"):
        assert files.refused(verb, path) == (kind, message)


HOSTILE: dict[str, Callable[[Files], str]] = {
    "absolute": lambda files: str(files.outside),
    "relative": lambda files: "../" * 40 + str(files.outside).lstrip("/"),
    "through proc": lambda _: "/proc/1/root/etc",
    "own root": lambda _: "/proc/self/root/etc",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_links_do_not_lead_out(files: Files, how: str) -> None:
    """Whatever a link says, it is the container that is looked at: nothing of the host's comes out or is changed."""
    (files.root / "evil").symlink_to(HOSTILE[how](files))
    for path in ("/evil/", "/evil/secret", "/evil/.", "/evil/passwd"):
        done = files.do("get", path)
        assert SECRET.encode() not in done.out
        assert b"root:x:0:0:root:/root:/bin/bash" not in done.out
    files.do("put", "/evil", given=archive(("planted", b"x")))
    files.do("put", "/", given=archive(("evil/planted", b"x")))
    assert [path.name for path in files.outside.iterdir()] == ["secret"]
    assert not Path("/etc/planted").exists()


def test_a_hostile_archive_stays_inside(files: Files) -> None:
    link = {"type": tarfile.SYMTYPE, "linkname": str(files.outside)}
    hard = {"type": tarfile.LNKTYPE, "linkname": "../" * 30 + str(files.outside / "secret").lstrip("/")}
    files.do("put", "/data", given=archive(("out", b"", link), ("out/planted", b"x")))
    files.do("put", "/data", given=archive(("hard", b"", hard)))
    for name in ("../../planted", "x/../../../planted", ".."):
        kind, message = files.refused("put", "/data", given=archive((name, b"x")))
        assert (kind, message) == ("invalid", f"{name}: leads out of the directory")
    files.do("put", "/data", given=archive(("/absolute", b"x")))
    assert (files.root / "data/absolute").read_bytes() == b"x"
    assert [path.name for path in files.outside.iterdir()] == ["secret"]
    assert (files.outside / "secret").stat().st_nlink == 1


def test_no_code_of_the_container_is_run(files: Files) -> None:
    """Name services and modules would be looked for inside (CVE-2019-14271): none of them is even opened."""
    fill(files)
    folders = [files.root / folder.lstrip("/") for folder in {*sys.path, "/lib", "/lib/x86_64-linux-gnu"} - {""}]
    traps = {
        "libnss_trap.so.2",
        *(f"{name}.py" for name in ("bz2", "lzma", "zlib", "gzip", "pwd", "grp", "stringprep")),
    }
    for place in folders:
        place.mkdir(parents=True, exist_ok=True)
        for name in traps:
            (place / name).write_text("open('/trapped', 'w')\n")
    (files.root / "etc/nsswitch.conf").write_text("passwd: trap\ngroup: trap\n")
    with Inotify() as watch:
        for place in (*folders, files.root / "etc"):
            watch.watch(place, IN_OPEN)
        files.get("/data")
        for mode in ("w", "w:gz", "w:bz2", "w:xz"):
            names = {"uname": "web", "gname": "audio", "uid": 5, "gid": 6}
            done = files.do("put", "/data", given=archive((f"in-{mode}", b"x", names), mode=mode))
            assert done.code == 0, done.complaint
            found = (files.root / f"data/in-{mode}").stat()
            assert (found.st_uid, found.st_gid) == (5, 6)
        files.do("put", "/data", given=b"garbage")
        assert opened(watch) & {*traps, "nsswitch.conf"} == set()
        assert files.text("/etc/nsswitch.conf", "nsswitch.conf")
        assert opened(watch) & {*traps, "nsswitch.conf"} == {"nsswitch.conf"}


def opened(watch: Inotify) -> set[str]:
    """Names of files that were opened, inotify(7)."""
    names = set()
    try:
        while events := os.read(watch.fileno(), 1 << 16):
            while events:
                (length,) = struct.unpack_from("I", events, 12)
                names.add(events[16 : 16 + length].rstrip(b"\0").decode())
                events = events[16 + length :]
    except BlockingIOError:
        pass
    return names


def test_files_go_in_as_they_are(files: Files) -> None:
    same = {"mode": 0o4711, "uid": 1, "gid": 2, "mtime": 1_500_000_000}
    given = archive(
        ("dir", b"", {"type": tarfile.DIRTYPE, "mode": 0o2750, "uid": 7, "gid": 8, "mtime": 1_600_000_000}),
        ("dir/file", b"text", same | {"pax_headers": {"SCHILY.xattr.user.note": "y"}}),
        ("dir/link", b"", {"type": tarfile.SYMTYPE, "linkname": "/nowhere"}),
        ("dir/hard", b"", same | {"type": tarfile.LNKTYPE, "linkname": "dir/file"}),
        ("dir/null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
        ("dir/fifo", b"", {"type": tarfile.FIFOTYPE}),
    )  # fmt: skip
    assert files.do("put", "/data", given=given).code == 0
    folder = files.root / "data/dir"
    found, file = folder.stat(), (folder / "file").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777, found.st_mtime) == (7, 8, 0o2750, 1_600_000_000)
    assert (file.st_uid, file.st_gid, file.st_mode & 0o7777, file.st_mtime) == (1, 2, 0o4711, 1_500_000_000)
    assert os.getxattr(folder / "file", "user.note") == b"y"
    assert os.readlink(folder / "link") == "/nowhere"
    assert (folder / "hard").stat().st_ino == file.st_ino
    assert (folder / "null").stat().st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((folder / "fifo").stat().st_mode)


def test_what_is_in_the_way(files: Files) -> None:
    data = files.root / "data"
    (data / "full").mkdir()
    (data / "full/x").write_text("")
    (data / "link").symlink_to("/data/full")
    folder = {"type": tarfile.DIRTYPE, "mode": 0o755}
    assert files.do("put", "/data", given=archive(("full", b"", folder))).code == 0
    assert (data / "full/x").exists()
    keep = "--no-overwrite-dir-non-dir"
    assert files.refused("put", "/data", keep, given=archive(("full", b"file"))) == (
        "invalid", "cannot overwrite directory /data/full with non-directory",
    )  # fmt: skip
    assert files.refused("put", "/data", keep, given=archive(("kept", b"", folder))) == (
        "invalid", "cannot overwrite non-directory /data/kept with directory",
    )  # fmt: skip
    assert files.do("put", "/data", given=archive(("link", b"a file now"), ("full", b"and this"))).code == 0
    assert ((data / "link").read_text(), (data / "full").read_text()) == ("a file now", "and this")
    assert not (data / "link").is_symlink()


def test_bad_input_is_refused_in_words(files: Files) -> None:
    whole = archive(("big", b"x" * 100_000))
    assert files.refused("put", "/nope", given=whole) == ("not-found", "Could not find the file /nope in container")
    assert files.refused("put", "/data/kept", given=whole) == ("invalid", "extraction point is not a directory")
    for given in (b"", b"garbage" * 1000, whole[:50_000], b"\x1f\x8b" + b"x" * 100):
        kind, message = files.refused("put", "/data", given=given)
        assert kind == "invalid"
        assert message.startswith("not a tar archive: ")


def test_very_deep_trees(files: Files) -> None:
    """Deeper than Python recurses, here and when the container is removed."""
    make_deep(files.root / "data", 1500)
    found = files.get("/data/d")
    assert f"d{'/d' * 1499}" in found
    make_deep(files.lab.folder / "c2", 3000)
    assert disk_usage(files.lab.folder / "c2") == 0
    remove_tree(files.lab.folder / "c2")
    assert not (files.lab.folder / "c2").exists()
    subprocess.run(["rm", "-r", str(files.root / "data/d")], check=True)


def make_deep(folder: Path, depth: int) -> None:
    folder.mkdir(exist_ok=True)
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)


def test_export(files: Files) -> None:
    fill(files)
    found = Files.get(files, "/", "export")
    assert {"bin/busybox", "data/f", "link", "etc/passwd"} <= found.keys()
    assert "" not in found
    assert "." not in found
    assert found["data/hard"].islnk()


def test_volumes_of_a_running_container_are_seen(lab: RuntimeLab) -> None:
    async def story() -> int:
        (lab.folder / "volume").mkdir()
        (lab.folder / "volume/v").write_text("volume\n")
        return await lab.start("c1", "sleep", "1000", mounts=(Mount("/vol", "bind", str(lab.folder / "volume")),))

    pid = lab.run(story())
    command = [sys.executable, "-m", "sealane.runtime.confined", "--pid", str(pid), "get", "/vol/v"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"volume\n" in done.stdout


def test_a_tree_that_changes_while_it_is_read(lab: RuntimeLab) -> None:
    """Files come, go, shrink and turn into other things: an archive comes out all the same, and nothing waits."""
    script = """cd /data; mkdir churn; while :; do
        i=$((i % 50 + 1)); echo $i > churn/f$i; head -c 300000 /dev/zero > churn/big; : > churn/big
        rm -f churn/x; mkfifo churn/x; rm -f churn/x; echo > churn/x; rm -f churn/x; ln -s /dev/zero churn/x
        rm -rf churn/d; mkdir churn/d; echo > churn/d/e; rm -rf churn/d; echo > churn/d
        rm -f churn/f$i; done"""

    async def one(pid: int) -> int:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sealane.runtime.confined", "--pid", str(pid), "get", "/data"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, complaint = await asyncio.wait_for(child.communicate(), 30)
        assert child.returncode == 0, complaint
        with tarfile.open(fileobj=io.BytesIO(output)) as made:
            return len(made.getmembers())

    async def story() -> None:
        pid = await lab.start("c1", "sh", "-c", script)
        for _ in range(10):
            assert await one(pid) >= 2

    lab.run(story())


def test_an_engine_with_its_own_mask(tmp_path: Path, layer: Path) -> None:
    """The upper directory is the container's /: users other than root must get in."""
    before = os.umask(0o077)
    try:
        (tmp_path / "c1").mkdir()
        root = mount_root(tmp_path / "c1", [layer])
    finally:
        os.umask(before)
    try:
        assert stat.S_IMODE(root.stat().st_mode) == 0o755
    finally:
        unmount_root(tmp_path / "c1")
