"""Mounts of a request, whichever of Binds, Mounts, Tmpfs and Volumes they came by. Pure.

The texts are Docker's; that it answers some of them with status 500 is not imitated.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final

from sealane.api.schema.container import CreateBody, HostConfig
from sealane.api.schema.mount import Mount
from sealane.engine.model import MountKind, MountRequest
from sealane.errors import InvalidArgument

_VOLUME_NAME: Final = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")
PROPAGATIONS: Final = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
#: The third part of ``-v``: at most one word of each group.
_MODE_GROUPS: Final = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    PROPAGATIONS,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated"}),
)


def mount_requests(body: CreateBody, host: HostConfig) -> tuple[MountRequest, ...]:
    """All mounts, in the order Binds, Mounts, Tmpfs, Volumes.

    Raises InvalidArgument for a bad one and for two explicit ones with the same target.
    """
    explicit = [_bind(text) for text in host.Binds or ()]
    explicit += [_mount(mount) for mount in host.Mounts or ()]
    explicit += [_tmpfs(target, options) for target, options in (host.Tmpfs or {}).items()]
    targets: set[str] = set()
    for mount in explicit:
        if mount.target in targets:
            raise InvalidArgument(f"Duplicate mount point: {mount.target}")
        targets.add(mount.target)
    anonymous = (_anonymous(target) for target in body.Volumes or {})
    return (*explicit, *(mount for mount in anonymous if mount.target not in targets))


def check_volume_name(name: str) -> None:
    """Docker's rule for names of local volumes. Raises InvalidArgument."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _VOLUME_NAME.fullmatch(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )


def volumes_from(asked: list[str] | None) -> tuple[str, ...]:
    """``--volumes-from``: ``container`` or ``container:mode``. Raises InvalidArgument for a bad mode."""
    for text in asked or ():
        name, colon, mode = text.partition(":")
        if not name:
            raise InvalidArgument("volumes-from: the name of a container is missing")
        if colon:
            _check_mode(mode)
    return tuple(asked or ())


# -- one way each -----------------------------------------------------------------------------------------------------


def _bind(text: str) -> MountRequest:
    """``/host:/inside[:mode]``, ``volume:/inside[:mode]`` or ``/inside`` (an anonymous volume)."""
    parts = text.split(":")
    if not text or len(parts) > 3 or (len(parts) == 2 and _is_mode(parts[1])):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    mode = parts[2] if len(parts) == 3 else ""
    words = _check_mode(mode)
    kind = MountKind.BIND if source.startswith("/") else MountKind.VOLUME
    target = _target(target, kind, text)
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    if kind is MountKind.BIND:
        if "nocopy" in words:
            raise _bad_bind(text, kind, "field VolumeOptions must not be specified")
        source = posixpath.normpath(source)
    else:
        if propagation:
            raise InvalidArgument(f"invalid mode: {mode}")
        if source:
            check_volume_name(source)
    return MountRequest(
        kind=kind,
        target=target,
        source=source,
        read_only="ro" in words,
        mode=mode,
        propagation=propagation,
        create_source=kind is MountKind.BIND,
        no_copy="nocopy" in words,
    )


