"""What a registry says an image consists of: manifests and indexes, Docker schema 2 and OCI. Pure.

Sources: OCI image-spec manifest.md and image-index.md; distribution's schema2 specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from sealane.errors import InvalidArgument, NotFound, Unsupported
from sealane.image.documents import UNREADABLE
from sealane.values import Digest, parse_digest

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ACCEPTED: Final = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1"
_LAYER_TYPES: Final = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)
#: Docker refuses larger ones; so do registries.
MANIFEST_MAX: Final = 4 << 20
CONFIG_MAX: Final = 8 << 20
_LAYERS_MAX: Final = 500
#: Go's names for what people write and what uname says.
_ARCHITECTURES: Final = (
    (("x86_64", "x86-64", "amd64"), "amd64"),
    (("aarch64", "arm64"), "arm64"),
    (("i386", "i486", "i586", "i686", "386"), "386"),
    (("armhf", "armel", "armv7l", "armv6l", "arm"), "arm"),
    (("ppc64le",), "ppc64le"),
    (("s390x",), "s390x"),
    (("riscv64",), "riscv64"),
    (("loong64", "loongarch64"), "loong64"),
    (("mips64le",), "mips64le"),
)


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on, in Go's words: linux, amd64, and for ARM a variant."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob that somebody points to. ``size`` in bytes."""

    media_type: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: its configuration and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    target: Descriptor
    platform: Platform | None
    reference: str = ""  # the name that an archive gives it


@dataclass(frozen=True, slots=True)
class Index:
    """One image for several platforms."""

    entries: tuple[IndexEntry, ...]


class _WirePlatform(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    variant: str = ""


class _WireDescriptor(msgspec.Struct, rename="camel"):
    digest: str
    size: int = -1
    media_type: str = ""
    platform: _WirePlatform | None = None
    annotations: dict[str, str] | None = None


class _WireManifest(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    config: _WireDescriptor | None = None
    layers: list[_WireDescriptor] | None = None
    manifests: list[_WireDescriptor] | None = None


def parse_manifest(raw: bytes, media_type: str = "") -> Manifest | Index:
    """Read a manifest or an index; *media_type* is what came with it and only tells schema 1 apart.

    Raises InvalidArgument for what cannot be right, Unsupported for what is known and not served.
    """
    if media_type.startswith(_SCHEMA1):
        raise Unsupported("the image has a manifest of Docker's schema 1, which registries and Docker gave up")
    try:
        wire = msgspec.json.decode(raw, type=_WireManifest)
    except UNREADABLE as error:
        raise InvalidArgument(f"invalid image manifest: {error}") from error
    if wire.schema_version == 1:
        raise Unsupported("the image has a manifest of Docker's schema 1, which registries and Docker gave up")
    if wire.schema_version != 2:
        raise InvalidArgument(f"invalid image manifest: unknown schema version {wire.schema_version}")
    if wire.manifests is not None:
        if wire.config is not None or wire.layers is not None:
            # One document, two meanings: CVE-2021-41190.
            raise InvalidArgument("invalid image manifest: it is an index and a manifest at once")
        return Index(tuple(_entry(item) for item in wire.manifests))
    if wire.config is None or wire.layers is None:
        raise InvalidArgument("invalid image manifest: it has no configuration or no layers")
    if len(wire.layers) > _LAYERS_MAX:
        raise InvalidArgument(f"invalid image manifest: {len(wire.layers)} layers; at most {_LAYERS_MAX} are possible")
    layers = tuple(_descriptor(item) for item in wire.layers)
    for layer in layers:
        if layer.media_type and not layer.media_type.startswith(_LAYER_TYPES):
            raise Unsupported(f"layer {layer.digest} is of a type that cannot be unpacked: {layer.media_type}")
    return Manifest(_descriptor(wire.config), layers)


def _descriptor(wire: _WireDescriptor) -> Descriptor:
    if wire.size < 0:
        raise InvalidArgument(f"invalid image manifest: {wire.digest[:80]} has no size")
    return Descriptor(wire.media_type, parse_digest(wire.digest), wire.size)


def _entry(wire: _WireDescriptor) -> IndexEntry:
    platform = None
    if wire.platform is not None and wire.platform.architecture:
        platform = Platform(wire.platform.os, wire.platform.architecture, wire.platform.variant)
    notes = wire.annotations or {}
    name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name") or ""
    return IndexEntry(_descriptor(wire), platform, name)


def architecture(name: str) -> str | None:
    """Go's name of an architecture; None for an unknown one."""
    return next((go for names, go in _ARCHITECTURES if name.lower() in names), None)


def parse_platform(text: str, default: Platform) -> Platform:
    """Read ``linux/arm64/v8``, ``linux`` or ``arm64``. Raises InvalidArgument in Docker's words."""
    parts = [part.lower() for part in text.split("/")]
    if len(parts) == 1:
        if parts[0] == "linux":
            return Platform("linux", default.architecture, default.variant)
        parts = ["linux", parts[0]]
    known = architecture(parts[1])
    if known is None or len(parts) > 3 or parts[0] not in ("linux", "windows", "freebsd", "darwin"):
        raise InvalidArgument(f'"{text}": unknown operating system or architecture: invalid argument')
    return Platform(parts[0], known, parts[2] if len(parts) == 3 else "")


def choose(entries: Iterable[IndexEntry], wanted: Platform) -> Descriptor:
    """The entry for *wanted*: its variant if there is one, else the best that the same architecture has.

    Raises NotFound in Docker's words.
    """
    fitting = [
        entry
        for entry in entries
        if entry.platform is not None
        and (entry.platform.os, architecture(entry.platform.architecture)) == (wanted.os, wanted.architecture)
    ]
    best = [entry for entry in fitting if _variant(entry) == wanted.variant]
    if not best:
        best = _plain(fitting, wanted) if wanted.variant else sorted(fitting, key=_variant, reverse=True)
    if not best:
        raise NotFound(f"no matching manifest for {wanted} in the manifest list entries")
    return best[0].target


def _variant(entry: IndexEntry) -> str:
    return entry.platform.variant if entry.platform is not None else ""


def _plain(entries: Sequence[IndexEntry], wanted: Platform) -> list[IndexEntry]:
    """arm64 is arm64/v8, arm is arm/v7: a missing variant is the usual one."""
    usual = {"arm64": "v8", "arm": "v7"}.get(wanted.architecture, "")
    return [item for item in entries if wanted.variant == usual and not _variant(item)]
