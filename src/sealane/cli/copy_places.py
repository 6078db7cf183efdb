"""Where ``cp`` puts things: the naming rules of Docker, which are those of ``cp -a``. Pure.

A directory whose path ends in ``/.`` stands for its contents. A target that is a directory takes the source under its
own name; a target that does not exist becomes the source's new name. Source: the documentation of ``docker cp``.
"""

from __future__ import annotations

import posixpath

from sealane.cli.failures import Failure


def means_contents(path: str) -> bool:
    """Whether the path ends in ``/.``, or is ``.``."""
    return posixpath.basename(path) == "."


def means_directory(path: str) -> bool:
    """Whether the path can only be a directory's: it ends in ``/`` or ``/.``, or is empty (a container's root)."""
    return not path or path.endswith("/") or means_contents(path)


def split(path: str) -> tuple[str, str]:
    """(folder, last component); the component is ``.`` for the contents of a directory, ``/`` for the root."""
    clean = posixpath.normpath(path)
    if means_contents(path):
        return clean, "."
    return posixpath.dirname(clean) or ".", posixpath.basename(clean) or "/"


def keep_ending(path: str, original: str) -> str:
    """*path* with the ``/.`` or ``/`` at its end that *original* had."""
    if means_contents(original) and not means_contents(path):
        return f"{path.rstrip('/')}/."
    if original.endswith("/") and not path.endswith("/"):
        return f"{path}/"
    return path


def join_link(path: str, target: str) -> str:
    """Where the symbolic link at *path* leads."""
    return posixpath.normpath(posixpath.join(split(path)[0], target))


def place(source_is_folder: bool, target: str, target_kind: str) -> tuple[str, str]:
    """(folder to unpack in, new name of what is unpacked, empty for its own) for a copy to *target*.

    *target_kind*: ``folder``, ``file`` (anything else that exists) or nothing. Raises Failure.
    """
    folder, name = split(target)
    if target_kind == "folder":
        return target, ""
    if target_kind and source_is_folder:
        raise Failure("cannot copy directory")
    if not target_kind and not source_is_folder and means_directory(target):
        raise Failure("no such directory")
    return folder, name
