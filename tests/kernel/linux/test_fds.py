"""File descriptors: one owner each, passed on over sockets."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from sealane.linux.fds import Fd, directory, recv_fds, send_fds, short_socket_path


def count() -> int:
    return len(os.listdir("/proc/self/fd"))


def opened() -> Fd:
    return Fd(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))


def test_an_fd_is_closed_once() -> None:
    before = count()
    with opened() as fd:
        assert count() == before + 1
        fd.close()
        reused = os.open("/dev/null", os.O_RDONLY)
        fd.close()  # must not close what has the number now
        os.fstat(reused)
        os.close(reused)
    assert count() == before
    with pytest.raises(ValueError, match="closed"):
        fd.fileno()


def test_an_fd_that_is_handed_on_stays_open() -> None:
    with opened() as fd:
        number = fd.steal()
    os.fstat(number)
    os.close(number)


def test_fds_travel_with_the_bytes() -> None:
    before = count()
    left, right = socket.socketpair()
    with left, right, opened() as one, opened() as two:
        send_fds(left, b"hello", [one.fileno(), two.fileno()])
        data, received = recv_fds(right, 100, 4)
        assert (data, len(received)) == (b"hello", 2)
        assert [os.fstat(fd).st_rdev for fd in received] == [os.fstat(one.fileno()).st_rdev] * 2
        assert not any(os.get_inheritable(fd) for fd in received)
        for fd in received:
            os.close(fd)
        send_fds(left, b"no more", [])
        assert recv_fds(right, 100, 4) == (b"no more", [])
    assert count() == before


def test_more_fds_than_expected_are_closed_and_refused() -> None:
    left, right = socket.socketpair()
    with left, right, opened() as fd:
        before = count()
        send_fds(left, b"x", [fd.fileno()] * 9)
        with pytest.raises(OSError, match="more file descriptors"):
            recv_fds(right, 100, 2)
        assert count() == before


def test_more_bytes_than_the_socket_takes_at_once() -> None:
    left, right = socket.socketpair()
    big = os.urandom(3 << 20)
    with left, right, opened() as fd:
        sender = threading.Thread(target=send_fds, args=(left, big, [fd.fileno()]))
        sender.start()
        data, received = recv_fds(right, 1 << 20, 4)
        while len(data) < len(big):
            data += right.recv(1 << 20)
        sender.join()
        assert data == big
        assert len(received) == 1
        os.close(received[0])


def test_sockets_in_deep_directories_can_be_bound(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    before = count()
    with directory(deep) as fd, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(short_socket_path(fd, "s"))
    assert (deep / "s").is_socket()
    assert count() == before
    with pytest.raises(NotADirectoryError), directory(deep / "s"):
        pass
