"""--user and --group-add looked up in files that belong to the image."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.runtime.spec import User
from sealane.runtime.users import find_user

PASSWD = """\
# a comment
root:x:0:0:root:/root:/bin/sh

web:x:1000:1001:Web,,,:/srv/web:/bin/sh
123:x:77:78::/odd:/bin/sh
nohome:x:5:6
homeless:x:8:9:::
"""
GROUP = "root:x:0:\nweb:x:1001:\naudio:x:29:web,other\nvideo:x:44:web\n55:x:56:\n"
RANGE = "uids and gids must be in range 0-2147483647"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return image(tmp_path, PASSWD, GROUP)


def image(folder: Path, passwd: str | bytes, group: str | bytes = "") -> Path:
    (folder / "etc").mkdir(exist_ok=True)
    for name, content in (("passwd", passwd), ("group", group)):
        (folder / "etc" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", User(0, 0, (0,), "/root")),
        ("root", User(0, 0, (0,), "/root")),
        ("web", User(1000, 1001, (1001, 29, 44), "/srv/web")),
        ("1000", User(1000, 1001, (1001, 29, 44), "/srv/web")),
        ("web:audio", User(1000, 29, (29,), "/srv/web")),
        ("web:29", User(1000, 29, (29,), "/srv/web")),
        ("web:4711", User(1000, 4711, (4711,), "/srv/web")),
        ("4711", User(4711, 0, (0,), "/")),
        ("4711:4712", User(4711, 4712, (4712,), "/")),
        ("123", User(77, 78, (78,), "/odd")),  # a name before a number
        ("0:55", User(0, 56, (56,), "/root")),
        ("nohome", User(5, 6, (6,), "/")),
        ("homeless", User(8, 9, (9,), "/")),
        ("007", User(7, 0, (0,), "/")),
        ("2147483647", User(2147483647, 0, (0,), "/")),
    ],
)
def test_users(root: Path, text: str, expected: User) -> None:
    assert find_user(root, text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ghost", "unable to find user ghost: no matching entries in passwd file"),
        ("web:ghosts", "unable to find group ghosts: no matching entries in group file"),
        ("4711:ghosts", "unable to find group ghosts: no matching entries in group file"),
        ("-1", RANGE),
        ("2147483648", RANGE),
        ("0:2147483648", RANGE),
        ("9" * 5000, RANGE),
        ("\u0663", "unable to find user \u0663: no matching entries in passwd file"),
        ("+5", "unable to find user +5: no matching entries in passwd file"),
        (" ", "unable to find user  : no matching entries in passwd file"),
    ],
)
def test_users_that_there_are_not(root: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        find_user(root, text)
    assert str(refused.value) == words


def test_added_groups(root: Path) -> None:
    assert find_user(root, "4711", ["audio", "99", "55"]).groups == (0, 29, 99, 56)
    assert find_user(root, "web:5", ["5", "web"]).groups == (5, 1001)
    with pytest.raises(InvalidArgument, match=r"^Unable to find group ghosts: no matching entries in group file$"):
        find_user(root, "", ["ghosts"])


def test_the_main_group_is_among_the_groups(root: Path) -> None:
    """CVE-2022-36109: a process could shed a group by which a file was closed to it."""
    for text in ("", "web", "4711:4712", "web:audio"):
        user = find_user(root, text)
        assert user.gid in user.groups


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "x:x",
        "x:x:1",
        "x:x:y:1",
        "x:x:1:y",
        "x:x:-1:-1",
        "x:x:4294967296:0",
        f"x:x:{'9' * 5000}:0",
        "x:x:\u0663:0",
        "x:x:1.5:0",
        "x:x: 1:0",
        "#x:x:1:1",
    ],
)
def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path, line: str) -> None:
    root = image(tmp_path, f"{line}\nlast:x:3:4::/:\n", f"{line}\n")
    assert find_user(root, "last").uid == 3
    with pytest.raises(InvalidArgument):
        find_user(root, "x")


@given(st.binary(), st.binary(), st.text(max_size=20))
def test_any_content_is_survived(
    tmp_path_factory: pytest.TempPathFactory, passwd: bytes, group: bytes, text: str
) -> None:
    root = image(tmp_path_factory.getbasetemp(), passwd, group)
    try:
        user = find_user(root, text, ["audio"])
    except InvalidArgument:
        return
    assert 0 <= user.uid < 1 << 31
    assert all(0 <= group < 1 << 31 for group in user.groups)


# what lies in the place of the files


def test_an_image_without_files(tmp_path: Path) -> None:
    assert find_user(tmp_path, "") == User(0, 0, (0,), "/")
    assert find_user(tmp_path, "5:6") == User(5, 6, (6,), "/")


@pytest.mark.parametrize("target", ["/secret", "../secret", "../../../../../../../../secret", "/../secret"])
def test_links_lead_to_files_of_the_image(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").symlink_to(target)
    (root / "secret").write_text("inside:x:1:1::/:\n")
    (tmp_path / "secret").write_text("outside:x:2:2::/:\n")
    assert find_user(root, "inside").uid == 1
    with pytest.raises(InvalidArgument):
        find_user(root, "outside")


def test_links_do_not_lead_to_the_hosts_files(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for target in ("/etc/passwd", "/proc/self/root/etc/passwd", "/proc/1/root/etc/passwd", "passwd"):
        (tmp_path / "etc/passwd").unlink(missing_ok=True)
        (tmp_path / "etc/passwd").symlink_to(target)
        with pytest.raises(InvalidArgument):
            find_user(tmp_path, "daemon")


def test_etc_may_be_a_link_itself(tmp_path: Path) -> None:
    image(tmp_path, PASSWD)
    (tmp_path / "etc").rename(tmp_path / "real")
    (tmp_path / "etc").symlink_to("/real")
    assert find_user(tmp_path, "web").uid == 1000


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    (tmp_path / "etc/group").mkdir()
    assert find_user(tmp_path, "5:6", ["7"]) == User(5, 6, (6, 7), "/")


def test_a_huge_file_is_read_to_a_limit(tmp_path: Path) -> None:
    root = image(tmp_path, "first:x:3:4::/:\n")
    with (root / "etc/passwd").open("r+b") as file:
        file.truncate(1 << 40)
    assert find_user(root, "first").uid == 3
