"""Volumes on their way out. Pure."""

from __future__ import annotations

from msgspec import UNSET

from sealane.api.convert.times import whole_stamp
from sealane.api.schema.volume import UsageData, Volume
from sealane.engine.model import VolumeView


def volume(view: VolumeView, size: int | None = None) -> Volume:
    """A volume; with its *size* in bytes (-1 for not known) the usage is shown as well."""
    return Volume(
        CreatedAt=whole_stamp(view.created_ns),
        Driver=view.driver,
        Labels=dict(view.labels) or None,
        Mountpoint=str(view.mountpoint),
        Name=view.name,
        Options=dict(view.options) or None,
        UsageData=UNSET if size is None else UsageData(RefCount=len(view.used_by), Size=size),
    )
