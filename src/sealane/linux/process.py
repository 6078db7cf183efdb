"""Processes: which one is meant, whether it lives, who holds a port (proc(5), pidfd_open(2))."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from sealane.values import IPAddress, Transport

_PROC: Final = Path("/proc")
#: Fields of /proc/PID/stat behind the command, counted from the state.
_STATE, _PPID, _START = 0, 1, 19
_TCP_LISTEN: Final = "0A"


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process told apart from a later one of the same number by its start time (clock ticks since boot)."""

    pid: int
    start_time: int


def _stat(pid: int) -> list[str]:
    text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()


def identify(pid: int) -> ProcessId:
    """Raises OSError ENOENT when there is no such process."""
    return ProcessId(pid, int(_stat(pid)[_START]))


def alive(process: ProcessId) -> bool:
    """True while exactly this process exists and is not a zombie."""
    try:
        fields = _stat(process.pid)
    except OSError:
        return False
    return int(fields[_START]) == process.start_time and fields[_STATE] not in ("Z", "X")


def exists(pid: int) -> bool:
    """True while a process of this number exists and is not a zombie."""
    try:
        return _stat(pid)[_STATE] not in ("Z", "X")
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for task in _tasks(pid):
        try:
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
        except OSError:
            continue
    return found


def _tasks(pid: int) -> list[Path]:
    try:
        return list((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return []


def kill(pid: int, number: int) -> None:
    """Signal a process by a handle, so that a reused number is never hit after the look-up. Raises
    ProcessLookupError.
    """
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, number)
    finally:
        os.close(fd)


def command(pid: int) -> str:
    """The short name of a process, "" when it is gone."""
    try:
        return (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def pids() -> Iterator[int]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


# ports


def can_bind(address: IPAddress, transport: Transport, port: int) -> bool:
    """Whether a socket can be bound there now. An address that the host does not have raises OSError EADDRNOTAVAIL."""
    kinds = {
        Transport.TCP: (socket.SOCK_STREAM, 0),
        Transport.UDP: (socket.SOCK_DGRAM, 0),
        Transport.SCTP: (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
    }
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    kind, protocol = kinds[transport]
    try:
        sock = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    except OSError:
        return True  # the kernel has no such protocol: nobody can hold it
    with sock:
        if transport is Transport.TCP:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            sock.bind((str(address), port))
            if transport is Transport.TCP:
                sock.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def port_holder(address: IPAddress, transport: Transport, port: int) -> str:
    """Who holds a port on this host: ``nginx, pid 123``, or "another program" when nobody can be named."""
    for name in (transport.value, f"{transport.value}6"):
        for inode in _sockets(name, transport, port, address):
            owner = _owner(inode)
            if owner:
                return owner
    return "another program"


def _sockets(table: str, transport: Transport, port: int, address: IPAddress) -> Iterator[int]:
    try:
        lines = (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        host, _, number = fields[1].partition(":")
        if int(number, 16) != port or (transport is Transport.TCP and fields[3] != _TCP_LISTEN):
            continue
        bound = _address(host)
        if bound.is_unspecified or address.is_unspecified or bound == address:
            yield int(fields[9])


def _address(text: str) -> IPAddress:
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    packed = b"".join(words)
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def _owner(inode: int) -> str:
    wanted = f"socket:[{inode}]"
    for pid in pids():
        if any(target == wanted for target in _open_files(pid)):
            return f"{command(pid)}, pid {pid}"
    return ""


def _open_files(pid: int) -> Iterator[str]:
    """What the fds of a process lead to; those that go meanwhile are left out."""
    try:
        numbers = os.listdir(_PROC / str(pid) / "fd")
    except OSError:
        return
    for number in numbers:
        try:
            yield os.readlink(_PROC / str(pid) / "fd" / number)
        except OSError:
            continue
