"""Names of images: ``centos``, ``docker.io/library/centos:7``, ``host:5000/a/b@sha256:…``. Pure.

The grammar and the normalisation are Docker's (distribution ``reference``): the first component is a registry when it
has a dot or a colon or is ``localhost``; a single component of Docker Hub lies below ``library/``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from sealane.errors import InvalidArgument
from sealane.values import Digest

DOCKER_HUB: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_COMPONENT: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH: Final = re.compile(rf"^{_COMPONENT}(?:/{_COMPONENT})*$")
_TAG: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
_DOMAIN: Final = re.compile(r"^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?$")
_DIGEST: Final = re.compile(r"^sha256:[0-9a-f]{64}$")
_HEX_ID: Final = re.compile(r"^[a-f0-9]{64}$")
_NAME_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name, normalised. At most one of tag and digest is missing."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def repository(self) -> str:
        """``docker.io/library/centos``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_repository(self) -> str:
        """As people write it: ``centos``."""
        if self.domain != DOCKER_HUB:
            return self.repository
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    def familiar(self) -> str:
        """``centos:7``, ``centos@sha256:…``."""
        return self.familiar_repository + self._suffix()

    def __str__(self) -> str:
        return self.repository + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def by_digest(self, digest: Digest) -> Reference:
        return replace(self, tag=None, digest=digest)

    def tagged(self, tag: str) -> Reference:
        if not _TAG.fullmatch(tag):
            raise InvalidArgument("invalid tag format")
        return replace(self, tag=tag, digest=None)


def parse_reference(text: str, *, default_tag: bool = True) -> Reference:
    """Read a name. Raises InvalidArgument in Docker's words."""
    name, at, digest = text.partition("@")
    tag: str | None = None
    slash, colon = name.rfind("/"), name.rfind(":")
    if colon > slash:
        name, tag = name[:colon], name[colon + 1 :]
    domain, path = _split_domain(name)
    if _HEX_ID.fullmatch(name):
        raise InvalidArgument(f"invalid repository name ({name}), cannot specify 64-byte hexadecimal strings")
    if path.lower() != path:
        raise InvalidArgument(f"invalid reference format: repository name ({path}) must be lowercase")
    if not _PATH.fullmatch(path) or not _DOMAIN.fullmatch(domain) or (tag is not None and not _TAG.fullmatch(tag)):
        raise InvalidArgument("invalid reference format")
    if len(domain) + 1 + len(path) > _NAME_MAX:
        raise InvalidArgument(f"repository name must not be more than {_NAME_MAX} characters")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidArgument("invalid reference format")
    parsed = Reference(domain, path, tag, Digest(digest) if at else None)
    if default_tag and parsed.tag is None and parsed.digest is None:
        return replace(parsed, tag=DEFAULT_TAG)
    return parsed


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        domain, path = first, rest
    else:
        domain, path = DOCKER_HUB, name
    if domain == "index.docker.io":
        domain = DOCKER_HUB
    if domain == DOCKER_HUB and "/" not in path and path:
        path = f"library/{path}"
    return domain, path
