"""Which images there are, and what they are called. Part of the store's tree, see ``store``.

Names lie in the engine's database (``RefStore``); an image exists when its record ``images/HEX.json`` does, which is
written last. Everything is also held in memory. Used from the event loop only.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec

from sealane.errors import Internal, InvalidArgument, NotFound
from sealane.image.blobs import Blobs, digest_of, sync_directory
from sealane.image.config import ImageConfig, parse_config
from sealane.image.image import Image
from sealane.image.layers import Layer, Layers, chain_ids
from sealane.image.reference import Reference, parse_reference
from sealane.values import Digest, ImageId


class RefStore(Protocol):
    """Names of images, kept by the engine: (canonical name, image id, manifest digest or ""). Writes are durable."""

    def put_image_ref(self, ref: str, image: str, digest: str) -> None: ...
    def delete_image_ref(self, ref: str) -> None: ...
    def image_refs(self) -> list[tuple[str, str, str]]: ...
    def transaction(self) -> AbstractContextManager[None]: ...


class _Record(msgspec.Struct):
    parent: str | None = None
    hidden: bool = False
    tagged_ns: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """An image of the catalogue. A hidden one was removed while a stopped container still needs its layers."""

    config: ImageConfig
    layers: tuple[Layer, ...]
    parent: ImageId | None
    hidden: bool = False
    tagged_ns: int = 0


class Catalogue:
    """Reads its state when it is made; an image whose layers are not all there is left out."""

    def __init__(self, root: Path, blobs: Blobs, layers: Layers, refs: RefStore) -> None:
        self._folder = root / "images"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._blobs, self._layers, self._refs = blobs, layers, refs
        self._images: dict[ImageId, Known] = {}
        self._names: dict[Reference, tuple[ImageId, str]] = {}
        self._held: Counter[str] = Counter()
        self._blind = False  # a record could not be read, so nobody knows what it refers to
        for name in os.listdir(self._folder):
            self._read(ImageId("sha256:" + name.removesuffix(".json")))
        for ref, image, digest in refs.image_refs():
            if ImageId(image) in self._images:
                self._names[parse_reference(ref)] = (ImageId(image), digest)

    def _path(self, image: ImageId) -> Path:
        return self._folder / f"{image.removeprefix('sha256:')}.json"

    def _read(self, image: ImageId) -> None:
        try:
            record = msgspec.json.decode(self._path(image).read_bytes(), type=_Record)
            config = parse_config(self._blobs.read(image))
            layers = tuple(self._layers.get(chain_id) for chain_id in chain_ids(config.diff_ids))
        except (OSError, msgspec.DecodeError, Internal, InvalidArgument):
            self._blind = True
            return
        parent = ImageId(record.parent) if record.parent is not None else None
        self._images[image] = Known(config, layers, parent, record.hidden, record.tagged_ns)

    # asking

    def __contains__(self, image: ImageId) -> bool:
        return image in self._images and not self._images[image].hidden

    def ids(self) -> list[ImageId]:
        return [image for image, known in self._images.items() if not known.hidden]

    def hidden(self) -> list[ImageId]:
        return [image for image, known in self._images.items() if known.hidden]

    def known(self, image: ImageId) -> Known:
        """Hidden ones too. Raises NotFound."""
        if image not in self._images:
            raise NotFound(f"No such image: {image}")
        return self._images[image]

    def names(self, image: ImageId) -> tuple[Reference, ...]:
        return tuple(sorted((name for name, (owner, _) in self._names.items() if owner == image), key=str))

    def named(self, name: Reference) -> ImageId | None:
        found = self._names.get(name)
        return found[0] if found is not None else None

    def tags(self, repository: Reference) -> list[Reference]:
        """Every tag of a repository."""
        same = [name for name in self._names if name.repository == repository.repository and name.digest is None]
        return sorted(same, key=str)

    def digest(self, name: Reference) -> str:
        """The digest of the manifest that *name* was pulled with, or ""."""
        return self._names[name][1] if name in self._names else ""

    def children(self, image: ImageId) -> bool:
        return any(known.parent == image for known in self._images.values() if not known.hidden)

    def image(self, identifier: ImageId) -> Image:
        """Raises NotFound."""
        known = self.known(identifier)
        names = self.names(identifier)
        return Image(
            id=identifier,
            config=known.config,
            tags=tuple(name.familiar() for name in names if name.digest is None),
            repo_digests=tuple(name.familiar() for name in names if name.digest is not None),
            size=sum(layer.size for layer in known.layers),
            parent=known.parent,
            layers=known.layers,
            created_ns=known.config.created_ns,
            tagged_ns=known.tagged_ns,
        )

    def resolve(self, text: str) -> tuple[ImageId, Reference | None]:
        """The image that *text* means, and the name when it was a name: a full id, a name, or the beginning of an id.

        Raises NotFound in Docker's words, InvalidArgument for what cannot be a name.
        """
        full = _full_id(text)
        if full is not None:
            if full in self:
                return full, None
            raise NotFound(f"No such image: {full}")
        name = parse_reference(text)
        key = name.by_digest(name.digest) if name.digest is not None else name
        if (found := self.named(key)) is not None:
            return found, key
        digits = text.removeprefix("sha256:")
        if digits and not set(digits) - set("0123456789abcdef"):
            fitting = [image for image in self.ids() if image.startswith(f"sha256:{digits}")]
            if len(fitting) == 1:
                return fitting[0], None
        raise NotFound(f"No such image: {name.familiar()}")

    # changing

    def add(self, config: ImageConfig, layers: Sequence[Layer], parent: ImageId | None = None) -> ImageId:
        """Record an image whose layers are in place. Durable when it returns; nothing changes for one already there."""
        if len(layers) != len(config.diff_ids):
            raise InvalidArgument(
                f"invalid image configuration: it names {len(config.diff_ids)} layers, and there are {len(layers)}"
            )
        image = ImageId(digest_of(config.raw))
        if not self._blobs.has(image):
            self._blobs.put(config.raw)
        if image not in self:
            self._write(image, _Record(parent))
            self._images[image] = Known(config, tuple(layers), parent)
        return image

    def _write(self, image: ImageId, record: _Record) -> None:
        scratch = self._blobs.scratch / f"record-{image.removeprefix('sha256:')}"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(record))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(scratch, self._path(image))
        sync_directory(self._folder)

    def hide(self, image: ImageId) -> None:
        """Out of sight, but the layers stay until `forget`."""
        self._change(image, replace(self.known(image), hidden=True))

    def tagged(self, image: ImageId, moment_ns: int) -> None:
        """Note when it got a name."""
        self._change(image, replace(self.known(image), tagged_ns=moment_ns))

    def _change(self, image: ImageId, known: Known) -> None:
        self._write(image, _Record(known.parent, known.hidden, known.tagged_ns))
        self._images[image] = known

    def forget(self, image: ImageId) -> None:
        """The image is no more; its names must be gone. Its blobs and layers are garbage from now on."""
        self._path(image).unlink(missing_ok=True)
        self._images.pop(image, None)

    def put_names(self, names: Sequence[Reference], image: ImageId, digest: str = "") -> None:
        """Point *names* at *image*, all or none."""
        with self._refs.transaction():
            for name in names:
                self._refs.put_image_ref(str(name), image, digest)
        for name in names:
            self._names[name] = (image, digest)

    def drop_names(self, names: Sequence[Reference]) -> None:
        with self._refs.transaction():
            for name in names:
                self._refs.delete_image_ref(str(name))
        for name in names:
            self._names.pop(name, None)

    # garbage

    @contextlib.contextmanager
    def lease(self) -> Iterator[Lease]:
        """What is held by the lease is not garbage while it lasts, though no image names it yet."""
        lease = Lease(self._held)
        try:
            yield lease
        finally:
            lease.end()

    def garbage(self) -> tuple[list[str], list[Digest]]:
        """Blobs and layers that nothing refers to; layers from the top down.

        Nothing at all when a record is unreadable: what cannot be accounted for is not removed.
        """
        if self._blind:
            return [], []
        layers = {layer.chain_id for known in self._images.values() for layer in known.layers}
        blobs = {layer.archive for known in self._images.values() for layer in known.layers} | set(self._images)
        loose_layers = [item for item in self._layers.all() if item not in layers and not self._held[item]]
        loose_blobs = [item for item in self._blobs.all() if item not in blobs and not self._held[item]]
        return loose_blobs, self._top_down(loose_layers)

    def _top_down(self, layers: Sequence[Digest]) -> list[Digest]:
        depths: dict[Digest, int] = {}
        for layer in layers:
            depth, at = 0, layer
            with contextlib.suppress(Internal):
                while (parent := self._layers.get(at).parent) is not None:
                    depth, at = depth + 1, parent
            depths[layer] = depth
        return sorted(layers, key=lambda item: -depths[item])


class Lease:
    """Digests of blobs and chain ids of layers that an operation needs."""

    def __init__(self, held: Counter[str]) -> None:
        self._held, self._own = held, Counter[str]()

    def add(self, *digests: str) -> None:
        self._held.update(digests)
        self._own.update(digests)

    def end(self) -> None:
        self._held.subtract(self._own)
        for digest in self._own:
            if not self._held[digest]:
                del self._held[digest]
        self._own.clear()


def _full_id(text: str) -> ImageId | None:
    digits = text.removeprefix("sha256:")
    if len(digits) == 64 and not set(digits) - set("0123456789abcdef"):
        return ImageId(f"sha256:{digits}")
    return None
