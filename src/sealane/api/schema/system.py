"""``/version``, ``/info`` and ``/system/df``. Pure."""

from __future__ import annotations

from msgspec import field

from sealane.api.schema.base import Int, Wire
from sealane.api.schema.container_view import ContainerSummary
from sealane.api.schema.image import ImageSummary
from sealane.api.schema.volume import Volume


class Platform(Wire):
    Name: str


class Component(Wire):
    Name: str
    Version: str
    Details: dict[str, str]


class Version(Wire):
    Platform: Platform
    Components: list[Component]
    Version: str
    ApiVersion: str
    MinAPIVersion: str
    GitCommit: str
    GoVersion: str
    Os: str
    Arch: str
    KernelVersion: str
    BuildTime: str


class Plugins(Wire):
    Volume: list[str]
    Network: list[str]
    Authorization: list[str] | None
    Log: list[str]


class IndexConfig(Wire):
    Name: str
    Mirrors: list[str]
    Secure: bool
    Official: bool


class RegistryConfig(Wire):
    AllowNondistributableArtifactsCIDRs: list[str] | None = None
    AllowNondistributableArtifactsHostnames: list[str] | None = None
    InsecureRegistryCIDRs: list[str] = field(default_factory=list)
    IndexConfigs: dict[str, IndexConfig] = field(default_factory=dict)
    Mirrors: list[str] | None = None


class Runtime(Wire):
    path: str


class Commit(Wire):
    ID: str = ""
    Expected: str = ""


class Swarm(Wire):
    NodeID: str = ""
    NodeAddr: str = ""
    LocalNodeState: str = "inactive"
    ControlAvailable: bool = False
    Error: str = ""
    RemoteManagers: list[str] | None = None


class AddressPool(Wire):
    Base: str
    Size: Int


class Info(Wire):
    """``GET /info``. The fields from ``RuntimeReason`` on are Sealane's own."""

    ID: str
    Containers: Int
    ContainersRunning: Int
    ContainersPaused: Int
    ContainersStopped: Int
    Images: Int
    Driver: str
    DriverStatus: list[list[str]]
    Plugins: Plugins
    MemoryLimit: bool
    SwapLimit: bool
    CpuCfsPeriod: bool
    CpuCfsQuota: bool
    CPUShares: bool
    CPUSet: bool
    PidsLimit: bool
    IPv4Forwarding: bool
    BridgeNfIptables: bool
    BridgeNfIp6tables: bool
    Debug: bool
    NFd: Int
    OomKillDisable: bool
    NGoroutines: Int
    SystemTime: str
    LoggingDriver: str
    CgroupDriver: str
    CgroupVersion: str
    NEventsListener: Int
    KernelVersion: str
    OperatingSystem: str
    OSVersion: str
    OSType: str
    Architecture: str
    IndexServerAddress: str
    RegistryConfig: RegistryConfig
    NCPU: Int
    MemTotal: Int
    GenericResources: list[str] | None
    DockerRootDir: str
    HttpProxy: str
    HttpsProxy: str
    NoProxy: str
    Name: str
    Labels: list[str]
    ExperimentalBuild: bool
    ServerVersion: str
    Runtimes: dict[str, Runtime]
    DefaultRuntime: str
    Swarm: Swarm
    LiveRestoreEnabled: bool
    Isolation: str
    InitBinary: str
    ContainerdCommit: Commit
    RuncCommit: Commit
    InitCommit: Commit
    SecurityOptions: list[str]
    DefaultAddressPools: list[AddressPool]
    CDISpecDirs: list[str]
    Warnings: list[str] | None
    RuntimeVersion: str
    RuntimeReason: str
    ConmonVersion: str


class DiskUsage(Wire):
    LayersSize: Int
    Images: list[ImageSummary]
    Containers: list[ContainerSummary]
    Volumes: list[Volume]
    BuildCache: list[str]
