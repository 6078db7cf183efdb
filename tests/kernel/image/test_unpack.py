"""Unpacking layers: what must be kept, and what must not get out."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.image.inherit import inherit
from sealane.image.tar import TarReader
from sealane.image.unpack import Unpacked, unpack
from sealane.linux import mounts
from support.registry import tar_of

Member = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]


def entry(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: object) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.mtime = kind, 1_500_000_000
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def file(name: str, data: bytes = b"x", **fields: object) -> Member:
    return entry(name, tarfile.REGTYPE, data, **fields)


def folder(name: str, **fields: object) -> Member:
    return entry(name, tarfile.DIRTYPE, **fields)


def symlink(name: str, target: str) -> Member:
    return entry(name, tarfile.SYMTYPE, linkname=target, mode=0o777)


def hard_link(name: str, target: str) -> Member:
    return entry(name, tarfile.LNKTYPE, linkname=target)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a layer goes: a directory with a neighbour that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_bytes(b"precious")
    made = tmp_path / "layer"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def nothing_outside_is_touched(tmp_path: Path) -> Iterator[None]:
    host = [os.stat("/etc/passwd"), os.stat("/etc")]
    yield
    assert sorted(os.listdir(tmp_path / "outside")) == ["precious"]
    assert (tmp_path / "outside" / "precious").read_bytes() == b"precious"
    assert set(os.listdir(tmp_path)) <= {"outside", "layer", "mnt", "lower", "lower1", "lower2"}
    assert [(item.st_mtime_ns, item.st_ino) for item in host] == [
        (item.st_mtime_ns, item.st_ino) for item in (os.stat("/etc/passwd"), os.stat("/etc"))
    ]


def put(root: Path, *members: Member) -> Unpacked:
    return unpack_bytes(root, tar_of(*members))


def unpack_bytes(root: Path, archive: bytes) -> Unpacked:
    result = unpack(TarReader(io.BytesIO(archive).read), root, root.parent)
    assert len(os.listdir("/proc/self/fd")) < 200
    return result


def is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


# what is kept


def test_owners_modes_times_and_attributes(root: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".decode()
    result = put(
        root,
        folder("./", mode=0o750, uid=7, gid=8),
        folder("d", mode=0o1777, uid=1, gid=2, mtime=1_000_000_000),
        file("d/su", mode=0o4755, uid=3, gid=4),
        file("d/ping", b"elf", mode=0o755, pax_headers={"SCHILY.xattr.security.capability": capability}),
        file("late", b"12345", pax_headers={"mtime": "1400000000.123456789"}, uid=70000, gid=80000),
    )

    assert (root.stat().st_mode & 0o7777, root.stat().st_uid, root.stat().st_gid) == (0o750, 7, 8)
    found = (root / "d").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_mtime) == (0o1777, 1, 2, 1_000_000_000)
    assert root.stat().st_mtime == 1_500_000_000
    assert ((root / "d/su").stat().st_mode & 0o7777, (root / "d/su").stat().st_uid) == (0o4755, 3)
    assert os.getxattr(root / "d/ping", "security.capability") == capability.encode()
    late = (root / "late").stat()
    assert (late.st_mtime_ns, late.st_uid, late.st_gid) == (1_400_000_000_123_456_789, 70000, 80000)
    assert result.size == 1 + 3 + 5


def test_links_devices_and_pipes(root: Path) -> None:
    result = put(
        root,
        folder("bin"),
        file("bin/a", b"abc", mode=0o4711),
        hard_link("bin/b", "bin/a"),
        hard_link("c", "./bin/b"),
        symlink("abs", "/etc/passwd"),
        symlink("up", "../../../../outside/precious"),
        entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        entry("disk", tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o600),
        entry("pipe", tarfile.FIFOTYPE, mode=0o622, uid=5),
    )

    assert (root / "bin/a").stat().st_ino == (root / "bin/b").stat().st_ino == (root / "c").stat().st_ino
    assert (root / "c").stat().st_mode & 0o7777 == 0o4711
    assert os.readlink(root / "abs") == "/etc/passwd"
    assert os.readlink(root / "up") == "../../../../outside/precious"
    assert os.lstat(root / "up").st_mtime == 1_500_000_000
    null, disk, pipe = (root / "null").stat(), (root / "disk").stat(), (root / "pipe").stat()
    assert (stat.S_ISCHR(null.st_mode), null.st_rdev, null.st_mode & 0o777) == (True, os.makedev(1, 3), 0o666)
    assert (stat.S_ISBLK(disk.st_mode), disk.st_rdev) == (True, os.makedev(8, 0))
    assert (stat.S_ISFIFO(pipe.st_mode), pipe.st_mode & 0o777, pipe.st_uid) == (True, 0o622, 5)
    assert result.size == 3


def test_the_umask_does_not_matter(root: Path) -> None:
    old = os.umask(0o077)
    try:
        put(
            root,
            folder("d", mode=0o777),
            file("d/f", mode=0o666),
            file("implicit/f"),
            entry("p", tarfile.FIFOTYPE, mode=0o666),
        )
    finally:
        os.umask(old)

    modes = [(root / name).stat().st_mode & 0o7777 for name in ("d", "d/f", "implicit", "p")]
    assert modes == [0o777, 0o666, 0o755, 0o666]


def test_later_entries_replace_earlier_ones(root: Path) -> None:
    result = put(
        root,
        file("a", b"first"),
        file("a", b"second"),
        folder("d"),
        file("d/kept"),
        folder("d", mode=0o700, uid=9),
        folder("gone"),
        file("gone/x"),
        file("gone", b"now a file"),
        file("f"),
        folder("f"),
        symlink("s", "d"),
        file("s", b"no link any more"),
    )

    assert (root / "a").read_bytes() == b"second"
    assert ((root / "d").stat().st_mode & 0o777, (root / "d").stat().st_uid) == (0o700, 9)
    assert (root / "d/kept").exists()
    assert (root / "gone").read_bytes() == b"now a file"
    assert (root / "f").is_dir()
    assert (root / "s").read_bytes() == b"no link any more"
    assert sorted(os.listdir(root / "d")) == ["kept"]
    assert result.size >= len("second") + len("now a file") + len("no link any more") + 1


def test_the_time_of_a_replaced_directory_goes_nowhere(root: Path) -> None:
    put(
        root,
        folder("d", mtime=1_000_000_000),
        folder("loop", mtime=1),
        symlink("loop", "loop"),
        folder("other", mtime=2),
        symlink("other", "d"),
        folder("gone/deep", mtime=3),
        file("gone"),
    )

    assert (root / "d").stat().st_mtime == 1_000_000_000


def test_a_hard_link_to_itself_changes_nothing(root: Path) -> None:
    put(root, file("a", b"abc"), hard_link("a", "./a"), hard_link("b", "a"), hard_link("b", "a"))

    assert (root / "a").read_bytes() == b"abc"
    assert (root / "a").stat().st_nlink == 2


def test_odd_names(root: Path) -> None:
    names = [b"a b", b"new\nline", b"\xff\xfe", "é".encode(), b"-rf", b"...", b"a\\b", b".wh", b"wh.x", b"x" * 255]
    members = [tarfile.TarInfo(os.fsdecode(name)) for name in names]

    unpack_bytes(root, tar_of(*members, format=tarfile.GNU_FORMAT))

    assert set(os.listdir(os.fsencode(root))) == set(names)


# whiteouts


def test_whiteouts_become_those_of_overlayfs(root: Path) -> None:
    put(
        root,
        folder("etc"),
        file("etc/.wh.gone", b""),
        folder("opaque"),
        file("opaque/.wh..wh..opq", b""),
        file("opaque/new"),
        file(".wh..wh.plnk", b""),
        file("implicit/.wh.x", b""),
    )

    assert is_whiteout(root / "etc/gone")
    assert is_opaque(root / "opaque")
    assert not is_opaque(root / "etc")
    assert is_whiteout(root / "implicit/x")
    assert sorted(os.listdir(root)) == ["etc", "implicit", "opaque"]


def test_a_whiteout_hides_the_lower_layer_and_not_its_own(root: Path) -> None:
    put(
        root,
        file("f"),
        file(".wh.f", b""),
        folder("d"),
        file("d/x"),
        file(".wh.d", b""),
        file(".wh.e", b""),
        folder("e"),
        file(".wh.g", b""),
        file("g", b"new"),
    )

    assert (root / "f").read_bytes() == b"x"
    assert (root / "d/x").exists()
    assert is_opaque(root / "d")
    assert is_opaque(root / "e")
    assert (root / "g").read_bytes() == b"new"


def test_below_overlayfs(tmp_path: Path, root: Path) -> None:
    """The kernel agrees: a lower layer, this one above, looked at through a mount."""
    lower = tmp_path / "lower"
    lower.mkdir()
    put(lower, folder("d"), file("d/old"), file("gone"), folder("o"), file("o/old"), folder("r"), file("r/old"))
    put(
        root,
        file(".wh.gone", b""),
        folder("d"),
        file("d/new"),
        folder("o"),
        file("o/new"),
        file("o/.wh..wh..opq", b""),
        file(".wh.r", b""),
        folder("r"),
        file("r/new"),
    )
    target = tmp_path / "mnt"
    target.mkdir()
    mounts.mount("overlay", target, "overlay", mounts.MS_RDONLY, f"lowerdir={root}:{lower}")
    try:
        seen = {name: sorted(os.listdir(target / name)) for name in os.listdir(target)}
    finally:
        mounts.umount(target)

    assert seen == {"d": ["new", "old"], "o": ["new"], "r": ["new"]}


def test_the_archive_cannot_speak_to_overlayfs(root: Path) -> None:
    attributes = {"SCHILY.xattr.trusted.overlay.redirect": "/../outside", "SCHILY.xattr.trusted.overlay.opaque": "y"}
    put(root, folder("d", pax_headers=attributes), file("f", pax_headers={"SCHILY.xattr.user.overlay.whiteout": "y"}))

    assert os.listxattr(root / "d") == []
    assert os.listxattr(root / "f") == []


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh.."])
def test_whiteouts_of_nothing(root: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="names no file"):
        put(root, file(name, b""))


# implicit directories


def test_directories_without_an_entry_look_like_those_below(tmp_path: Path, root: Path) -> None:
    below, above = tmp_path / "lower1", tmp_path / "lower2"
    for made in (below, above):
        made.mkdir()
    put(below, folder("a", mode=0o700, uid=5, gid=6), folder("a/b", mode=0o2775, gid=7), folder("h", mode=0o711))
    put(above, folder("a", mode=0o750, uid=8), file(".wh.h", b""), file("l/x", b""))

    result = put(root, file("a/b/c/f"), file("h/f"), file("l/y/f"), folder("l", mode=0o700))
    assert set(result.implicit) == {b"a", b"a/b", b"a/b/c", b"h", b"l/y"}
    inherit(root, result.implicit, [above, below])

    def look(name: str) -> tuple[int, int, int]:
        found = (root / name).stat()
        return found.st_mode & 0o7777, found.st_uid, found.st_gid

    assert look("a") == (0o750, 8, 0)
    assert look("a/b") == (0o2775, 0, 7)
    assert look("a/b/c") == (0o755, 0, 0)
    assert look("h") == (0o755, 0, 0)  # the one below was removed in between
    assert look("l") == (0o700, 0, 0)
    assert (root / "a").stat().st_mtime == 1_500_000_000


# what must not get out


@pytest.mark.parametrize(
    "name",
    ["../evil", "../outside/precious", "a/../../evil", "/../evil", "./../evil", "a/b/../../../x", ".."],
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_names_that_climb_out(root: Path, name: str, kind: bytes) -> None:
    with pytest.raises(InvalidArgument, match="is outside of the root"):
        put(root, folder("a"), entry(name, kind, linkname="a"))


def test_absolute_names_are_below_the_root(root: Path) -> None:
    put(root, file("/etc/passwd", b"mine"), file("//double", b"mine"))

    assert (root / "etc/passwd").read_bytes() == b"mine"
    assert (root / "double").read_bytes() == b"mine"


@pytest.mark.parametrize("target", ["..", "/", "../outside", "/proc/self/root", "../../../../../..", "/proc/self/cwd"])
def test_writing_through_a_link_stays_inside(tmp_path: Path, root: Path, target: str) -> None:
    """As in a chroot: `..` stops at the root and absolute links start there."""
    outside = tmp_path / "outside"
    members = [
        symlink("out", target.replace("../outside", f"../{outside.name}")),
        file("out/precious", b"evil"),
        folder("out"),
    ]
    try:
        put(root, *members)
    except InvalidArgument:
        pass

    assert (outside / "precious").read_bytes() == b"precious"


def test_links_through_links(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        put(
            root,
            symlink("a", ".."),
            symlink("b", "a/../outside"),
            symlink("c", "b/./"),
            folder("d"),
            symlink("d/e", "../c"),
            file("d/e/precious", b"evil"),
        )


def test_a_link_in_place_of_a_remembered_directory(root: Path, tmp_path: Path) -> None:
    """The directory was open a moment ago; now a link stands there."""
    with pytest.raises(InvalidArgument):
        put(root, folder("d"), file("d/a"), symlink("d", str(tmp_path / "outside")), file("d/precious", b"evil"))

    assert os.readlink(root / "d") == str(tmp_path / "outside")


def test_a_file_in_place_of_a_link_does_not_follow_it(root: Path, tmp_path: Path) -> None:
    put(root, symlink("l", str(tmp_path / "outside/precious")), file("l", b"evil"))

    assert (root / "l").read_bytes() == b"evil"


def test_attributes_of_a_link_do_not_go_to_its_target(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "outside/precious"
    before = target.stat()
    put(root, entry("l", tarfile.SYMTYPE, linkname=str(target), mode=0o4777, uid=12, mtime=1))

    after = target.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns)
    assert (root / "l").lstat().st_uid == 12


@pytest.mark.parametrize(
    "target",
    ["../outside/precious", "/etc/passwd", "missing", "d", "out/precious", "/", "w", "d/../../outside/precious"],
)
def test_hard_links_to_what_is_not_in_the_layer(root: Path, tmp_path: Path, target: str) -> None:
    with pytest.raises(InvalidArgument):
        put(root, folder("d"), symlink("out", str(tmp_path / "outside")), file(".wh.w", b""), hard_link("h", target))

    assert (tmp_path / "outside/precious").stat().st_nlink == 1


def test_a_hard_link_to_a_symbolic_link_is_the_link(root: Path, tmp_path: Path) -> None:
    put(root, symlink("s", str(tmp_path / "outside/precious")), hard_link("h", "s"), file("h", b"evil"))

    assert (root / "h").read_bytes() == b"evil"
    assert (root / "s").is_symlink()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([file("a"), file("a/b")], "not a directory"),
        ([symlink("l", "l"), file("l/x")], "symbolic links"),
        ([symlink("l", "nowhere"), file("l/x")], "no such file"),
        ([file("x" * 256)], "name too long"),
        ([file(".")], "the root is a file"),
        ([file("f", uid=-1)], "invalid|out of range"),
        ([file("f", uid=2**32 - 1)], "out of range"),
        ([file("f", pax_headers={"uid": str(2**70)})], "out of range|number"),
        ([folder("d", pax_headers={"mtime": str(2**62)})], "time is out of range"),
    ],
)  # fmt: skip
def test_contradictions_are_the_archives_fault(root: Path, members: list[Member], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        unpack_bytes(
            root, tar_of(*members, format=tarfile.GNU_FORMAT if "uid=-1" in str(members) else tarfile.PAX_FORMAT)
        )


def test_a_full_disk_is_no_fault_of_the_archive(root: Path) -> None:
    mounts.tmpfs(root, size=1 << 20)
    try:
        with pytest.raises(OSError, match="write /big: no space left on device"):
            put(root, file("small"), file("big", bytes(2 << 20)))
    finally:
        mounts.umount(root)


def test_too_many_directories_without_an_entry(root: Path) -> None:
    deep = "/".join(["d"] * 60)
    with pytest.raises(InvalidArgument, match="directories have no entry"):
        put(root, *[file(f"{n}/{deep}/f", b"") for n in range(1200)])


_PARTS = st.sampled_from(["a", "b", "..", ".", "out", "up", ".wh.a", ".wh..wh..opq", "c", ""])
_PATHS = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)
_TARGETS = st.sampled_from(["..", "/", "../outside", "a", "b/c", "../outside/precious", "/proc/self/root/etc", "."])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            _PATHS,
            st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]),
            _TARGETS | _PATHS,
        ),
        max_size=10,
    )
)
def test_no_archive_gets_out(tmp_path: Path, root: Path, members: list[tuple[str, bytes, str]]) -> None:
    outside = tmp_path / "outside"
    before = (outside.stat().st_mtime_ns, (outside / "precious").stat().st_ctime_ns)
    try:
        put(root, *[entry(name, kind, linkname=target) for name, kind, target in members])
    except InvalidArgument:
        pass
    finally:
        shutil.rmtree(root)
        root.mkdir()
    assert (outside.stat().st_mtime_ns, (outside / "precious").stat().st_ctime_ns) == before
