"""Reads and writes files of a container from inside its own root: run as a child process, never imported by the engine.

    python -m sealane.runtime.confined VERB --pid PID  | --root DIR   PATH

The child enters the mount namespace of a running container's process, or the root directory of a stopped one, and only
then looks at PATH, so that no symbolic link, however crafted, leads out of the container. ``stat`` prints one JSON
object, ``get`` writes a tar archive to standard output, ``put`` extracts one from standard input, ``export`` is ``get``
of the whole root. Errors: exit code 1 and one JSON object ``{"kind": "not-found" | "invalid" | "forbidden" | "failed",
"message": …}`` on standard error.
"""

from __future__ import annotations

import argparse
import ctypes
import encodings.idna
import grp
import json
import os
import posixpath
import pwd
import stat
import sys
import tarfile
from collections.abc import Callable
from typing import Any, Final, cast

_CLONE_NEWNS: Final = 0x00020000
_XATTR: Final = "SCHILY.xattr."
#: Go's os.FileMode bits, which clients of ``archive`` expect.
_GO_DIR, _GO_LINK, _GO_DEVICE, _GO_FIFO = 1 << 31, 1 << 27, 1 << 26, 1 << 25
_GO_SOCKET, _GO_SETUID, _GO_SETGID, _GO_CHAR, _GO_STICKY = 1 << 24, 1 << 23, 1 << 22, 1 << 21, 1 << 20


class Refusal(Exception):
    """What is told to the engine: a kind and a message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def go_mode(mode: int) -> int:
    """Unix mode bits as Go's os.FileMode."""
    bits = stat.S_IMODE(mode) & 0o777
    kinds = {
        stat.S_IFDIR: _GO_DIR,
        stat.S_IFLNK: _GO_LINK,
        stat.S_IFBLK: _GO_DEVICE,
        stat.S_IFCHR: _GO_DEVICE | _GO_CHAR,
        stat.S_IFIFO: _GO_FIFO,
        stat.S_IFSOCK: _GO_SOCKET,
    }
    bits |= kinds.get(stat.S_IFMT(mode), 0)
    for unix, go in ((stat.S_ISUID, _GO_SETUID), (stat.S_ISGID, _GO_SETGID), (stat.S_ISVTX, _GO_STICKY)):
        bits |= go if mode & unix else 0
    return bits


def _enter(pid: int, root: str) -> None:
    if pid:
        namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNS) != 0:
            raise Refusal("failed", f"cannot enter the container's mounts: {os.strerror(ctypes.get_errno())}")
        os.close(namespace)
    else:
        os.chroot(root)
    os.chdir("/")


def _clean(path: str) -> str:
    """Absolute, with the last element not followed unless the path ends in a slash or a dot."""
    absolute = posixpath.normpath("/" + path)
    folder, base = posixpath.split("/" + absolute.lstrip("/"))
    if path.endswith(("/", "/.")) or path in ("", "."):
        return posixpath.realpath(absolute)
    return posixpath.join(posixpath.realpath(folder), base)


