"""Roots mounted and unmounted, what containers changed in them, volumes filled and mounted."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealane.linux.mounts import is_mount, mountinfo
from sealane.runtime.changes import ADDED, DELETED, MODIFIED, changes
from sealane.runtime.leftovers import settle_roots, unmount_below
from sealane.runtime.rootfs import (
    copy_up,
    disk_usage,
    mount_root,
    mount_volume,
    remove_tree,
    unmount_root,
    unmount_volume,
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A container's directory; nothing below the test's directory is mounted afterwards."""
    (tmp_path / "c1").mkdir()
    yield tmp_path / "c1"
    unmount_root(tmp_path / "c1")
    left = mounts_below(tmp_path)
    unmount_below(tmp_path)
    assert left == []


def mounts_below(folder: Path) -> list[str]:
    return [str(item.target) for item in mountinfo() if item.target.is_relative_to(folder)]


def tree(folder: Path, *names: str) -> Path:
    """Make files, and directories where a name ends in a slash."""
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(f"{folder.name}:{name}\n")
    return folder


def test_layers_lie_over_each_other(home: Path, tmp_path: Path) -> None:
    lower, upper = tree(tmp_path / "l1", "a", "both", "d/x"), tree(tmp_path / "l2", "b", "both", "d/y")
    root = mount_root(home, [upper, lower])
    assert (root / "both").read_text() == "l2:both\n"
    assert sorted(os.listdir(root)) == ["a", "b", "both", "d"]
    assert sorted(os.listdir(root / "d")) == ["x", "y"]
    (root / "both").write_text("mine")
    assert (upper / "both").read_text() == "l2:both\n"
    assert (home / "upper/both").read_text() == "mine"


def test_many_layers(home: Path, tmp_path: Path) -> None:
    """More than fit into one page of mount options."""
    names = [f"{number:064x}" for number in range(40)]
    layers = [tree(tmp_path / name, name[-4:]) for name in names]
    root = mount_root(home, layers)
    assert len(os.listdir(root)) == 40


