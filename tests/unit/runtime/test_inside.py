"""Looking into a container's root: links lead nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sealane.runtime.inside import find_inside, open_folder, read_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with links of every kind; beside it, what must not be seen."""
    made = tmp_path / "root"
    (made / "real/deep").mkdir(parents=True)
    (made / "real/file").write_text("inside")
    (tmp_path / "file").write_text("outside")
    (tmp_path / "deep").mkdir()
    for name, target in (("in", "real"), ("abs", "/real"), ("up", ".."), ("out", str(tmp_path)), ("loop", "loop")):
        (made / name).symlink_to(target)
    return made


@pytest.mark.parametrize("path", ["real/file", "/real/file", "in/file", "abs/file", "up/real/file", "../real/file"])
def test_links_are_resolved_inside(root: Path, path: str) -> None:
    assert read_inside(root, path) == "inside"


@pytest.mark.parametrize(
    "path", ["out/file", "up/file", "../file", "loop", "real", "real/file/x", "nope", "x" * 5000, ""]
)
def test_nothing_else_is_read(root: Path, path: str) -> None:
    assert read_inside(root, path) is None


def test_found_and_not_opened(root: Path) -> None:
    """A descriptor to look at: a fifo does not wait for a writer."""
    os.mkfifo(root / "fifo")
    fd = find_inside(root, "fifo")
    assert fd is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.read(fd, 1)
    os.close(fd)
    assert find_inside(root, "fifo", os.O_DIRECTORY) is None


@pytest.mark.parametrize("path", ["", "real", "/real", "real/deep"])
def test_folders(root: Path, path: str) -> None:
    fd = open_folder(root, path)
    assert fd is not None
    assert os.listdir(fd) == os.listdir(root / path.lstrip("/"))
    os.close(fd)


@pytest.mark.parametrize("path", ["in", "in/deep", "abs/deep", "out/deep", "..", "../deep", "real/file", "nope"])
def test_folders_behind_links_are_not_listed(root: Path, path: str) -> None:
    assert open_folder(root, path) is None