def _mount(mount: Mount) -> MountRequest:
    """One entry of ``HostConfig.Mounts``."""
    try:
        kind = MountKind(mount.Type)
    except ValueError:
        raise _bad(mount.Type, "mount type unknown") from None
    if not mount.Target:
        raise _bad(mount.Type, "field Target must not be empty")
    _check_options(mount, kind)
    if kind is MountKind.BIND and not mount.Source:
        raise _bad(mount.Type, "field Source must not be empty")
    if kind is MountKind.TMPFS and mount.Source:
        raise _bad(mount.Type, "field Source must not be specified")
    if kind is MountKind.BIND and not mount.Source.startswith("/"):
        raise _bad(mount.Type, f"invalid mount path: '{mount.Source}' mount path must be absolute")
    if kind is MountKind.VOLUME and mount.Source:
        check_volume_name(mount.Source)
    target = _target(mount.Target, kind, "")
    bind, volume, tmpfs = mount.BindOptions, mount.VolumeOptions, mount.TmpfsOptions
    propagation = bind.Propagation if bind else ""
    if propagation and propagation not in PROPAGATIONS:
        raise _bad(mount.Type, f"invalid propagation mode: {propagation}")
    if volume and (volume.Subpath.startswith("/") or ".." in volume.Subpath.split("/")):
        raise _bad(mount.Type, f"subpath must be a relative path within the volume: {volume.Subpath}")
    if tmpfs and (tmpfs.SizeBytes < 0 or not 0 <= tmpfs.Mode <= 0o7777):
        raise _bad(mount.Type, "size and mode of a tmpfs must not be negative, and its mode at most 07777")
    driver = volume.DriverConfig if volume else None
    return MountRequest(
        kind=kind,
        target=target,
        source=posixpath.normpath(mount.Source) if kind is MountKind.BIND else mount.Source,
        read_only=mount.ReadOnly,
        propagation=propagation,
        create_source=bind.CreateMountpoint if bind else False,
        no_copy=volume.NoCopy if volume else False,
        subpath=volume.Subpath if volume else "",
        labels=dict(volume.Labels or {}) if volume else {},
        driver=driver.Name if driver else "",
        driver_options=dict(driver.Options or {}) if driver else {},
        tmpfs_size=tmpfs.SizeBytes if tmpfs else 0,
        tmpfs_mode=tmpfs.Mode if tmpfs else 0,
        tmpfs_options=",".join("=".join(option) for option in tmpfs.Options or ()) if tmpfs else "",
    )


def _check_options(mount: Mount, kind: MountKind) -> None:
    for own, name, options in (
        (MountKind.BIND, "BindOptions", mount.BindOptions),
        (MountKind.VOLUME, "VolumeOptions", mount.VolumeOptions),
        (MountKind.TMPFS, "TmpfsOptions", mount.TmpfsOptions),
    ):
        if options is not None and kind is not own:
            raise InvalidArgument(f'{name} must not be specified on mount type "{mount.Type}"')


def _tmpfs(target: str, options: str) -> MountRequest:
    if not target.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{target}' mount path must be absolute")
    target = _target(target, MountKind.TMPFS, "")
    return MountRequest(
        kind=MountKind.TMPFS, target=target, tmpfs_options=options, read_only="ro" in options.split(",")
    )


def _anonymous(target: str) -> MountRequest:
    return MountRequest(kind=MountKind.VOLUME, target=_target(target, MountKind.VOLUME, target))


# -- parts ------------------------------------------------------------------------------------------------------------


def _target(target: str, kind: MountKind, spec: str) -> str:
    """The target, normalised. Raises InvalidArgument for a relative one and for the root."""
    if not target.startswith("/"):
        raise _bad_bind(spec, kind, f"invalid mount path: '{target}' mount path must be absolute")
    clean = "/" + posixpath.normpath(target).lstrip("/")
    if clean == "/":
        raise _bad_bind(spec, kind, "invalid specification: destination can't be '/'")
    return clean


def _is_mode(text: str) -> bool:
    words = text.split(",")
    return all(any(word in group for group in _MODE_GROUPS) for word in words) and all(
        sum(word in group for word in words) <= 1 for group in _MODE_GROUPS
    )


def _check_mode(mode: str) -> tuple[str, ...]:
    if not mode:
        return ()
    if not _is_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    return tuple(mode.split(","))


def _bad(kind: str, problem: str) -> InvalidArgument:
    return InvalidArgument(f'invalid mount config for type "{kind}": {problem}')


def _bad_bind(spec: str, kind: MountKind, problem: str) -> InvalidArgument:
    error = _bad(kind.value, problem)
    return InvalidArgument(f"invalid volume specification: '{spec}': {error.message}") if spec else error
