"""What the engine keeps of each object: the records of the store, and how they are filed.

A container has two records. ``ContainerRecord`` changes only by the verbs that change what was asked (rename, update,
connect, disconnect); ``ContainerLive`` changes while it runs. Both are immutable values: a change is a new value,
committed before anybody is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sealane.engine.model import (
    ContainerRequest,
    ContainerState,
    HealthCheck,
    MountKind,
    MountPoint,
    MountRequest,
)
from sealane.network.spec import EndpointRequest, EndpointSpec
from sealane.values import ContainerId, ContainerPort, ImageId, NetworkId, PublishedPort


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """The request and the image's configuration, merged: what will be run."""

    path: str
    args: tuple[str, ...]
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    env: tuple[str, ...]
    working_dir: str
    user: str
    labels: Mapping[str, str]
    exposed_ports: tuple[ContainerPort, ...]
    hostname: str
    stop_signal: str
    health: HealthCheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRecord:
    """One settled mount: what inspect shows, and what was asked for it."""

    point: MountPoint
    asked: MountRequest

    @property
    def is_volume(self) -> bool:
        return self.point.kind is MountKind.VOLUME


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A network that a container is to be connected to. ``network_id`` is known once the network was found."""

    network_id: NetworkId | None
    asked: EndpointRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    id: ContainerId
    name: str
    created_ns: int
    request: ContainerRequest
    image_id: ImageId
    image_ref: str
    process: ProcessRecord
    mounts: tuple[MountRecord, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLive:
    """The changing part. ``endpoints`` and ``ports`` are those in force, empty while it does not run."""

    state: ContainerState = field(default_factory=ContainerState)
    endpoints: tuple[EndpointSpec, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    conmon_pid: int = 0
    stopped_by_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRecord:
    name: str
    driver: str
    created_ns: int
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False
