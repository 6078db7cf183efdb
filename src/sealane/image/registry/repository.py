"""One repository at one endpoint: its manifests and blobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from sealane.errors import Internal, NotFound, SealaneError, Unauthorized, Unavailable
from sealane.image.blobs import digest_of
from sealane.image.documents import UNREADABLE
from sealane.image.manifest import ACCEPTED, MANIFEST_MAX
from sealane.image.reference import Reference
from sealane.image.registry.endpoints import Endpoint
from sealane.image.registry.transport import Refused, Session, read_body
from sealane.values import Digest

if TYPE_CHECKING:
    import aiohttp

_TAGS_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index as it came."""

    raw: bytes
    media_type: str
    digest: Digest


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class Repository:
    """*name* at *endpoint*, through an open *session*."""

    def __init__(self, name: Reference, endpoint: Endpoint, session: Session) -> None:
        self._name, self.endpoint, self._session = name, endpoint, session

    async def manifest(self, name: str) -> Document:
        """The document called *name*, a tag or a digest; its digest is checked.

        Raises NotFound, Unauthorized, Unavailable, Internal (wrong digest) in Docker's words.
        """
        url = self.endpoint.url(self._name.path, "manifests", name)
        try:
            async with self._session.get(url, {"Accept": ", ".join(ACCEPTED)}) as response:
                raw = await read_body(response, MANIFEST_MAX)
                claimed = response.headers.get("Docker-Content-Digest", "")
                media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        except Refused as error:
            raise self._translate(error) from error
        digest = digest_of(raw)
        for wanted in (name if name.startswith("sha256:") else digest, claimed or digest):
            if wanted.startswith("sha256:") and wanted != digest:
                raise Internal(f"manifest verification failed for digest {wanted}: the registry sent {digest}")
        return Document(raw, media_type, digest)

    @asynccontextmanager
    async def blob(self, digest: Digest, offset: int) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer that carries *digest*, from *offset* on if the registry can. Raises as `manifest` does."""
        url = self.endpoint.url(self._name.path, "blobs", digest)
        try:
            async with self._session.get(url, {"Range": f"bytes={offset}-"} if offset else {}) as response:
                yield response
        except Refused as error:
            if error.status == 404:
                raise NotFound(f"blob {digest} of {self._name.familiar()} not found: {error.detail}") from error
            raise self._translate(error) from error

    async def tags(self) -> tuple[str, ...]:
        """Every tag. Raises as `manifest` does."""
        try:
            url = f"{self.endpoint.base}/v2/{self._name.path}/tags/list"
            async with self._session.get(url, {}) as response:
                raw = await read_body(response, _TAGS_MAX)
        except Refused as error:
            if error.status == 404:
                raise NotFound(f"repository {self._name.familiar_repository} not found: {error.detail}") from error
            raise self._translate(error) from error
        try:
            return tuple(msgspec.json.decode(raw, type=_Tags).tags or ())
        except UNREADABLE as error:
            raise Unavailable(f"the registry's list of tags cannot be read: {error}") from error

    def _translate(self, error: Refused) -> SealaneError:
        if error.status == 404:
            return NotFound(f"manifest for {self._name.familiar()} not found: {error.detail}")
        if error.status in (401, 403):
            return NotFound(
                f"pull access denied for {self._name.familiar_repository}, repository does not exist or may require "
                f"'docker login': {error.detail}"
            )
        if error.status in (400, 405):
            return Unauthorized(error.detail) if "unauthorized" in error.detail else Internal(error.detail)
        return Unavailable(error.detail)
