"""``save``: images as one archive that Docker's ``load`` and OCI tools both read.

    blobs/sha256/HEX    configurations, manifests, and layers as plain tar archives
    index.json          OCI: every image and name
    manifest.json       Docker: the same
    oci-layout
    repositories        Docker before 1.10: names only

Layers are unpacked from the blobs that they came in while they are sent, and checked on the way.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sealane.errors import Internal
from sealane.image.base import BaseStore
from sealane.image.blobs import digest_of
from sealane.image.compression import CHUNK, Peeked, decoder
from sealane.image.image import Image
from sealane.image.layers import Layer
from sealane.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from sealane.image.reference import Reference
from sealane.image.threads import in_thread

_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Wanted:
    """One image and the names that it should have in the archive."""

    image: Image
    names: tuple[Reference, ...]


async def save_images(store: BaseStore, wanted: Sequence[Wanted]) -> AsyncIterator[bytes]:
    """The archive, piece by piece. Raises Internal when what is stored does not have its digest any more."""
    with store.lease() as lease:
        for item in wanted:
            lease.add(item.image.id, *(layer.archive for layer in item.image.layers))
        pieces = _archive(store, wanted)
        while (piece := await in_thread(lambda _: next(pieces, None), "save")) is not None:
            yield piece


def _archive(store: BaseStore, wanted: Sequence[Wanted]) -> Iterator[bytes]:
    layers = {layer.diff_id: layer for item in wanted for layer in item.image.layers}
    blobs = {digest_of(raw): raw for item in wanted for raw in (item.image.config.raw, _manifest(item.image))}
    yield _directory("blobs/")
    yield _directory("blobs/sha256/")
    for digest, raw in sorted(blobs.items()):
        yield from _member(f"blobs/sha256/{digest[7:]}", raw)
    for digest, layer in sorted(layers.items()):
        if digest not in blobs:
            yield _header(f"blobs/sha256/{digest[7:]}", layer.plain_size)
            yield from _plain(store, layer)
            yield bytes(-layer.plain_size % _BLOCK)
    yield from _member("index.json", msgspec.json.encode(_index(wanted)))
    yield from _member("manifest.json", msgspec.json.encode([_docker_entry(item) for item in wanted]))
    yield from _member("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    if repositories := _repositories(wanted):
        yield from _member("repositories", msgspec.json.encode(repositories))
    yield bytes(2 * _BLOCK)


def _plain(store: BaseStore, layer: Layer) -> Iterator[bytes]:
    """A layer's own archive."""
    digest, size = hashlib.sha256(), 0
    with store.blobs.path(layer.archive).open("rb", buffering=0) as file:
        read = decoder(Peeked(file.read))
        while piece := read(CHUNK):
            digest.update(piece)
            size += len(piece)
            yield piece
    if f"sha256:{digest.hexdigest()}" != layer.diff_id or size != layer.plain_size:
        raise Internal(f"blob {layer.archive} is damaged: it does not hold layer {layer.diff_id}")


# the documents


def _layer_descriptor(layer: Layer) -> dict[str, Any]:
    return {"mediaType": OCI_LAYER, "digest": layer.diff_id, "size": layer.plain_size}


def _manifest(image: Image) -> bytes:
    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": image.id, "size": len(image.config.raw)},
            "layers": [_layer_descriptor(layer) for layer in image.layers],
        }
    )


def _index(wanted: Sequence[Wanted]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for item in wanted:
        raw = _manifest(item.image)
        target = {"mediaType": OCI_MANIFEST, "digest": digest_of(raw), "size": len(raw)}
        for name in item.names:
            notes = {"io.containerd.image.name": str(name), "org.opencontainers.image.ref.name": name.tag}
            entries.append({**target, "annotations": notes})
        if not item.names:
            entries.append(target)
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}


def _docker_entry(item: Wanted) -> dict[str, Any]:
    layers = item.image.layers
    return {
        "Config": f"blobs/sha256/{item.image.id[7:]}",
        "RepoTags": [name.familiar() for name in item.names] or None,
        "Layers": [f"blobs/sha256/{layer.diff_id[7:]}" for layer in layers],
        "LayerSources": {layer.diff_id: _layer_descriptor(layer) for layer in layers},
    }


def _repositories(wanted: Sequence[Wanted]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in wanted:
        top = item.image.layers[-1].diff_id[7:] if item.image.layers else ""
        for name in item.names:
            found.setdefault(name.familiar_repository, {})[name.tag or ""] = top
    return found


# tar


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _directory(name: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.GNU_FORMAT)


def _member(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data)) + data + bytes(-len(data) % _BLOCK)
