"""A tree as a tar archive; the part of ``confined`` that reads.

The container may be at work on the tree: what vanishes is left out, a file that shrinks is filled up with zeros, a file
that has become a fifo meanwhile is not waited for. Users and groups are numbers; names would be looked up in the
container by code of the container.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
from typing import BinaryIO, Final

XATTR: Final = "SCHILY.xattr."
_CHUNK: Final = 1 << 18
_TYPES: Final = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}
#: Of a running container these are the kernel's, when they are mounts.
_KERNELS: Final = frozenset({"/dev", "/proc", "/sys"})


def write_tar(target: str, base: str, output: BinaryIO) -> None:
    """Write *target*, named *base* in the archive ("" for the root: its entries alone). Raises OSError."""
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as archive:
        _Writer(archive, os.lstat(target).st_dev).add(target, base)


class _Writer:
    def __init__(self, archive: tarfile.TarFile, device: int) -> None:
        self._archive = archive
        self._device = device
        self._names: dict[tuple[int, int], str] = {}  # of files with several links: where the first one is

    def add(self, target: str, base: str) -> None:
        pending = [(target, base)]
        while pending:
            path, name = pending.pop()
            try:
                is_folder = self._add_one(path, name)
                entries = sorted(os.listdir(path), reverse=True) if is_folder else []
            except FileNotFoundError:
                if path == target:
                    raise
                continue
            except NotADirectoryError:
                continue
            if path not in _KERNELS or os.lstat(path).st_dev == self._device:
                pending += [(posixpath.join(path, entry), posixpath.join(name, entry)) for entry in entries]

    def _add_one(self, path: str, name: str) -> bool:
        """Whether it is a directory."""
        found = os.lstat(path)
        kind = _TYPES.get(stat.S_IFMT(found.st_mode))
        if kind is None:  # a socket
            return False
        if not name:
            return True
        member = tarfile.TarInfo(name)
        member.type = kind
        member.mode = stat.S_IMODE(found.st_mode)
        member.uid, member.gid = found.st_uid, found.st_gid
        member.mtime = int(found.st_mtime)
        member.pax_headers = _xattrs(path)
        if kind == tarfile.SYMTYPE:
            member.linkname = os.readlink(path)
        elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            member.devmajor, member.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
        elif kind == tarfile.REGTYPE:
            self._add_file(path, member, found)
            return False
        self._archive.addfile(member)
        return kind == tarfile.DIRTYPE

    def _add_file(self, path: str, member: tarfile.TarInfo, found: os.stat_result) -> None:
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._names:
            member.type, member.linkname = tarfile.LNKTYPE, self._names[key]
            self._archive.addfile(member)
            return
        self._names[key] = member.name
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise FileNotFoundError(path) from error  # another thing now
            raise
        with io.FileIO(fd) as content:
            now = os.fstat(fd)
            if stat.S_ISREG(now.st_mode):
                member.size = now.st_size
                self._archive.addfile(member, _Exactly(content, now.st_size))


class _Exactly:
    """A file of a fixed size, whatever becomes of it."""

    def __init__(self, content: io.FileIO, size: int) -> None:
        self._content = content
        self._left = size

    def read(self, size: int = -1) -> bytes:
        size = self._left if size < 0 else min(size, self._left)
        data = self._content.read(size)
        data += bytes(size - len(data))
        self._left -= size
        return data


def _xattrs(path: str) -> dict[str, str]:
    """Those that belong to the file's content, as pax headers."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}  # the file system has none
    return {
        XATTR + key: os.getxattr(path, key, follow_symlinks=False).decode("utf-8", "surrogateescape")
        for key in names
        if key.startswith(("security.capability", "user."))
    }