def test_names_that_mount_options_are_written_with(home: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a:b,c\\d e"
    odd.mkdir()
    root = mount_root(odd, [tree(odd / "l:1,x", "file")])
    assert (root / "file").exists()
    assert is_mount(root)
    unmount_root(odd)
    assert not is_mount(root)


def test_what_was_written_is_there_again(home: Path, tmp_path: Path) -> None:
    layers = [tree(tmp_path / "l1", "a")]
    (mount_root(home, layers) / "new").write_text("x")
    unmount_root(home)
    assert os.listdir(home / "rootfs") == []
    assert (mount_root(home, layers) / "new").read_text() == "x"


def test_an_image_without_layers(home: Path) -> None:
    root = mount_root(home, [])
    (root / "x").write_text("")
    unmount_root(home)
    assert os.listdir(home / "upper") == ["x"]


def test_mounted_once_when_it_exists(home: Path, tmp_path: Path) -> None:
    layers = [tree(tmp_path / "l1", "a")]
    for _ in range(3):
        mount_root(home, layers, existing=True)
    assert len(mounts_below(home)) == 1


def test_unmounting_is_complete_and_idempotent(home: Path, tmp_path: Path) -> None:
    """Also after an engine that died between mounting and writing down that it has."""
    layers = [tree(tmp_path / "l1", "a")]
    for _ in range(3):
        mount_root(home, layers)
    unmount_root(home)
    unmount_root(home)
    unmount_root(tmp_path / "never")
    assert mounts_below(tmp_path) == []


def test_a_root_in_use_goes_when_its_user_goes(home: Path, tmp_path: Path) -> None:
    root = mount_root(home, [tree(tmp_path / "l1", "a")])
    with (root / "a").open() as held:
        unmount_root(home)
        assert held.read() == "l1:a\n"
    remove_tree(home)
    assert not home.exists()


def test_a_mode_that_the_container_gave_its_root(home: Path, tmp_path: Path) -> None:
    layers = [tree(tmp_path / "l1", "a")]
    mount_root(home, layers).chmod(0o700)
    unmount_root(home)
    assert stat.S_IMODE(mount_root(home, layers).stat().st_mode) == 0o700


def test_left_overs_of_a_killed_engine(tmp_path: Path) -> None:
    layers = [tree(tmp_path / "l1", "a")]
    for name in ("running", "stopped", "unknown"):
        (tmp_path / "all" / name).mkdir(parents=True)
        mount_root(tmp_path / "all" / name, layers)
    settle_roots(tmp_path / "all", keep={"running"}, known={"running", "stopped"})
    assert mounts_below(tmp_path) == [str(tmp_path / "all/running/rootfs")]
    assert sorted(os.listdir(tmp_path / "all")) == ["running", "stopped"]
    unmount_below(tmp_path)
    assert mounts_below(tmp_path) == []


# what a container changed

BASE = ("d/a", "d/sub/b", "keep/k", "mv/x/", "file", "etc/hosts", "same/deep/s")
SCRIPT = """
rm -rf d; mkdir d; touch d/c; mkdir d/sub; chmod 700 keep; mv mv moved; rm file; mkdir file; touch file/in
touch etc/new; ln -s /keep ln
"""
#: What Docker Engine 26.1 says for the same commands.
DOCKERS = [
    (MODIFIED, "/d"), (DELETED, "/d/a"), (ADDED, "/d/c"), (MODIFIED, "/d/sub"), (DELETED, "/d/sub/b"),
    (MODIFIED, "/etc"), (ADDED, "/etc/new"), (MODIFIED, "/file"), (ADDED, "/file/in"), (MODIFIED, "/keep"),
    (ADDED, "/ln"), (ADDED, "/moved"), (ADDED, "/moved/x"), (DELETED, "/mv"),
]  # fmt: skip


def test_changes_are_dockers(home: Path, tmp_path: Path) -> None:
    layers = [tree(tmp_path / "l1", *BASE)]
    root = mount_root(home, layers)
    assert changes(home / "upper", layers) == []
    subprocess.run(["sh", "-ec", SCRIPT], cwd=root, check=True)
    assert changes(home / "upper", layers) == DOCKERS


def test_what_lower_layers_hide_did_not_exist(home: Path, tmp_path: Path) -> None:
    """A file that one layer deleted, or hid with a directory of its own, is added when it is made again."""
    bottom, top = tree(tmp_path / "l1", "gone", "d/hidden", "f"), tree(tmp_path / "l2", "d/shown", "f/now")
    os.mknod(top / "gone", stat.S_IFCHR, 0)
    os.setxattr(top / "d", "trusted.overlay.opaque", b"y")
    layers = [top, bottom]
    root = mount_root(home, layers)
    for name in ("gone", "d/hidden", "d/shown", "f/now"):
        (root / name).write_text("new")
    assert changes(home / "upper", layers) == [
        (MODIFIED, "/d"), (ADDED, "/d/hidden"), (MODIFIED, "/d/shown"), (MODIFIED, "/f"), (MODIFIED, "/f/now"),
        (ADDED, "/gone"),
    ]  # fmt: skip


def test_links_tell_nothing_about_the_host(home: Path, tmp_path: Path) -> None:
    """Neither a link in a layer nor one that the container makes is followed."""
    lower = tree(tmp_path / "l1")
    (lower / "etc").symlink_to("/etc")
    root = mount_root(home, [lower])
    (root / "etc").unlink()
    tree(root / "etc", "passwd")
    (root / "proc").symlink_to("/proc")
    assert changes(home / "upper", [lower]) == [(MODIFIED, "/etc"), (ADDED, "/etc/passwd"), (ADDED, "/proc")]


def test_the_size_of_what_was_written(home: Path, tmp_path: Path) -> None:
    upper = mount_root(home, [tree(tmp_path / "l1", "a")])
    (upper / "f").write_bytes(b"x" * 1000)
    os.link(upper / "f", upper / "g")
    (upper / "etc").symlink_to("/etc")
    tree(upper, "d/e")
    assert disk_usage(home / "upper") == 1000 + len("/etc") + len("rootfs:d/e\n")
    assert disk_usage(tmp_path / "never") == 0


# volumes


def test_a_volume_is_filled_from_the_image(home: Path, tmp_path: Path) -> None:
    lower = tree(tmp_path / "l1", "data/f", "data/sub/g")
    os.chown(lower / "data", 5, 6)
    (lower / "data").chmod(0o1770)
    os.chown(lower / "data/f", 1000, 1000)
    os.setxattr(lower / "data/f", "user.note", b"x")
    (lower / "data/link").symlink_to("/etc")
    volume = tree(tmp_path / "v")
    copy_up(mount_root(home, [lower]), "/data", volume)
    found, file = volume.stat(), (volume / "f").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (5, 6, 0o1770)
    assert (file.st_uid, os.getxattr(volume / "f", "user.note")) == (1000, b"x")
    assert (volume / "sub/g").read_text() == "l1:data/sub/g\n"
    assert os.readlink(volume / "link") == "/etc"


def test_a_volume_that_holds_something_is_left_alone(home: Path, tmp_path: Path) -> None:
    volume = tree(tmp_path / "v", "mine")
    copy_up(mount_root(home, [tree(tmp_path / "l1", "data/f")]), "/data", volume)
    assert os.listdir(volume) == ["mine"]


@pytest.mark.parametrize("link", ["/etc", "../../../../../../../../etc", "/proc/self/root/etc"])
def test_a_volume_is_not_filled_from_the_host(home: Path, tmp_path: Path, link: str) -> None:
    lower, volume = tree(tmp_path / "l1", "etc/inside"), tree(tmp_path / "v")
    (lower / "data").symlink_to(link)
    copy_up(mount_root(home, [lower]), "/data", volume)
    assert os.listdir(volume) in ([], ["inside"])


@pytest.mark.parametrize("path", ["/nope", "/file", "/file/x"])
def test_a_mount_point_that_the_image_does_not_have(home: Path, tmp_path: Path, path: str) -> None:
    volume = tree(tmp_path / "v")
    copy_up(mount_root(home, [tree(tmp_path / "l1", "file")]), path, volume)
    assert os.listdir(volume) == []


def test_a_volume_that_is_too_small_stays_empty(home: Path, tmp_path: Path) -> None:
    lower, volume = tree(tmp_path / "l1", "data/a"), tree(tmp_path / "v")
    (lower / "data/big").write_bytes(bytes(1 << 20))
    mount_volume("tmpfs", volume, "tmpfs", "size=64k")
    try:
        with pytest.raises(OSError, match=r"copy /data of the image into the volume .*No space left"):
            copy_up(mount_root(home, [lower]), "/data", volume)
        assert os.listdir(volume) == []
    finally:
        unmount_volume(volume)


def options_of(target: Path) -> set[str]:
    return next(set(item.options.split(",")) for item in mountinfo() if item.target == target)


@pytest.mark.usefixtures("home")
def test_volumes_with_mount_options(tmp_path: Path) -> None:
    source, target = tree(tmp_path / "source", "f"), tree(tmp_path / "target")
    mount_volume("tmpfs", target, "tmpfs", "size=1m,nosuid,noexec,mode=1700,uid=5")
    assert {"rw", "nosuid", "noexec", "size=1024k", "mode=1700", "uid=5"} <= options_of(target)
    unmount_volume(target)
    mount_volume(str(source), target, "none", "bind,ro,nodev")
    assert {"ro", "nodev"} <= options_of(target)
    with pytest.raises(OSError, match="Read-only"):
        (target / "g").write_text("")
    unmount_volume(target)
    unmount_volume(target)
    mount_volume(str(source), target, "none", "rbind")
    (target / "g").write_text("")
    unmount_volume(target)
    with pytest.raises(OSError, match=r"mount tmpfs on .*target: Invalid argument"):
        mount_volume("tmpfs", target, "tmpfs", "nonsense=1")
