"""The image store: everything about images that outlives the engine, and the verbs on it.

    ROOT/image/
    ├── blobs/sha256/HEX      configurations of images, and layers as they came (or zstd for what came plain)
    ├── layers/HEX/           one per chain id
    │   ├── diff/             unpacked, ready as a lower directory of overlayfs
    │   └── layer.json        diff id, parent, archive's blob, size; renamed into place together with diff/
    ├── images/HEX.json       an image exists when this does; HEX is the digest of its configuration
    ├── downloads/HEX         the first bytes of blobs whose transfer was interrupted; emptied at start
    └── tmp/                  everything unfinished; emptied at start

Names and repo digests lie in the engine's database. The order of writing is blobs, layers, record, names, each durable
before the next, so a kill at any moment leaves whole images, whole parts of images that the next start sweeps away, or
temporary files. Removing goes the other way round.

Layers keep the blob that they came in, because only that
gives back the very archive that its digest names.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from sealane.errors import InvalidArgument
from sealane.image.base import BaseStore
from sealane.image.catalogue import RefStore
from sealane.image.here import local_platform
from sealane.image.importing import Making, import_image
from sealane.image.loading import load_images
from sealane.image.reference import Reference, parse_reference
from sealane.image.saving import Wanted, save_images
from sealane.values import ImageId


class ImageStore(BaseStore):
    """The store with its archives. Lives in the event loop; see `BaseStore` for the rest of its verbs."""

    def __init__(self, root: Path, refs: RefStore, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(root, refs)
        self._clock = clock

    def tag(self, source: str, target: str) -> ImageId:
        """Give an image another name. Raises NotFound, InvalidArgument."""
        return self.give_name(source, target, self._clock())

    def load(self, body: AsyncIterator[bytes]) -> AsyncIterator[str]:
        """Load every image of an archive; yields Docker's lines. Raises InvalidArgument, Internal (full disk)."""
        return load_images(self, body, local_platform())

    def wanted(self, refs: Sequence[str]) -> list[Wanted]:
        """What `save` should put into an archive: each image with the names that it was asked for by, where a
        repository without a tag stands for all its tags. Raises NotFound, InvalidArgument."""
        wanted: dict[ImageId, Wanted] = {}
        for identifier, name in (found for ref in refs for found in self._meant(ref)):
            known = wanted.get(identifier) or Wanted(self.image(identifier), ())
            new = (name,) if name is not None and name.tag and name not in known.names else ()
            wanted[identifier] = Wanted(known.image, known.names + new)
        return list(wanted.values())

    def _meant(self, ref: str) -> list[tuple[ImageId, Reference | None]]:
        with contextlib.suppress(InvalidArgument):  # a whole id is no name
            name = parse_reference(ref, default_tag=False)
            if name.tag is None and name.digest is None and (tags := self.tagged(name)):
                return [self.resolve(str(tag)) for tag in tags]
        return [self.resolve(ref)]

    def save(self, wanted: Sequence[Wanted]) -> AsyncIterator[bytes]:
        """One archive of several images."""
        return save_images(self, wanted)

    async def import_(
        self,
        body: AsyncIterator[bytes],
        ref: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> ImageId:
        """An image of one layer from a root filesystem's archive. Raises InvalidArgument, Internal (full disk)."""
        return await import_image(self, body, ref, Making(tuple(changes), message, platform, self._clock()))
