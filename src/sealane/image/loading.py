"""``load``: images out of an archive that ``save`` made, in Docker's format or as an OCI image layout.

The archive is read once, as it comes; its members wait under ``tmp/`` under numbers of our own until its table of
contents, which stands at the end, says what they are. Nothing in it is believed: layers are checked against the diff
ids of the configuration, and that against its digest where one is given.
"""

from __future__ import annotations

import posixpath
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from sealane.errors import Internal, InvalidArgument, Unsupported
from sealane.image.base import BaseStore
from sealane.image.blobs import Blobs
from sealane.image.catalogue import Lease
from sealane.image.compression import MAGIC_LENGTH, DamagedStream, Peeked, decoder, is_compressed
from sealane.image.config import ImageConfig, parse_config
from sealane.image.documents import UNREADABLE
from sealane.image.layers import Layer, Staged, chain_ids
from sealane.image.manifest import (
    CONFIG_MAX,
    MANIFEST_MAX,
    Descriptor,
    Index,
    Manifest,
    Platform,
    choose,
    parse_manifest,
)
from sealane.image.reference import Reference, parse_reference
from sealane.image.tar import Kind, TarError, TarReader
from sealane.image.threads import BodyReader, Stopped, in_thread
from sealane.values import Digest, ImageId

_MEMBERS_MAX: Final = 1 << 16
_LINKS_MAX: Final = 8
_CHUNK: Final = 1 << 20


class _Entry(msgspec.Struct, rename="pascal"):
    config: str
    repo_tags: list[str] | None = None
    layers: list[str] | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of the archive, on the disk."""

    path: Path
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """One image of the archive."""

    config: _Member
    layers: tuple[_Member, ...]
    names: tuple[Reference, ...]


@dataclass(slots=True)
class _Archive:
    """The members by name, and links among them."""

    members: dict[str, _Member] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> _Member | None:
        at = posixpath.normpath(name)
        for _ in range(_LINKS_MAX):
            if at in self.members:
                return self.members[at]
            if at not in self.links:
                return None
            at = self.links[at]
        return None

    def need(self, name: str) -> _Member:
        found = self.find(name)
        if found is None:
            raise InvalidArgument(f"invalid archive: {name} is missing")
        return found

    def blob(self, target: Descriptor) -> _Member:
        """A member of an OCI layout, checked."""
        found = self.need(f"blobs/{target.digest.replace(':', '/')}")
        if found.digest != target.digest or found.size != target.size:
            raise InvalidArgument(f"invalid archive: the content of {target.digest} is another one")
        return found


async def load_images(store: BaseStore, body: AsyncIterator[bytes], here: Platform) -> AsyncIterator[str]:
    """Load every image of the archive *body*; yields Docker's lines, each with its newline, as images are done.

    *here* picks from images for several platforms. Raises InvalidArgument for a damaged or hostile archive, Internal
    when the disk is full.
    """
    scratch = Path(tempfile.mkdtemp(dir=store.blobs.scratch, prefix="load-"))
    try:
        with store.lease() as lease:
            async with BodyReader(body) as reader:
                archive = await in_thread(
                    lambda stopped: _read(reader.read, store.blobs, scratch, stopped), "load", on_stop=reader.close
                )
            for plan in _plans(archive, here):
                config = parse_config(_small(plan.config, CONFIG_MAX))
                if config.os not in ("", "linux"):
                    raise InvalidArgument(f"cannot load {config.os} image on linux")
                layers = await _layers(store, config, plan.layers, lease)
                for line in _name(store, store.add(config, layers), plan.names):
                    yield line
    except OSError as error:
        raise Internal(f"cannot load the image: {error.strerror or error}") from error
    finally:
        await in_thread(lambda _: shutil.rmtree(scratch), "load")
        await store.sweep()


def _read(read: Callable[[int], bytes], blobs: Blobs, scratch: Path, stopped: Callable[[], bool]) -> _Archive:
    """Take the archive apart; in a thread."""
    found = _Archive()
    try:
        tar = TarReader(decoder(Peeked(read)))
        for number, entry in enumerate(tar):
            if number >= _MEMBERS_MAX:
                raise InvalidArgument(f"invalid archive: more than {_MEMBERS_MAX} members")
            name = posixpath.normpath(entry.name.decode(errors="surrogateescape").lstrip("/"))
            if entry.kind is Kind.FILE:
                with blobs.writer(scratch / str(number)) as writer:
                    while piece := tar.read(_CHUNK):
                        if stopped():
                            raise Stopped
                        writer.write(piece)
                    found.members[name] = _Member(writer.detach(), writer.digest, writer.size)
                    found.links.pop(name, None)
            elif entry.kind in (Kind.SYMLINK, Kind.HARD_LINK):
                target = entry.link.decode(errors="surrogateescape")
                base = posixpath.dirname(name) if entry.kind is Kind.SYMLINK else ""
                found.links[name] = posixpath.normpath(posixpath.join(base, target))
    except (TarError, DamagedStream) as error:
        raise InvalidArgument(f"invalid archive: {error}") from error
    return found


def _small(member: _Member, limit: int) -> bytes:
    if member.size > limit:
        raise InvalidArgument(f"invalid archive: a document of {member.size} bytes; at most {limit} are accepted")
    return member.path.read_bytes()


# what is in it


def _plans(archive: _Archive, here: Platform) -> list[_Plan]:
    """Docker's table of contents if there is one, for it has all names; else that of OCI."""
    if (table := archive.find("manifest.json")) is not None:
        try:
            entries = msgspec.json.decode(_small(table, MANIFEST_MAX), type=list[_Entry])
        except UNREADABLE as error:
            raise InvalidArgument(f"invalid archive: manifest.json: {error}") from error
        return [
            _Plan(
                archive.need(entry.config),
                tuple(archive.need(layer) for layer in entry.layers or ()),
                tuple(parse_reference(tag) for tag in entry.repo_tags or ()),
            )
            for entry in entries
        ]
    if (table := archive.find("index.json")) is not None:
        return _from_index(archive, _small(table, MANIFEST_MAX), here)
    if archive.find("repositories") is not None:
        raise Unsupported("the archive was saved by a Docker older than 1.10; load and save it again with a newer one")
    raise InvalidArgument("invalid archive: no manifest.json and no index.json in it (a root filesystem is for import)")


