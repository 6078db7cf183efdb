"""``import``: an archive of a root filesystem becomes an image of one layer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from sealane.errors import Internal, InvalidArgument
from sealane.image.base import BaseStore
from sealane.image.catalogue import Lease
from sealane.image.changes import Settings, apply_changes
from sealane.image.config import format_time, parse_config
from sealane.image.here import local_platform
from sealane.image.layers import Layer, Staged
from sealane.image.manifest import Platform, parse_platform
from sealane.image.reference import parse_reference
from sealane.image.threads import BodyReader, in_thread
from sealane.values import ImageId


@dataclass(frozen=True, slots=True)
class Making:
    """What is said about an image that is imported: Dockerfile *changes*, a comment, the platform ("": this one's)."""

    changes: tuple[str, ...]
    message: str
    platform: str
    now_ns: int


async def import_image(store: BaseStore, body: AsyncIterator[bytes], ref: str, making: Making) -> ImageId:
    """Make an image of the tar archive *body*, plain or compressed, and call it *ref* unless that is "".

    Raises InvalidArgument for a bad name, change or archive, Internal when the disk is full; then nothing is left.
    """
    name = parse_reference(ref) if ref else None
    if name is not None and name.digest is not None:
        raise InvalidArgument("cannot import digest reference")
    settings = apply_changes(making.changes)
    runs_on = parse_platform(making.platform, local_platform()) if making.platform else local_platform()
    if runs_on.os != "linux":
        raise InvalidArgument("operating system is not supported")
    try:
        with store.lease() as lease:
            layer = await _layer(store, body, lease)
            image = store.add(parse_config(_blob(settings, making, runs_on, layer)), [layer])
    except OSError as error:
        await store.sweep()
        raise Internal(f"cannot import the image: {error.strerror or error}") from error
    if name is not None:
        store.name(image, [name])
        store.note_name(image, making.now_ns)
    return image


async def _layer(store: BaseStore, body: AsyncIterator[bytes], lease: Lease) -> Layer:
    staged: Staged | None = None
    try:
        async with BodyReader(body) as reader:
            staged = await in_thread(
                lambda stopped: store.layers.stage(reader.read, archive=None, stopped=stopped, ahead=False),
                "import",
                on_stop=reader.close,
                unwanted=store.layers.discard,
            )
        return await store.add_layer(staged, (), lease)
    finally:
        if staged is not None:
            await store.discard(staged)


def _blob(settings: Settings, making: Making, runs_on: Platform, layer: Layer) -> bytes:
    """The configuration of the new image."""
    created = format_time(making.now_ns)
    message = making.message or "Imported from -"
    blob = {
        "architecture": runs_on.architecture,
        "comment": message,
        "config": settings,
        "created": created,
        "history": [{"created": created, "comment": message}],
        "os": runs_on.os,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    }
    if runs_on.variant:
        blob["variant"] = runs_on.variant
    return msgspec.json.encode(blob)
