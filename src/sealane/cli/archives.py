"""Tar archives as streams: packing a local tree, and unpacking one that is not trusted."""

from __future__ import annotations

import io
import os
import tarfile

from sealane.cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_CHUNK: Final = 256 * 1024
_BLOCK: Final = tarfile.BLOCKSIZE


class Counted:
    """Pieces of bytes that are counted as they go by."""

    __slots__ = ("_chunks", "total")

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.total = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._chunks)
        self.total += len(piece)
        return piece


class ChunkFile(io.RawIOBase):
    """Pieces of bytes as a file that can be read once, forward."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._held = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """*size* bytes, fewer only at the end; all that is left for a negative size."""
        out = bytearray()
        while size < 0 or len(out) < size:
            if not self._held:
                self._held = next(self._chunks, b"")
                if not self._held:
                    break
            wanted = len(self._held) if size < 0 else size - len(out)
            out += self._held[:wanted]
            self._held = self._held[wanted:]
        return bytes(out)


def extract(tar: tarfile.TarFile, folder: str, name: str, *, keep_owner: bool) -> None:
    """Unpack below *folder*; the first component of every entry becomes *name* (empty: it keeps its own).

    Entries that would leave the folder are refused (tarfile's ``tar`` filter).
    """
    for member in tar:
        if name:
            member.name = _renamed(member.name, name)
            if member.islnk():
                member.linkname = _renamed(member.linkname, name)
        _make_way(os.path.join(folder, member.name), member)
        member.uname = member.gname = ""
        if not keep_owner:
            member.uid, member.gid = os.getuid(), os.getgid()
        tar.extract(member, folder, numeric_owner=True, filter="tar")


def _make_way(target: str, member: tarfile.TarInfo) -> None:
    """Remove what is in the way, but for directories: those are neither replaced nor do they replace anything."""
    if not os.path.lexists(target):
        return
    is_folder = os.path.isdir(target) and not os.path.islink(target)
    if is_folder and not member.isdir():
        raise Failure(f'cannot overwrite directory "{target}" with non-directory "{member.name}"')
    if member.isdir() and not is_folder:
        raise Failure(f'cannot overwrite non-directory "{target}" with directory "{member.name}"')
    if not is_folder:
        os.unlink(target)


def _renamed(entry: str, name: str) -> str:
    """The first component is ``.`` for the contents of a directory, and nothing for those of the root."""
    _, _, rest = entry.rstrip("/").partition("/")
    return "/".join(filter(None, (name, rest)))


def tar_stream(source: str, name: str) -> Iterator[bytes]:
    """Pack the file or tree *source* under *name* (``.``: only a directory's contents), as pieces of a tar archive.

    Sockets cannot be packed and are left out.
    """
    seen: dict[tuple[int, int], str] = {}
    for where, entry in _walk(source, name):
        info = tarfile.TarInfo(entry)
        found = _fill(info, where, seen)
        if not found:
            continue
        yield info.tobuf(tarfile.PAX_FORMAT)
        if info.isreg() and info.size:
            yield from _contents(where, info.size)
    yield bytes(2 * _BLOCK)


def _walk(source: str, name: str) -> Iterator[tuple[str, str]]:
    if os.path.islink(source) or not os.path.isdir(source):
        yield source, name
        return
    if name != ".":
        yield source, name
    for folder, folders, files in os.walk(source):
        folders.sort()
        inside = os.path.relpath(folder, source)
        for item in sorted([*folders, *files]):
            yield os.path.join(folder, item), os.path.normpath(os.path.join(name, inside, item))


def _fill(info: tarfile.TarInfo, where: str, seen: dict[tuple[int, int], str]) -> bool:
    """Describe the file; False for what a tar archive cannot hold."""
    status = os.lstat(where)
    kinds = {0o010: tarfile.FIFOTYPE, 0o020: tarfile.CHRTYPE, 0o040: tarfile.DIRTYPE, 0o060: tarfile.BLKTYPE}
    kinds |= {0o100: tarfile.REGTYPE, 0o120: tarfile.SYMTYPE}
    kind = kinds.get(status.st_mode >> 9 & 0o170)
    if kind is None:
        return False
    info.type, info.mode, info.mtime = kind, status.st_mode & 0o7777, int(status.st_mtime)
    info.uid, info.gid = status.st_uid, status.st_gid
    if info.issym():
        info.linkname = os.readlink(where)
    elif info.isdev() and not info.isfifo():
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    elif info.isreg():
        info.size = status.st_size
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in seen:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, seen[key], 0
        seen.setdefault(key, info.name)
    return True


def _contents(where: str, size: int) -> Iterator[bytes]:
    """Exactly *size* bytes, padded to whole blocks; a file that shrinks meanwhile is filled up with zeros."""
    left = size
    with open(where, "rb") as file:
        while left:
            data = file.read(min(_CHUNK, left)) or bytes(min(_CHUNK, left))
            left -= len(data)
            yield data
    if size % _BLOCK:
        yield bytes(_BLOCK - size % _BLOCK)
