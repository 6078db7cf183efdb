"""Mounts below the test's own folder, and what is mounted where."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sealane.linux import mounts
from sealane.linux.mounts import Mount, mountinfo, parse_mountinfo


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[ExitStack]:
    """Whatever a test mounts is unmounted at its end, last first."""
    with ExitStack() as stack:
        yield stack


def folder(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def at(target: Path) -> Mount:
    (found,) = [mount for mount in mountinfo() if mount.target == target]
    return found


def test_a_bind_mount(tmp_path: Path, mounted: ExitStack) -> None:
    source, target = folder(tmp_path / "a", file="text"), folder(tmp_path / "b")
    mounts.bind(source, target)
    mounted.callback(mounts.umount, target)
    assert (target / "file").read_text() == "text"
    (target / "new").write_text("through")
    assert (source / "new").read_text() == "through"


def test_a_read_only_bind_mount(tmp_path: Path, mounted: ExitStack) -> None:
    source, target = folder(tmp_path / "a", file="text"), folder(tmp_path / "b")
    mounts.bind(source, target, read_only=True)
    mounted.callback(mounts.umount, target)
    with pytest.raises(OSError, match="Read-only file system"):
        (target / "file").write_text("other")
    (source / "file").write_text("other")
    assert "ro" in at(target).options.split(",")


def test_a_tmpfs_of_a_size(tmp_path: Path, mounted: ExitStack) -> None:
    target = folder(tmp_path / "t")
    mounts.tmpfs(target, size=1 << 20, mode=0o1777, options=("noexec", "nosuid", "nr_inodes=50"))
    mounted.callback(mounts.umount, target)
    assert target.stat().st_mode & 0o7777 == 0o1777
    assert {"noexec", "nosuid", "nr_inodes=50", "size=1024k"} <= set(at(target).options.split(","))
    with pytest.raises(OSError, match="No space left"):
        (target / "big").write_bytes(bytes(2 << 20))


@pytest.mark.parametrize("name", ["plain", "a:b,c\\d é"])
def test_an_overlay_with_names_of_all_kinds(tmp_path: Path, mounted: ExitStack, name: str) -> None:
    top = folder(tmp_path / name / "top", both="top")
    bottom = folder(tmp_path / name / "bottom", both="bottom", only="bottom")
    upper, work, target = (folder(tmp_path / name / part) for part in ("upper", "work", "target"))
    mounts.overlay([top, bottom], upper, work, target)
    mounted.callback(mounts.umount, target)
    assert ((target / "both").read_text(), (target / "only").read_text()) == ("top", "bottom")
    (target / "new").write_text("x")
    assert (upper / "new").exists()
    assert not (top / "new").exists()


def test_more_layers_than_fit_into_a_page_of_options(tmp_path: Path, mounted: ExitStack) -> None:
    layers = [folder(tmp_path / "layers" / f"{'x' * 60}{n}", **{f"f{n}": str(n)}) for n in range(60)]
    assert len(":".join(map(str, layers))) > 4096
    upper, work, target = (folder(tmp_path / part) for part in ("upper", "work", "target"))
    here = Path.cwd()
    mounts.overlay(layers, upper, work, target)
    mounted.callback(mounts.umount, target)
    assert sorted(path.name for path in target.iterdir()) == sorted(f"f{n}" for n in range(60))
    assert Path.cwd() == here


def test_refusals_name_the_target(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"on {tmp_path}/nosuch"):
        mounts.bind(tmp_path, tmp_path / "nosuch")
    with pytest.raises(OSError, match=f"unmount {tmp_path}"):
        mounts.umount(tmp_path)
    layers = [tmp_path / f"{n:0200}" for n in range(100)]
    with pytest.raises(OSError, match="100 layers do not fit into the mount options"):
        mounts.overlay(layers, tmp_path, tmp_path, tmp_path)


def test_a_lazy_unmount_of_what_is_in_use(tmp_path: Path) -> None:
    target = folder(tmp_path / "t")
    mounts.tmpfs(target)
    fd = os.open(target, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="busy"):
            mounts.umount(target)
        mounts.umount(target, lazy=True)
        assert target not in {mount.target for mount in mountinfo()}
    finally:
        os.close(fd)


def test_mountinfo_reads_what_the_kernel_escapes(tmp_path: Path, mounted: ExitStack) -> None:
    target = folder(tmp_path / "with space\tand\\slash")
    mounts.mount("sour ce", target, "tmpfs")
    mounted.callback(mounts.umount, target)
    assert (at(target).source, at(target).fstype, at(target).root) == ("sour ce", "tmpfs", "/")


def test_a_line_of_mountinfo() -> None:
    """The example of proc(5)."""
    line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
    assert parse_mountinfo(line) == Mount(Path("/mnt2"), "ext3", "/dev/root", "/mnt1", "rw,noatime,rw,errors=continue")
    assert parse_mountinfo("1 1 0:1 / / rw - tmpfs").source == ""
