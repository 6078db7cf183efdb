"""Image names as people type them: repository, tag, digest, and the registry they come from. Pure.

Only what the command line itself must know; the engine has the full rules and the last word. Written without regular
expressions: ``run`` needs it, and importing :mod:`re` would cost a third of its time.
Source: the grammar in the package documentation of github.com/distribution/reference.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

HUB: Final = "docker.io"
_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_HEX: Final = frozenset("0123456789abcdef")
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DIGESTS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_LONGEST_NAME: Final = 255
_LONGEST_TAG: Final = 128
_FORMAT: Final = "invalid reference format"


def split(name: str) -> tuple[str, str]:
    """``repo:tag`` → (repo, tag); ``repo@sha256:…`` → (repo, digest); the tag is empty when none is named."""
    body, at, digest = name.partition("@")
    head, _, last = body.rpartition("/")
    repository, _, tag = last.partition(":")
    full = f"{head}/{repository}" if head else repository
    return full, digest if at else tag


def familiar(name: str) -> str:
    """The short form with a tag: ``docker.io/library/busybox`` → ``busybox:latest``. An image's id stays as it is."""
    if is_id(name):
        return name
    host, rest = _split_host(name)
    rest = rest.removeprefix("library/") if host == HUB and rest.count("/") == 1 else rest
    short = rest if host == HUB else f"{host}/{rest}"
    return short if split(short)[1] else f"{short}:latest"


def full(name: str) -> str:
    """The long form: ``busybox`` → ``docker.io/library/busybox``."""
    return "/".join(_split_host(name))


def registry(name: str) -> str:
    """The host of the registry: ``127.0.0.1:5000``, or ``docker.io``."""
    return _split_host(name)[0]


def is_id(name: str) -> bool:
    return len(name) == 64 and set(name) <= _HEX


def check(name: str) -> None:
    """Raise ValueError for what cannot be an image's name."""
    if is_id(name):
        return
    host, rest = _split_host(name)
    path = rest.partition(":")[0]
    if path != path.lower():
        raise ValueError(f"{_FORMAT}: repository name ({path}) must be lowercase")
    body, at, digest = rest.partition("@")
    path, colon, tag = body.partition(":")
    good = all(_is_component(part) for part in path.split("/")) and _is_host(host)
    good = good and (not colon or _is_tag(tag)) and (not at or _is_digest(digest))
    if not good:
        raise ValueError(_FORMAT)
    if len(path) + len(host) + 1 > _LONGEST_NAME:
        raise ValueError(f"repository name must not be more than {_LONGEST_NAME} characters")


def _split_host(name: str) -> tuple[str, str]:
    head, slash, rest = name.partition("/")
    named = slash and ("." in head or ":" in head or head == "localhost" or head != head.lower())
    host, rest = (head, rest) if named else (HUB, name)
    if host == "index.docker.io":
        host = HUB
    return host, f"library/{rest}" if host == HUB and "/" not in rest else rest


def _is_component(text: str) -> bool:
    """Lower case letters and digits, joined by ``.``, ``_``, ``__`` or any number of ``-``."""
    if not text or text[0] not in _LOWER or text[-1] not in _LOWER:
        return False
    joint = ""
    for letter in text:
        if letter not in _LOWER:
            joint += letter
        elif joint:
            if joint not in (".", "_", "__") and set(joint) != {"-"}:
                return False
            joint = ""
    return True


def _is_host(text: str) -> bool:
    if text.startswith("["):
        head, bracket, port = text.partition("]")
        return bool(bracket) and set(head[1:]) <= set("0123456789abcdefABCDEF:") and _is_port(port)
    head, colon, port = text.partition(":")
    labels = head.split(".")
    good = all(set(part) <= _WORD - {"_"} | {"-"} and part.strip("-") == part and part for part in labels)
    return good and _is_port(colon + port)


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit())


def _is_tag(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_TAG and text[0] in _WORD and set(text) <= _WORD | {".", "-"}


def _is_digest(text: str) -> bool:
    algorithm, _, digits = text.partition(":")
    return _DIGESTS.get(algorithm) == len(digits) and set(digits) <= _HEX
