"""``import``: an archive of a root filesystem becomes an image of one layer."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Sequence

import msgspec

from sealane.errors import Internal, InvalidArgument
from sealane.image.base import BaseStore
from sealane.image.changes import apply_changes
from sealane.image.config import format_time, parse_config
from sealane.image.manifest import architecture
from sealane.image.reference import parse_reference
from sealane.image.threads import BodyReader, in_thread
from sealane.values import ImageId


async def import_image(
    store: BaseStore, body: AsyncIterator[bytes], ref: str, changes: Sequence[str], message: str, now_ns: int
) -> ImageId:
    """Make an image of the tar archive *body*, plain or compressed, and call it *ref* unless that is "".

    Raises InvalidArgument for a bad name, change or archive, Internal when the disk is full; then nothing is left.
    """
    name = parse_reference(ref) if ref else None
    if name is not None and name.digest is not None:
        raise InvalidArgument("cannot import digest reference")
    settings = apply_changes(changes)
    message = message or "Imported from -"
    reader = BodyReader(body)
    try:
        with store.lease() as lease:
            staged = await in_thread(
                lambda stopped: store.layers.stage(reader.read, archive=None, stopped=stopped, ahead=False),
                "import",
                on_stop=reader.close,
                unwanted=store.layers.discard,
            )
            try:
                layer = await store.add_layer(staged, (), lease)
            finally:
                store.layers.discard(staged)
            created = format_time(now_ns)
            blob = {
                "architecture": architecture(platform.machine()) or platform.machine(),
                "comment": message,
                "config": settings,
                "created": created,
                "history": [{"created": created, "comment": message}],
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            }
            image = store.add(parse_config(msgspec.json.encode(blob)), [layer])
    except OSError as error:
        await store.sweep()
        raise Internal(f"cannot import the image: {error.strerror or error}") from error
    if name is not None:
        store.name(image, [name])
    return image
