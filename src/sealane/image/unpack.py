"""Unpacking one layer into a directory that overlayfs can use, from an archive that nobody vouches for.

Contract
- Nothing outside the directory is read, made, changed or removed, whatever the archive holds (see ``tree``). An entry
  that names a place outside is refused; a symbolic link may point anywhere, it is only text here.
- Whiteouts become overlayfs's: ``.wh.NAME`` a character device 0:0, ``.wh..wh..opq`` the attribute
  trusted.overlay.opaque (OCI image-spec layer.md; kernel overlayfs.rst). They hide what lower layers have, never what
  this layer brought itself. The archive cannot set overlayfs's own attributes.
- Owners, modes with setuid, times, hard links, extended attributes and devices are kept. Needs root.
- A later entry of the same name replaces the earlier one; a directory over a directory takes the new attributes.
- Memory does not grow with the archive: times of directories wait in a file.

``unpack`` removes nothing when it fails; the caller owns the directory. It may be stopped from another thread.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sealane.errors import InvalidArgument
from sealane.image.tar import Entry, Kind, TarError, TarReader
from sealane.image.threads import Stopped
from sealane.image.tree import OutsideRoot, Tree, clean, is_whiteout, remove, set_xattr, status

WHITEOUT: Final = b".wh."
OPAQUE: Final = b".wh..wh..opq"
OPAQUE_XATTR: Final = b"trusted.overlay.opaque"
_OVERLAY_XATTRS: Final = (b"trusted.overlay.", b"user.overlay.")
_CHUNK: Final = 1 << 20
_ID_MAX: Final = (1 << 32) - 2  # chown(2): -1 means "leave it"
_IMPLICIT_MAX: Final = 1 << 16
#: What the machine is to blame for; every other error is a contradiction in the archive.
_MACHINE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EACCES}
)
#: A directory that is no longer there, or behind links that lead nowhere.
_REPLACED: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_TIME: Final = struct.Struct("<qI")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """``size`` counts the bytes of regular files, hard links once; ``implicit`` are directories that the archive used
    without naming them: their attributes belong to the layers below."""

    size: int
    implicit: tuple[bytes, ...]


def unpack(archive: TarReader, target: Path, scratch: Path, stopped: Callable[[], bool] = lambda: False) -> Unpacked:
    """Unpack *archive* into the empty directory *target*; *scratch* is a directory for a temporary file.

    Raises InvalidArgument naming the entry for a damaged or hostile archive, OSError naming the entry when the
    filesystem refuses (full disk), Stopped when *stopped* says so.
    """
    with Tree(target) as tree, tempfile.TemporaryFile(dir=scratch) as times:
        worker = _Unpacker(archive, tree, times, stopped)
        try:
            for entry in archive:
                worker.take(entry)
        except TarError as error:
            raise InvalidArgument(f"invalid tar archive: {error}") from error
        worker.finish()
        return Unpacked(worker.size, tuple(worker.implicit))


class _Unpacker:
    def __init__(self, archive: TarReader, tree: Tree, times: BinaryIO, stopped: Callable[[], bool]) -> None:
        self._archive, self._tree, self._times, self._stopped = archive, tree, times, stopped
        self.size = 0
        self.implicit: dict[bytes, None] = {}

    def take(self, entry: Entry) -> None:
        """Make what *entry* says."""
        if self._stopped():
            raise Stopped
        try:
            self._place(entry)
        except OutsideRoot as error:
            raise InvalidArgument(f"invalid tar archive: {error} is outside of the root") from error
        except InvalidArgument:
            raise
        except (ValueError, OverflowError) as error:
            raise InvalidArgument(f"invalid tar archive: {os.fsdecode(entry.name)}: {error}") from error
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            if error.errno not in _MACHINE:  # a file where a directory was needed, a name that is too long, …
                raise InvalidArgument(f"invalid tar archive: {os.fsdecode(entry.name)}: {why}") from error
            raise OSError(error.errno, f"write /{os.fsdecode(clean(entry.name))}: {why}") from error

    def finish(self) -> None:
        """Set the times of directories, which every entry below them had changed."""
        self._times.seek(0)
        while head := self._times.read(_TIME.size):
            mtime, length = _TIME.unpack(head)
            path = self._times.read(length)
            try:
                self._set_time(path, mtime)
            except OSError as error:
                if error.errno not in _REPLACED:
                    raise
                self._tree.forget()

    def _set_time(self, path: bytes, mtime_ns: int) -> None:
        if not path:
            os.utime(self._tree.root, ns=(mtime_ns, mtime_ns))
            return
        parent, _, name = path.rpartition(b"/")
        directory = self._tree.directory(parent)
        found = status(directory, name)
        if found is not None and stat.S_ISDIR(found.st_mode):  # not what a later entry put in its place
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=directory, follow_symlinks=False)

    # places

    def _place(self, entry: Entry) -> None:
        path = clean(entry.name)
        if not path:
            if entry.kind is not Kind.DIRECTORY:
                raise InvalidArgument(f"invalid tar archive: the root is a {entry.kind.name.lower()}")
            self._dress_directory(self._tree.root, path, entry)
            return
        parent, _, name = path.rpartition(b"/")
        directory = self._tree.directory(parent, make=True)
        self._note_implicit()
        if name.startswith(WHITEOUT):
            self._whiteout(directory, name)
            return
        self.implicit.pop(path, None)
        if entry.kind is Kind.HARD_LINK:
            self._link(path, parent, name, entry)
            return
        found = status(directory, name)
        if entry.kind is Kind.DIRECTORY:
            self._directory(directory, path, name, entry, found)
            return
        if found is not None:
            self._clear(directory, path, name, found)
        if entry.kind is Kind.FILE:
            self._file(directory, name, entry)
        else:
            self._special(directory, name, entry)

    def _note_implicit(self) -> None:
        if self._tree.made:
            self.implicit.update(dict.fromkeys(self._tree.made))
            self._tree.made.clear()
            if len(self.implicit) > _IMPLICIT_MAX:
                raise InvalidArgument(f"invalid tar archive: more than {_IMPLICIT_MAX} directories have no entry")

    def _clear(self, directory: int, path: bytes, name: bytes, found: os.stat_result) -> None:
        """Make room for an entry of the same name."""
        remove(directory, name, found)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            self.size -= found.st_size
        if stat.S_ISDIR(found.st_mode):
            below = path + b"/"
            for known in [item for item in self.implicit if item.startswith(below)]:
                del self.implicit[known]

    # kinds

    def _directory(self, parent: int, path: bytes, name: bytes, entry: Entry, found: os.stat_result | None) -> None:
        opaque = False
        if found is not None and not stat.S_ISDIR(found.st_mode):
            opaque = is_whiteout(found)  # it hid a lower directory: the new one must not let that shine through
            self._clear(parent, path, name, found)
            found = None
        if found is None:
            os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            self._dress_directory(descriptor, path, entry)
            if opaque:
                os.setxattr(descriptor, OPAQUE_XATTR, b"y")
        finally:
            os.close(descriptor)

    def _dress_directory(self, descriptor: int, path: bytes, entry: Entry) -> None:
        self._dress(descriptor, entry)
        self._times.write(_TIME.pack(_within_int64(entry.mtime_ns), len(path)) + path)

    def _file(self, directory: int, name: bytes, entry: Entry) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            self._copy(descriptor)
            self._dress(descriptor, entry)
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(descriptor)
        self.size += entry.size

    def _copy(self, descriptor: int) -> None:
        while piece := self._archive.read(_CHUNK):
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
            if self._stopped():
                raise Stopped

    def _dress(self, descriptor: int, entry: Entry) -> None:
        # chown(2) clears setuid and file capabilities, so it comes first.
        os.fchown(descriptor, *_owner(entry))
        os.fchmod(descriptor, entry.mode)
        for key, value in entry.xattrs.items():
            if not key.startswith(_OVERLAY_XATTRS):
                set_xattr(descriptor, key, value)

    def _special(self, directory: int, name: bytes, entry: Entry) -> None:
        """Symbolic links, devices and pipes: nothing that could be opened without side effects."""
        if entry.kind is Kind.SYMLINK:
            os.symlink(entry.link, name, dir_fd=directory)
        else:
            kind = {Kind.CHAR: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}[entry.kind]
            os.mknod(name, kind | 0o600, os.makedev(*entry.device), dir_fd=directory)
        os.chown(name, *_owner(entry), dir_fd=directory, follow_symlinks=False)
        if entry.kind is not Kind.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=directory)  # made just now, and it is no link
        for key, value in entry.xattrs.items():
            if not key.startswith(_OVERLAY_XATTRS):
                set_xattr(b"/proc/self/fd/%d/%s" % (directory, name), key, value)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=directory, follow_symlinks=False)

    def _link(self, path: bytes, parent: bytes, name: bytes, entry: Entry) -> None:
        """A hard link to an earlier entry of this layer."""
        target = clean(entry.link)
        if target == path:
            return
        folder, _, leaf = target.rpartition(b"/")
        where = os.dup(self._tree.directory(folder))
        try:
            source = status(where, leaf) if leaf else None
            if source is None or stat.S_ISDIR(source.st_mode) or is_whiteout(source):
                raise InvalidArgument(
                    f"invalid tar archive: hard link {os.fsdecode(entry.name)} to {os.fsdecode(entry.link)}: "
                    "the target is not a file of this layer"
                )
            directory = self._tree.directory(parent, make=True)
            found = status(directory, name)
            if found is not None and (found.st_dev, found.st_ino) == (source.st_dev, source.st_ino):
                return
            if found is not None:
                self._clear(directory, path, name, found)
            os.link(leaf, name, src_dir_fd=where, dst_dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(where)

    def _whiteout(self, directory: int, name: bytes) -> None:
        if name == OPAQUE:
            os.setxattr(directory, OPAQUE_XATTR, b"y")
            return
        if name.startswith(WHITEOUT + WHITEOUT):
            return  # aufs's own bookkeeping
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidArgument(f"invalid tar archive: whiteout {os.fsdecode(name)} names no file")
        found = status(directory, hidden)
        if found is None:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=directory)
        elif stat.S_ISDIR(found.st_mode):
            # The layer removed a lower directory and brought its own: only the lower one is hidden.
            descriptor = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                os.setxattr(descriptor, OPAQUE_XATTR, b"y")
            finally:
                os.close(descriptor)


def _owner(entry: Entry) -> tuple[int, int]:
    if not (0 <= entry.uid <= _ID_MAX and 0 <= entry.gid <= _ID_MAX):
        raise ValueError(f"owner {entry.uid}:{entry.gid} is out of range")
    return entry.uid, entry.gid


def _within_int64(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("the time is out of range")
    return value