def _lstat(path: str, shown: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal("not-found", f"Could not find the file {shown} in container") from None


def verb_stat(path: str, _: argparse.Namespace) -> None:
    target = _clean(path)
    found = _lstat(target, path)
    link = posixpath.realpath(target) if stat.S_ISLNK(found.st_mode) else ""
    name = posixpath.basename(posixpath.normpath("/" + path)) or "/"
    answer = {
        "name": name,
        "size": found.st_size,
        "mode": go_mode(found.st_mode),
        "mtime_ns": found.st_mtime_ns,
        "link_target": link,
    }
    print(json.dumps(answer))


def verb_get(path: str, _: argparse.Namespace) -> None:
    target = _clean(path)
    found = _lstat(target, path)
    if path.endswith("/") and not stat.S_ISDIR(found.st_mode):
        raise Refusal("invalid", f"{path} is not a directory")
    base = "." if path.endswith("/.") or target == "/" else posixpath.basename(target)
    _write_tar(target, base)


def verb_export(_: str, options: argparse.Namespace) -> None:
    _write_tar("/", "")


def _write_tar(target: str, base: str) -> None:
    device = os.lstat(target).st_dev
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.dereference = False
        _add(archive, target, base, device)


def _add(archive: tarfile.TarFile, path: str, name: str, device: int) -> None:
    if name:
        # typeshed does not know that there is none for a socket
        member = cast("tarfile.TarInfo | None", archive.gettarinfo(path, arcname=name))
        if member is None:
            return
        member.pax_headers = {**member.pax_headers, **_xattrs(path)}
        if member.isreg() and member.type != tarfile.LNKTYPE:
            with open(path, "rb") as content:
                archive.addfile(member, content)
        else:
            archive.addfile(member)
        if not member.isdir():
            return
    for entry in sorted(os.listdir(path)):
        child = posixpath.join(path, entry)
        if path == "/" and os.lstat(child).st_dev != device and not name:
            continue  # another mount lies there: not part of the root
        try:
            _add(archive, child, posixpath.join(name, entry) if name else entry, device)
        except FileNotFoundError:
            continue  # it vanished meanwhile


def _xattrs(path: str) -> dict[str, str]:
    """Those that belong to the file's content, as pax headers."""
    return {
        _XATTR + key: os.getxattr(path, key, follow_symlinks=False).decode("utf-8", "surrogateescape")
        for key in os.listxattr(path, follow_symlinks=False)
        if key.startswith(("security.capability", "user."))
    }


def verb_put(path: str, options: argparse.Namespace) -> None:
    target = posixpath.realpath("/" + path)
    found = _lstat(target, path)
    if not stat.S_ISDIR(found.st_mode):
        raise Refusal("invalid", "extraction point is not a directory")
    try:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*") as archive:
            for member in archive:
                _extract(archive, member, target, options)
    except tarfile.TarError as error:
        raise Refusal("invalid", f"not a tar archive: {error}") from error
    while sys.stdin.buffer.read(1 << 16):
        pass  # the padding behind the archive's end


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: str, options: argparse.Namespace) -> None:
    name = posixpath.normpath(member.name.lstrip("/"))
    if name == ".." or name.startswith("../"):
        raise Refusal("invalid", f"{member.name}: leads out of the directory")
    place = posixpath.join(target, name)
    if os.path.lexists(place) and options.no_overwrite_dir_non_dir:
        there = os.path.isdir(place) and not os.path.islink(place)
        if there != member.isdir():
            what = ("directory", "non-directory") if there else ("non-directory", "directory")
            raise Refusal("invalid", f"cannot overwrite {what[0]} {place} with {what[1]}")
    if not member.isdir() and os.path.lexists(place) and not os.path.isdir(place):
        os.unlink(place)
    member.name = name
    archive.extract(member, target, set_attrs=True, numeric_owner=True, filter=_as_it_is)
    for key, value in member.pax_headers.items():
        if key.startswith(_XATTR) and not member.issym():
            os.setxattr(place, key.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))


def _as_it_is(member: tarfile.TarInfo, _: str) -> tarfile.TarInfo:
    return member


_VERBS: Final[dict[str, Callable[[str, argparse.Namespace], None]]] = {
    "stat": verb_stat,
    "get": verb_get,
    "put": verb_put,
    "export": verb_export,
}


def _warm_up() -> tuple[Any, ...]:
    """Load what Python would otherwise look for after the root has changed."""
    return (encodings.idna, pwd.getpwall, grp.getgrall, "x".encode("utf-8", "surrogateescape"))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=sorted(_VERBS))
    parser.add_argument("path")
    parser.add_argument("--pid", type=int, default=0)
    parser.add_argument("--root", default="/")
    parser.add_argument("--no-overwrite-dir-non-dir", action="store_true")
    options = parser.parse_args()
    _warm_up()
    try:
        _enter(options.pid, options.root)
        _VERBS[options.verb](options.path, options)
        sys.stdout.flush()
    except Refusal as refusal:
        print(json.dumps({"kind": refusal.kind, "message": str(refusal)}), file=sys.stderr)
        return 1
    except OSError as error:
        kind = "forbidden" if isinstance(error, PermissionError) or error.errno == 30 else "failed"
        print(json.dumps({"kind": kind, "message": f"{options.path}: {error.strerror or error}"}), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
