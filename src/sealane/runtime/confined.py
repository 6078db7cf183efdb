"""Reads and writes files of a container from inside its own root: run as a child process, never imported by the engine.

    python -m sealane.runtime.confined [--pid PID | --root DIR] [--no-overwrite-dir-non-dir] VERB PATH

The child enters the mount namespace of a running container's process, or the root directory of a stopped one, and only
then looks at PATH, so that no symbolic link, however crafted, leads out of the container. ``stat`` prints one JSON
object, ``get`` writes a tar archive to standard output, ``put`` extracts one from standard input, ``export`` is ``get``
of the whole root. Errors: exit code 1 and one JSON object ``{"kind": "not-found" | "invalid" | "forbidden" | "failed",
"message": …}`` on standard error.

Inside, this process is still the host's root. So no code may come from there: everything that Python or the C library
would look for later (modules, name services) is loaded before, or never asked for (CVE-2019-14271).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import posixpath
import stat
import sys
import tarfile
from collections.abc import Callable, Sequence
from typing import Final

from sealane.runtime import confined_get, confined_put
from sealane.runtime.confined_refusal import Refusal

_CLONE_NEWNS: Final = 0x00020000
_READ_ONLY: Final = 30  # EROFS
#: Go's os.FileMode bits, which clients of ``archive`` expect.
_GO_DIR, _GO_LINK, _GO_DEVICE, _GO_FIFO = 1 << 31, 1 << 27, 1 << 26, 1 << 25
_GO_SOCKET, _GO_SETUID, _GO_SETGID, _GO_CHAR, _GO_STICKY = 1 << 24, 1 << 23, 1 << 22, 1 << 21, 1 << 20


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


def _import_no_more() -> None:
    """From now on a module that is not loaded does not exist, whatever lies at its place in the container."""
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path.clear()
    sys.path_importer_cache.clear()


def _resolve(path: str) -> str:
    """Where PATH leads; its last element is not followed unless it ends in a slash or a dot."""
    absolute = posixpath.normpath("/" + path.lstrip("/"))
    if _wants_directory(path):
        return posixpath.realpath(absolute)
    folder, base = posixpath.split(absolute)
    return posixpath.join(posixpath.realpath(folder), base)


def _wants_directory(path: str) -> bool:
    return path.endswith(("/", "/.")) or path in ("", ".")


def _lstat(target: str, path: str) -> os.stat_result:
    """What PATH is. Raises Refusal in Docker's words."""
    shown = "/" + path.lstrip("/")
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        raise Refusal("not-found", f"Could not find the file {path} in container") from None
    except NotADirectoryError:
        raise Refusal("failed", f"lstat {shown}: not a directory") from None
    if _wants_directory(path) and not stat.S_ISDIR(found.st_mode):
        raise Refusal("failed", f"lstat {shown}: not a directory")
    return found


def _base(path: str) -> str:
    """The name by which clients know it: the last element as they wrote it, "." and "/" too."""
    return posixpath.basename(path.rstrip("/")) or ("/" if path else ".")


def verb_stat(path: str, _: argparse.Namespace) -> None:
    target = _resolve(path)
    found = _lstat(target, path)
    answer = {
        "name": _base(path),
        "size": found.st_size,
        "mode": go_mode(found.st_mode),
        "mtime_ns": found.st_mtime_ns,
        "link_target": posixpath.realpath(target) if stat.S_ISLNK(found.st_mode) else "",
    }
    print(json.dumps(answer))


def verb_get(path: str, _: argparse.Namespace) -> None:
    target = _resolve(path)
    _lstat(target, path)
    confined_get.write_tar(target, _base(path), sys.stdout.buffer)


def verb_export(_: str, __: argparse.Namespace) -> None:
    confined_get.write_tar("/", "", sys.stdout.buffer)


def verb_put(path: str, options: argparse.Namespace) -> None:
    target = posixpath.realpath("/" + path.lstrip("/"))
    if not stat.S_ISDIR(_lstat(target, path).st_mode):
        raise Refusal("invalid", "extraction point is not a directory")
    confined_put.extract(sys.stdin.buffer, target, keep_kinds=options.no_overwrite_dir_non_dir)


_VERBS: Final[dict[str, Callable[[str, argparse.Namespace], None]]] = {
    "stat": verb_stat,
    "get": verb_get,
    "put": verb_put,
    "export": verb_export,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pid", type=int, default=0)
    parser.add_argument("--root", default="/")
    parser.add_argument("--no-overwrite-dir-non-dir", action="store_true")
    options, (verb, path) = parser.parse_args(arguments[:-2]), arguments[-2:]  # a path may begin with a dash
    try:
        _enter(options.pid, options.root)
        _import_no_more()
        _VERBS[verb](path, options)
        sys.stdout.flush()
    except Refusal as refusal:
        return _fail(refusal.kind, str(refusal))
    except OSError as error:
        forbidden = isinstance(error, PermissionError) or error.errno == _READ_ONLY
        return _fail("forbidden" if forbidden else "failed", f"{path}: {error.strerror or error}")
    except (tarfile.TarError, KeyError) as error:  # KeyError: a hard link to what is not there
        return _fail("invalid", f"not a tar archive: {error}")
    return 0


def _fail(kind: str, message: str) -> int:
    print(json.dumps({"kind": kind, "message": message}), file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
