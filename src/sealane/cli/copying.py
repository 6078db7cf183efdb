"""Copying for ``sealane cp``: tar archives from and to a container. The naming rules are in :mod:`copy_places`.

What comes from a container is not trusted: no entry may leave the target directory.
"""

from __future__ import annotations

import os
import tarfile

from sealane.cli import copy_places
from sealane.cli.archives import ChunkFile, Counted, extract, tar_stream
from sealane.cli.failures import Failure
from sealane.client.engine import path
from sealane.client.errors import ApiError
from sealane.client.jsons import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from sealane.cli.app import App
    from sealane.client.connection import Reply
    from sealane.client.types import JsonObject

_GO_DIRECTORY: Final = 1 << 31  # bits of Go's FileMode
_GO_SYMLINK: Final = 1 << 27
_GO_SPECIAL: Final = (
    1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
)  # device, pipe, socket, character device, irregular
_CHUNK: Final = 256 * 1024


def _archive_path(container: str) -> str:
    return path("containers", container, "archive")


def _stat_of(reply: Reply) -> JsonObject:
    import base64

    decoded = loads(base64.b64decode(reply.headers.get("x-docker-container-path-stat", "e30=")))
    assert isinstance(decoded, dict)
    return decoded


def stat(app: App, container: str, where: str) -> JsonObject | None:
    """Name, size, mode and link target of a path in a container; None when it cannot be had."""
    try:
        reply = app.engine.call("HEAD", _archive_path(container), {"path": where})
    except ApiError:
        return None
    return _stat_of(reply)


def from_container(app: App, container: str, source: str, target: str, *, archive: bool, follow: bool) -> int:
    """Copy out of a container; *target* ``-`` writes the archive to standard output. Returns its size in bytes."""
    own_name = ""
    if target != "-":
        _check_local_target(target)
    elif app.out_is_terminal():
        raise Failure("cowardly refusing to write an archive to a terminal")
    seen = stat(app, container, source) if follow else None
    if seen and seen["mode"] & _GO_SYMLINK:
        found = copy_places.keep_ending(copy_places.join_link(source, seen["linkTarget"]), source)
        own_name = os.path.basename(source.rstrip("/"))
        source = found
    reply = app.engine.call("GET", _archive_path(container), {"path": source})
    if target == "-":
        for chunk in reply.chunks():
            app.write_bytes(chunk)
        return 0
    folder, name = _local_place(bool(_stat_of(reply)["mode"] & _GO_DIRECTORY), target)
    received = Counted(reply.chunks())
    with tarfile.open(fileobj=ChunkFile(received), mode="r|") as tar:
        extract(tar, folder, name or own_name, keep_owner=archive)
    for _ in received:
        pass  # what pads the end of the archive
    return received.total


def _check_local_target(target: str) -> None:
    plain = os.path.abspath(target)
    if not os.path.isdir(os.path.dirname(plain)):
        raise Failure(f'invalid output path: directory "{os.path.dirname(plain)}" does not exist')
    if copy_places.means_contents(target) and not os.path.isdir(plain):
        raise Failure(f"stat {plain}: no such file or directory")
    if copy_places.means_directory(target) and os.path.exists(plain) and not os.path.isdir(plain):
        raise Failure(f"stat {plain}/: not a directory")


def _local_place(source_is_folder: bool, target: str) -> tuple[str, str]:
    resolved = os.path.realpath(target)
    kind = "folder" if os.path.isdir(resolved) else "file" if os.path.lexists(resolved) else ""
    return copy_places.place(source_is_folder, copy_places.keep_ending(resolved, target), kind)


def to_container(app: App, source: str, container: str, target: str, *, archive: bool, follow: bool) -> int:
    """Copy into a container; *source* ``-`` is an archive on standard input. Returns its size in bytes."""
    where, kind = _resolve(app, container, target)
    if source == "-":
        if kind != "folder":
            raise Failure(f'destination "{container}:{target}" must be a directory')
        _put(app, container, where, Counted(_standard_input()), archive=archive)
        return 0
    actual, own_name = _local_source(source, follow=follow)
    folder, name = copy_places.place(os.path.isdir(actual) and not os.path.islink(actual), where, kind)
    sent = Counted(tar_stream(actual, name or own_name))
    _put(app, container, folder, sent, archive=archive)
    return sent.total


def _local_source(source: str, *, follow: bool) -> tuple[str, str]:
    """(the file or directory itself, its name in the archive). Raises Failure when it is not there.

    A trailing slash follows a symbolic link, as everywhere; ``-L`` follows it without one.
    """
    if follow or copy_places.means_directory(source):
        actual = os.path.realpath(source)
    else:
        folder, name = os.path.split(os.path.abspath(source))
        actual = os.path.join(os.path.realpath(folder), name)
    if not os.path.lexists(actual):
        raise Failure(f"lstat {actual}: no such file or directory")
    if copy_places.means_directory(source) and not os.path.isdir(actual):
        raise Failure(f"lstat {source}: not a directory")
    name = "." if copy_places.means_contents(source) else os.path.basename(os.path.abspath(source)) or "."
    return actual, name


def _resolve(app: App, container: str, target: str) -> tuple[str, str]:
    """(the target with a symbolic link followed once, what it is): the link is read as the engine reports it."""
    where = target
    seen = stat(app, container, where)
    if seen and seen["mode"] & _GO_SYMLINK:
        where = copy_places.join_link(target, seen["linkTarget"])
        seen = stat(app, container, where)
    if seen is None:
        return where, ""
    if seen["mode"] & _GO_SPECIAL:
        raise Failure(f'destination "{container}:{target}" must be a directory or a regular file')
    return where, "folder" if seen["mode"] & _GO_DIRECTORY else "file"


def _put(app: App, container: str, folder: str, body: Counted, *, archive: bool) -> None:
    query = {"path": folder, "noOverwriteDirNonDir": "true", "copyUIDGID": "true" if archive else None}
    headers = {"Content-Type": "application/x-tar"}
    app.engine.call("PUT", _archive_path(container), query, body=body, headers=headers).read()


def _standard_input() -> Iterator[bytes]:
    while data := os.read(0, _CHUNK):
        yield data