def _from_index(archive: _Archive, raw: bytes, here: Platform) -> list[_Plan]:
    index = parse_manifest(raw)
    if not isinstance(index, Index):
        raise InvalidArgument("invalid archive: index.json is no image index")
    names: dict[Descriptor, list[Reference]] = {}
    for entry in index.entries:
        own = names.setdefault(entry.target, [])
        if "/" in entry.reference or ":" in entry.reference:
            own.append(parse_reference(entry.reference))
    plans = []
    for target, own in names.items():
        manifest = _manifest(archive, target, here)
        layers = tuple(archive.blob(layer) for layer in manifest.layers)
        plans.append(_Plan(archive.blob(manifest.config), layers, tuple(own)))
    return plans


def _manifest(archive: _Archive, target: Descriptor, here: Platform) -> Manifest:
    found = parse_manifest(_small(archive.blob(target), MANIFEST_MAX), target.media_type)
    if isinstance(found, Index):
        found = parse_manifest(_small(archive.blob(choose(found.entries, here)), MANIFEST_MAX))
    if isinstance(found, Index):
        raise InvalidArgument("invalid archive: an index leads to another index")
    return found


# into the store


async def _layers(store: BaseStore, config: ImageConfig, members: Sequence[_Member], lease: Lease) -> list[Layer]:
    if len(members) != len(config.diff_ids):
        raise InvalidArgument(
            f"invalid archive: {len(members)} layers are listed, and the configuration has {len(config.diff_ids)}"
        )
    chain = chain_ids(config.diff_ids)
    lease.add(*chain)
    found: list[Layer] = []
    for number, member in enumerate(members):
        if not store.layers.has(chain[number]):
            lease.add(member.digest)
            expected = config.diff_ids[number]
            staged = await in_thread(
                lambda stopped: _stage(store, member, expected, stopped),  # noqa: B023 (awaited here)
                "unpack",
                unwanted=store.layers.discard,
            )
            try:
                await store.add_layer(staged, chain[:number], lease)
            finally:
                await store.discard(staged)
        found.append(store.layers.get(chain[number]))
    return found


def _stage(store: BaseStore, member: _Member, expected: str, stopped: Callable[[], bool]) -> Staged:
    """Unpack one layer; in a thread. A compressed archive becomes a blob as it is, a plain one is compressed."""
    there = store.blobs.has(member.digest)  # another image of the archive brought it, above other layers
    with (store.blobs.path(member.digest) if there else member.path).open("rb", buffering=0) as file:
        compressed = is_compressed(file.read(MAGIC_LENGTH))
        file.seek(0)
        archive = member.digest if compressed else None
        staged = store.layers.stage(file.read, archive=archive, expected=expected, stopped=stopped)
    return replace(staged, loose=member.path) if compressed and not there else staged


def _name(store: BaseStore, image: ImageId, names: Sequence[Reference]) -> Iterator[str]:
    for name in names:
        old = store.find(name)
        if old is not None and old != image:
            yield (f"The image {name.familiar()} already exists, renaming the old one with ID {old} to empty string\n")
        store.name(image, [name])
        yield f"Loaded image: {name.familiar()}\n"
    if not names:
        yield f"Loaded image ID: {image}\n"
