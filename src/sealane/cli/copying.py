"""Copying for ``sealane cp``: tar archives from and to a container, with the naming rules of ``cp -a``.

A directory whose path ends in ``/.`` stands for its contents. A target that is a directory takes the source under its
own name; one that does not exist becomes the source's new name. What comes from a container is not trusted: no
entry may leave the target directory.
"""

from __future__ import annotations

import json
import os
import tarfile

from sealane.cli.archives import ChunkFile, extract, tar_stream
from sealane.cli.failures import Failure
from sealane.client.engine import path
from sealane.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from sealane.cli.app import App
    from sealane.client.connection import Reply
    from sealane.client.types import JsonObject

_GO_DIRECTORY: Final = 1 << 31  # the bits of Go's os.FileMode
_GO_SYMLINK: Final = 1 << 27
_MISSING: Final = 404
_CHUNK: Final = 256 * 1024


def _archive_path(container: str) -> str:
    return path("containers", container, "archive")


def _stat_of(reply: Reply) -> JsonObject:
    import base64

    decoded = json.loads(base64.b64decode(reply.headers.get("x-docker-container-path-stat", "e30=")))
    assert isinstance(decoded, dict)
    return decoded


def stat(app: App, container: str, where: str) -> JsonObject | None:
    """Name, size, mode and link target of a path in a container; None when there is none."""
    try:
        reply = app.engine.call("HEAD", _archive_path(container), {"path": where})
    except ApiError as error:
        if error.status == _MISSING:
            return None
        raise
    return _stat_of(reply)


def from_container(app: App, container: str, source: str, target: str, *, archive: bool, follow: bool) -> int:
    """Copy out of a container; *target* ``-`` writes the archive to standard output. Returns the bytes of files."""
    if follow and not source.endswith("/"):
        seen = stat(app, container, source)
        if seen and seen["mode"] & _GO_SYMLINK:
            source = os.path.join(os.path.dirname(source), seen["linkTarget"])
    source = source or "/"
    if target == "-" and app.out_is_terminal():
        raise Failure("cowardly refusing to write an archive to a terminal")
    reply = app.engine.call("GET", _archive_path(container), {"path": source})
    if target == "-":
        for chunk in reply.chunks():
            app.write_bytes(chunk)
        return 0
    seen = _stat_of(reply)
    folder, name = _local_target(seen, source, target)
    with tarfile.open(fileobj=ChunkFile(reply.chunks()), mode="r|") as tar:
        return extract(tar, folder, name, keep_owner=archive)


def _local_target(seen: JsonObject, source: str, target: str) -> tuple[str, str]:
    """(folder, new name of the archive's first component; empty: its contents go right into the folder)"""
    is_folder = bool(seen["mode"] & _GO_DIRECTORY)
    contents = source.endswith("/.") or source == "."
    if os.path.isdir(target):
        return target, "" if is_folder and contents else _name(source, seen)
    if os.path.exists(target):
        if is_folder:
            raise Failure(f"cannot copy directory {source!r} over the file {target!r}")
        return os.path.dirname(target) or ".", os.path.basename(target)
    if target.endswith("/") and not is_folder:
        raise Failure(f"no such directory: {target}")
    parent = os.path.dirname(target.rstrip("/")) or "."
    if not os.path.isdir(parent):
        raise Failure(f"invalid output path: directory {parent!r} does not exist")
    return parent, os.path.basename(target.rstrip("/"))


def _name(source: str, seen: JsonObject) -> str:
    return os.path.basename(source.rstrip("/")) or str(seen["name"])


def to_container(app: App, source: str, container: str, target: str, *, archive: bool, follow: bool) -> int:
    """Copy into a container; *source* ``-`` is an archive on standard input. Returns the bytes of files."""
    where, seen = _resolve(app, container, target)
    is_folder = bool(seen and seen["mode"] & _GO_DIRECTORY)
    if source == "-":
        if not is_folder:
            raise Failure(f'destination "{container}:{target}" must be a directory')
        _put(app, container, where, _standard_input(), archive=archive)
        return 0
    if not os.path.lexists(source):
        raise Failure(f"lstat {source}: no such file or directory")
    if follow or source.endswith("/"):
        source = os.path.realpath(source) + ("/." if source.endswith("/.") else "")
    folder, name = _remote_target(source, where, target, seen)
    total = [0]
    _put(app, container, folder, tar_stream(source, name, total), archive=archive)
    return total[0]


def _resolve(app: App, container: str, target: str) -> tuple[str, JsonObject | None]:
    """Follow a symbolic link at the target inside the container once, as the engine reports it."""
    where = target or "/"
    seen = stat(app, container, where)
    if seen and seen["mode"] & _GO_SYMLINK:
        where = os.path.join(os.path.dirname(where), seen["linkTarget"])
        seen = stat(app, container, where)
    return where, seen


def _remote_target(source: str, where: str, target: str, seen: JsonObject | None) -> tuple[str, str]:
    """(folder in the container, name of the source in the archive; ``.``: only its contents)"""
    is_folder = os.path.isdir(source) and not (os.path.islink(source) and not source.endswith("/."))
    contents = source.endswith("/.") or source in (".", "..")
    own_name = "." if contents and is_folder else os.path.basename(source.rstrip("/"))
    if seen and seen["mode"] & _GO_DIRECTORY:
        return where, own_name
    if seen and is_folder:
        raise Failure(f"cannot copy the directory {source!r} over the file {target!r}")
    if seen is None and target.endswith("/") and not is_folder:
        raise Failure(f'destination directory "{target}" does not exist')
    return os.path.dirname(where.rstrip("/")) or "/", os.path.basename(where.rstrip("/"))


def _put(app: App, container: str, folder: str, body: Iterator[bytes], *, archive: bool) -> None:
    query = {"path": folder, "noOverwriteDirNonDir": "true", "copyUIDGID": "true" if archive else None}
    headers = {"Content-Type": "application/x-tar"}
    app.engine.call("PUT", _archive_path(container), query, body=body, headers=headers).read()


def _standard_input() -> Iterator[bytes]:
    while data := os.read(0, _CHUNK):
        yield data
