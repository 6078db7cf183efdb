"""Image names as people type them: repository, tag, digest, and the registry they come from. Pure.

Only what the command line itself must know; the engine has the full rules and the last word.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-/")


def split(name: str) -> tuple[str, str]:
    """``repo:tag`` → (repo, tag); ``repo@sha256:…`` → (repo, digest); the tag is empty when none is named."""
    body, at, digest = name.partition("@")
    head, _, last = body.rpartition("/")
    repository, _, tag = last.partition(":")
    full = f"{head}/{repository}" if head else repository
    return full, digest if at else tag


def with_tag(name: str) -> str:
    """The name with ``:latest`` when it has neither tag nor digest."""
    repository, tag = split(name)
    return name if tag else f"{repository}:latest"


def registry(name: str) -> str:
    """The host of the registry: ``127.0.0.1:5000``, or ``docker.io``."""
    head, slash, _ = name.partition("/")
    return head if slash and ("." in head or ":" in head or head == "localhost") else "docker.io"


def check(name: str) -> None:
    """Raise ValueError for what cannot be an image's name."""
    repository, _ = split(name)
    host = registry(repository)
    path = repository.removeprefix(f"{host}/")
    if any(letter.isupper() for letter in path):
        shown = path if "/" in path or host in repository else f"library/{path}"
        raise ValueError(f"invalid reference format: repository name ({shown}) must be lowercase")
    if not path or path[0] in "-./_" or path[-1] in "-./_" or "//" in path or not set(path) <= _NAME:
        raise ValueError("invalid reference format")
