"""A container request and an image's configuration become what will be run and mounted. Pure.

The merging rules are Docker's (``runconfig`` and ``daemon/create``): an own entrypoint drops the image's command, an
entrypoint of one empty string clears the image's, environment variables replace by name and keep the image's order.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

from sealane.engine.model import ContainerRequest, HealthCheck, MountKind, MountPoint, MountRequest
from sealane.engine.records import MountRecord, ProcessRecord
from sealane.errors import InvalidArgument
from sealane.values import ContainerId, ContainerPort, short

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME: Final = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")


class ImageSettings(Protocol):
    """The part of an image's configuration that containers inherit."""

    @property
    def entrypoint(self) -> tuple[str, ...] | None: ...
    @property
    def cmd(self) -> tuple[str, ...] | None: ...
    @property
    def env(self) -> tuple[str, ...]: ...
    @property
    def working_dir(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def exposed_ports(self) -> tuple[str, ...]: ...
    @property
    def volumes(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def stop_signal(self) -> str: ...


def check_name(name: str) -> str:
    """A container or volume name as clients may write it, without the leading slash. Raises InvalidArgument."""
    bare = name.removeprefix("/")
    if not _NAME.fullmatch(bare):
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return bare


def merge_process(
    request: ContainerRequest, image: ImageSettings, identifier: ContainerId, health: HealthCheck | None, hostname: str
) -> ProcessRecord:
    """What the container will run. Raises InvalidArgument when neither side names a command."""
    entrypoint, command = request.entrypoint, request.command
    if not entrypoint and not command:
        command = image.cmd
    if entrypoint is None:
        entrypoint = image.entrypoint
    elif entrypoint == ("",):
        entrypoint = ()
    argv = (*(entrypoint or ()), *(command or ()))
    if not argv or not argv[0]:
        raise InvalidArgument("no command specified")
    image_ports = (ContainerPort.parse(text) for text in image.exposed_ports)
    bound = (binding.container_port for binding in request.port_bindings)
    return ProcessRecord(
        path=argv[0],
        args=argv[1:],
        entrypoint=entrypoint or None,
        command=command,
        env=merge_env(image.env, request.env),
        working_dir=request.working_dir or image.working_dir,
        user=request.user or image.user,
        labels={**image.labels, **request.labels},
        exposed_ports=tuple(sorted({*image_ports, *bound, *request.exposed_ports})),
        hostname=request.hostname or hostname or short(identifier),
        stop_signal=request.stop_signal or image.stop_signal,
        health=merge_health(request.health, health),
    )


def merge_health(own: HealthCheck | None, image: HealthCheck | None) -> HealthCheck | None:
    """An own check wins field by field; ``NONE`` switches the image's off."""
    if own is None or image is None:
        chosen = own or image
    else:
        chosen = HealthCheck(
            test=own.test or image.test,
            interval_ns=own.interval_ns or image.interval_ns,
            timeout_ns=own.timeout_ns or image.timeout_ns,
            start_period_ns=own.start_period_ns or image.start_period_ns,
            start_interval_ns=own.start_interval_ns or image.start_interval_ns,
            retries=own.retries or image.retries,
        )
    return None if chosen is None or not chosen.test else chosen


def merge_env(base: Iterable[str], own: Iterable[str]) -> tuple[str, ...]:
    """*own* replaces *base* by name; a name without ``=`` removes it."""
    merged = {entry.partition("=")[0]: entry for entry in base}
    for entry in own:
        name, equals, _ = entry.partition("=")
        if equals:
            merged[name] = entry
        else:
            merged.pop(name, None)
    return tuple(merged.values())


def process_env(process: ProcessRecord, *, tty: bool, home: str) -> tuple[str, ...]:
    """The environment that the process really gets: Docker's own variables first, the container's over them."""
    base = [f"PATH={DEFAULT_PATH}", f"HOSTNAME={process.hostname}"]
    if tty:
        base.append("TERM=xterm")
    merged = merge_env(base, process.env)
    names = {entry.partition("=")[0] for entry in merged}
    return merged if "HOME" in names else (*merged, f"HOME={home}")


def clean_target(target: str) -> str:
    """A mount's path inside the container, normalised. Raises InvalidArgument for a relative path or the root."""
    if not target.startswith("/"):
        raise InvalidArgument(
            f"invalid mount config for type: invalid mount path: '{target}' mount path must be absolute"
        )
    clean = posixpath.normpath(target)
    if clean in ("/", "//"):
        raise InvalidArgument("invalid mount config: invalid specification: destination can't be '/'")
    return "/" + clean.lstrip("/")


def settle_mounts(
    request: ContainerRequest,
    image_volumes: Iterable[str],
    inherited: Iterable[MountRecord],
    volume_path: Callable[[str], Path],
    new_volume_name: Callable[[], str],
) -> tuple[MountRecord, ...]:
    """Every mount with its source. Own mounts win over ``--volumes-from``, and both over the image's volumes.

    Raises InvalidArgument when two own mounts share a target.
    """
    settled: dict[str, MountRecord] = {record.point.destination: record for record in inherited}
    own: set[str] = set()
    for asked in request.mounts:
        target = clean_target(asked.target)
        if target in own:
            raise InvalidArgument(f"Duplicate mount point: {target}")
        own.add(target)
        settled[target] = _settle(asked, target, volume_path, new_volume_name)
    for volume in image_volumes:
        target = clean_target(volume)
        if target not in settled:
            asked = MountRequest(kind=MountKind.VOLUME, target=target)
            settled[target] = _settle(asked, target, volume_path, new_volume_name)
    return tuple(sorted(settled.values(), key=lambda record: record.point.destination.count("/")))


def _settle(
    asked: MountRequest, target: str, volume_path: Callable[[str], Path], new_volume_name: Callable[[], str]
) -> MountRecord:
    name = ""
    source = asked.source
    propagation = asked.propagation
    if asked.kind is MountKind.VOLUME:
        name = asked.source or new_volume_name()
        source = str(volume_path(name))
    elif asked.kind is MountKind.BIND:
        if not source.startswith("/"):
            raise InvalidArgument(
                f"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
            )
        source = posixpath.normpath(source)
        propagation = propagation or "rprivate"
    point = MountPoint(
        kind=asked.kind,
        name=name,
        source=source,
        destination=target,
        driver="local" if name else "",
        mode=asked.mode or ("z" if name and not asked.mode and asked.source else ""),
        read_write=not asked.read_only,
        propagation=propagation,
    )
    return MountRecord(point=point, asked=asked)
