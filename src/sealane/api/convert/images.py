"""Images on their way out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import UNSET, UnsetType

from sealane.api.backend import HistoryEntry, Image
from sealane.api.convert.times import NEVER, parse_stamp, stamp
from sealane.api.schema import image as wire
from sealane.api.schema.container_view import GraphDriver
from sealane.api.schema.decode import decode
from sealane.api.versions import ApiVersion
from sealane.engine.model import RemovedImage
from sealane.errors import InvalidArgument

_ONE_SIZE: Final = ApiVersion(1, 44)
#: The years 1 to 9999.
_FIRST_NS: Final = -62_135_596_800 * 1_000_000_000
_END_NS: Final = 253_402_300_800 * 1_000_000_000


def blob_of(image: Image) -> wire.ImageBlob:
    """The image's configuration as it lies in the store. One that Docker's types do not fit is shown as an empty one:
    an image must not keep the others from being listed."""
    try:
        return decode(image.config.raw, wire.ImageBlob)
    except InvalidArgument:
        return wire.ImageBlob()


def created_ns(image: Image) -> int:
    """When the image was made, in nanoseconds; 0 when it does not say."""
    return _moment(blob_of(image).created)


def _moment(text: str) -> int:
    found = parse_stamp(text) or 0
    return found if _FIRST_NS <= found < _END_NS else 0  # a zone can lead out of the years that there are


def summary(image: Image, version: ApiVersion, containers: int = -1) -> wire.ImageSummary:
    """One entry of ``GET /images/json``."""
    return wire.ImageSummary(
        Containers=containers,
        Created=created_ns(image) // 1_000_000_000,
        Id=image.id,
        Labels=dict(image.config.labels) or None,
        ParentId=image.parent or "",
        RepoDigests=list(image.repo_digests),
        RepoTags=list(image.tags),
        Size=image.size,
        VirtualSize=_virtual_size(image, version),
    )


def inspected(image: Image, layers: Sequence[Path], version: ApiVersion) -> wire.Image:
    """``GET /images/{name}/json``; *layers* are the unpacked ones, topmost first.

    ContainerConfig is sent at every version: docker-compose 1.29 cannot do without."""
    blob = blob_of(image)
    moment = _moment(blob.created)
    return wire.Image(
        Id=image.id,
        RepoTags=list(image.tags),
        RepoDigests=list(image.repo_digests),
        Parent=image.parent or "",
        Comment=blob.comment,
        Created=stamp(moment) if moment else NEVER,
        ContainerConfig=blob.container_config,
        DockerVersion=blob.docker_version,
        Author=blob.author,
        Config=blob.config,
        Architecture=blob.architecture,
        Variant=blob.variant or UNSET,
        Os=blob.os,
        Size=image.size,
        VirtualSize=_virtual_size(image, version),
        GraphDriver=GraphDriver(_directories(layers)),
        Metadata=wire.ImageMetadata(stamp(image.tagged_ns)),
        RootFS=wire.RootFS(Layers=list(blob.rootfs.diff_ids or []) if blob.rootfs else UNSET),
    )


def _directories(layers: Sequence[Path]) -> dict[str, str] | None:
    """Where an image's files lie; Docker's names of two directories that only containers have are left out."""
    if not layers:
        return None
    lower = {"LowerDir": ":".join(map(str, layers[1:]))} if len(layers) > 1 else {}
    return {**lower, "UpperDir": str(layers[0])}


def _virtual_size(image: Image, version: ApiVersion) -> int | UnsetType:
    """The same as ``Size``, until API 1.44 took it away."""
    return image.size if version < _ONE_SIZE else UNSET


def history_line(entry: HistoryEntry) -> wire.HistoryLine:
    """One line of ``GET /images/{name}/history``."""
    return wire.HistoryLine(
        Comment=entry.comment,
        Created=entry.created_ns // 1_000_000_000,
        CreatedBy=entry.created_by,
        Id=entry.id or "<missing>",
        Size=entry.size,
        Tags=list(entry.tags) or None,
    )


def removed(line: RemovedImage) -> wire.ImageRemoved:
    """One line of ``rmi``."""
    return wire.ImageRemoved(Untagged=line.untagged, Deleted=line.deleted)
