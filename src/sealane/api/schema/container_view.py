"""Containers as list and inspect show them, and the small answers of their verbs. Pure."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from sealane.api.schema.base import Int, Wire
from sealane.api.schema.container import Config, HostConfig, PortBinding
from sealane.api.schema.mount import MountPoint
from sealane.api.schema.network import EndpointSettings


class Port(Wire, kw_only=True):
    """One line of ``docker ps``'s PORTS; without IP and PublicPort the port is exposed only."""

    IP: str | UnsetType = UNSET
    PrivatePort: Int
    PublicPort: Int | UnsetType = UNSET
    Type: str


class SummaryHostConfig(Wire):
    NetworkMode: str = ""
    Annotations: dict[str, str] | UnsetType = UNSET


class SummaryNetworks(Wire):
    Networks: dict[str, EndpointSettings] = field(default_factory=dict)


class ContainerSummary(Wire, kw_only=True):
    """One entry of ``GET /containers/json``."""

    Id: str
    Names: list[str]
    Image: str
    ImageID: str
    Command: str
    Created: Int
    Ports: list[Port]
    SizeRw: Int | UnsetType = UNSET
    SizeRootFs: Int | UnsetType = UNSET
    Labels: dict[str, str]
    State: str
    Status: str
    HostConfig: SummaryHostConfig
    NetworkSettings: SummaryNetworks
    Mounts: list[MountPoint]


class HealthLogEntry(Wire):
    Start: str
    End: str
    ExitCode: Int
    Output: str


class Health(Wire):
    Status: str
    FailingStreak: Int
    Log: list[HealthLogEntry]


class State(Wire):
    Status: str
    Running: bool
    Paused: bool
    Restarting: bool
    OOMKilled: bool
    Dead: bool
    Pid: Int
    ExitCode: Int
    Error: str
    StartedAt: str
    FinishedAt: str
    Health: Health | UnsetType = UNSET


class GraphDriver(Wire):
    Data: dict[str, str] | None = None
    Name: str = "overlay2"


class NetworkSettings(Wire):
    """The fields before ``Networks`` repeat those of the network ``bridge`` for old clients."""

    Bridge: str = ""
    SandboxID: str = ""
    SandboxKey: str = ""
    Ports: dict[str, list[PortBinding] | None] = field(default_factory=dict)
    HairpinMode: bool = False
    LinkLocalIPv6Address: str = ""
    LinkLocalIPv6PrefixLen: Int = 0
    SecondaryIPAddresses: list[str] | None = None
    SecondaryIPv6Addresses: list[str] | None = None
    EndpointID: str = ""
    Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: Int = 0
    IPAddress: str = ""
    IPPrefixLen: Int = 0
    IPv6Gateway: str = ""
    MacAddress: str = ""
    Networks: dict[str, EndpointSettings] = field(default_factory=dict)


class Container(Wire):
    """``GET /containers/{id}/json``."""

    Id: str
    Created: str
    Path: str
    Args: list[str]
    State: State
    Image: str
    ResolvConfPath: str
    HostnamePath: str
    HostsPath: str
    LogPath: str
    Name: str
    RestartCount: Int = 0
    Driver: str = "overlay2"
    Platform: str = "linux"
    MountLabel: str = ""
    ProcessLabel: str = ""
    AppArmorProfile: str = ""
    ExecIDs: list[str] | None = None
    HostConfig: HostConfig = field(default_factory=HostConfig)
    GraphDriver: GraphDriver = field(default_factory=GraphDriver)
    SizeRw: Int | UnsetType = UNSET
    SizeRootFs: Int | UnsetType = UNSET
    Mounts: list[MountPoint] = field(default_factory=list)
    Config: Config = field(default_factory=Config)
    NetworkSettings: NetworkSettings = field(default_factory=NetworkSettings)


class WaitError(Wire):
    Message: str


class WaitAnswer(Wire):
    StatusCode: Int
    Error: WaitError | UnsetType = UNSET


class Top(Wire):
    Processes: list[list[str]]
    Titles: list[str]


class Change(Wire):
    Path: str
    Kind: Int


class ContainersPruned(Wire):
    ContainersDeleted: list[str] | None = None
    SpaceReclaimed: Int = 0


class ArchiveStat(Wire):
    """The header X-Docker-Container-Path-Stat, before base64."""

    name: str
    size: Int
    mode: Int
    mtime: str
    linkTarget: str
