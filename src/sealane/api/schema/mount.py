"""Mounts: as asked (``HostConfig.Mounts``) and as they are (``Mounts`` of a container). Pure."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from sealane.api.schema.base import Int, Wire


class BindOpts(Wire, omit_defaults=True):
    Propagation: str = ""
    NonRecursive: bool = False
    CreateMountpoint: bool = False
    ReadOnlyNonRecursive: bool = False
    ReadOnlyForceRecursive: bool = False


class VolumeDriver(Wire, omit_defaults=True):
    Name: str = ""
    Options: dict[str, str] | None = None


class VolumeOpts(Wire, omit_defaults=True):
    NoCopy: bool = False
    Labels: dict[str, str] | None = None
    Subpath: str = ""
    DriverConfig: VolumeDriver | None = None


class TmpfsOpts(Wire, omit_defaults=True):
    SizeBytes: Int = 0
    Mode: Int = 0
    Options: list[list[str]] | None = None


class Mount(Wire, omit_defaults=True):
    """One ``--mount``."""

    Type: str = ""
    Source: str = ""
    Target: str = ""
    ReadOnly: bool = False
    Consistency: str = ""
    BindOptions: BindOpts | None = None
    VolumeOptions: VolumeOpts | None = None
    TmpfsOptions: TmpfsOpts | None = None


class MountPoint(Wire):
    """One mount of a container as list and inspect show it."""

    Type: str = ""
    Name: str | UnsetType = UNSET
    Source: str = ""
    Destination: str = ""
    Driver: str | UnsetType = UNSET
    Mode: str = ""
    RW: bool = True
    Propagation: str = ""
