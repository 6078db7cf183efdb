"""Network namespaces: made, named, entered and let go."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from kernel.linux.eyes import link
from sealane.linux import namespaces
from sealane.linux.mounts import mountinfo

OWN = Path("/proc/thread-self/ns/net")


def test_a_new_namespace_has_its_loopback_up_and_is_another(ns: Path) -> None:
    assert "UP" in link(ns, "lo")["flags"]
    assert namespaces.inode(ns) != namespaces.inode(OWN)
    assert ns in {mount.target for mount in mountinfo()}


def test_a_name_is_given_once(ns: Path) -> None:
    before = namespaces.inode(ns)
    with pytest.raises(FileExistsError):
        namespaces.create(ns)
    assert namespaces.inode(ns) == before


def test_a_failed_creation_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        namespaces.create(tmp_path / "missing" / "ns")

    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "refused")

    monkeypatch.setattr(namespaces, "bind", refused)
    with pytest.raises(PermissionError):
        namespaces.create(tmp_path / "ns")
    assert list(tmp_path.iterdir()) == []


def test_removing_is_idempotent_and_takes_the_name_away(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    namespaces.create(path)
    namespaces.remove(path)
    assert not path.exists()
    assert path not in {mount.target for mount in mountinfo()}
    namespaces.remove(path)
    path.touch()  # a file that is no mount, left by a crash between the two
    namespaces.remove(path)
    assert not path.exists()


def test_a_namespace_lives_as_long_as_somebody_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "held"
    namespaces.create(path)
    number = namespaces.inode(path)
    fd = namespaces.open_fd(path)
    try:
        namespaces.remove(path)
        assert namespaces.run_in(fd, lambda: namespaces.inode(OWN)) == number
    finally:
        os.close(fd)


def test_code_runs_inside_and_the_caller_stays_outside(ns: Path) -> None:
    own = namespaces.inode(OWN)
    assert namespaces.run_in(ns, lambda: namespaces.inode(OWN)) == namespaces.inode(ns)
    assert namespaces.inode(OWN) == own


def test_what_is_raised_inside_comes_out_and_nothing_leaks(ns: Path) -> None:
    fds = len(os.listdir("/proc/self/fd"))

    def fail() -> None:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        namespaces.run_in(ns, fail)
    with pytest.raises(FileNotFoundError):
        namespaces.run_in(ns.parent / "nosuch", fail)
    with pytest.raises(OSError, match="enter network namespace"):
        namespaces.run_in(Path("/proc/thread-self/ns/mnt"), fail)
    assert len(os.listdir("/proc/self/fd")) == fds


def test_a_socket_opened_inside_stays_there(ns: Path) -> None:
    with namespaces.run_in(ns, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with socket.socket() as outside:
            outside.settimeout(1)
            assert outside.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
