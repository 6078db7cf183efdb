"""A tar archive extracted; the part of ``confined`` that writes.

Nothing that it does can leave the container's root, which is this process's own. Compressed archives (gzip, bzip2, xz)
are known by their beginning.
"""

from __future__ import annotations

import bz2
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zlib
from typing import BinaryIO, Final

from sealane.runtime.confined_get import XATTR
from sealane.runtime.confined_refusal import Refusal

#: tarfile imports them when it meets such an archive, and then it is too late.
_LOADED: Final = (bz2, lzma, zlib)
_CHUNK: Final = 1 << 18


def extract(source: BinaryIO, target: str, *, keep_kinds: bool) -> None:
    """Extract into the directory *target*. *keep_kinds*: no directory in the place of a file, nor the reverse.

    Raises Refusal, OSError, or tarfile.TarError for what is no archive.
    """
    folders: list[tuple[str, tarfile.TarInfo]] = []
    with tarfile.open(fileobj=source, mode="r|*", bufsize=_CHUNK) as archive:
        # all is allowed here: devices, set-user-id, links to anywhere
        archive.extraction_filter = _as_it_is
        for member in archive:
            place = _extract(archive, member, target, keep_kinds)
            if member.isdir():
                folders.append((place, member))
    for place, member in reversed(folders):  # what came later has changed their times
        os.utime(place, (member.mtime, member.mtime))
    while source.read(_CHUNK):
        pass  # the padding behind the archive's end


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: str, keep_kinds: bool) -> str:
    name = posixpath.normpath(member.name.lstrip("/"))
    if name == ".." or name.startswith("../"):
        raise Refusal("invalid", f"{member.name}: leads out of the directory")
    place = posixpath.join(target, name)
    _make_room(place, member, keep_kinds)
    member.name = name
    archive.extract(member, target, set_attrs=True, numeric_owner=True)
    for key, value in member.pax_headers.items():
        if key.startswith(XATTR) and not member.issym():
            content = value.encode("utf-8", "surrogateescape")
            os.setxattr(place, key.removeprefix(XATTR), content, follow_symlinks=False)
    return place


def _make_room(place: str, member: tarfile.TarInfo, keep_kinds: bool) -> None:
    """Take away what is in the way; a directory stays for a directory."""
    try:
        found = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return
    is_folder = stat.S_ISDIR(found.st_mode)
    if is_folder and member.isdir():
        return
    if keep_kinds and is_folder != member.isdir():
        what = ("directory", "non-directory") if is_folder else ("non-directory", "directory")
        raise Refusal("invalid", f"cannot overwrite {what[0]} {place} with {what[1]}")
    if is_folder:
        shutil.rmtree(place)
    else:
        os.unlink(place)


def _as_it_is(member: tarfile.TarInfo, _: str) -> tarfile.TarInfo:
    return member
