"""Volumes. Pure."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from sealane.api.schema.base import Int, Wire


class VolumeCreate(Wire):
    """The body of ``POST /volumes/create``."""

    Name: str = ""
    Driver: str = ""
    DriverOpts: dict[str, str] | None = None
    Labels: dict[str, str] | None = None
    ClusterVolumeSpec: dict[str, str] | None = None


class UsageData(Wire):
    RefCount: Int
    Size: Int


class Volume(Wire):
    CreatedAt: str
    Driver: str
    Labels: dict[str, str] | None
    Mountpoint: str
    Name: str
    Options: dict[str, str] | None
    Scope: str = "local"
    UsageData: UsageData | UnsetType = UNSET


class VolumeList(Wire):
    Volumes: list[Volume] = field(default_factory=list)
    Warnings: list[str] | None = None


class VolumesPruned(Wire):
    VolumesDeleted: list[str] = field(default_factory=list)
    SpaceReclaimed: Int = 0
