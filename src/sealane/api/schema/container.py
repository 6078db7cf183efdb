"""What ``create`` and ``update`` of a container take, and what inspect echoes: Config and HostConfig. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType, field

from sealane.api.schema.base import Int, Set, Wire
from sealane.api.schema.mount import Mount
from sealane.api.schema.network import EndpointSettings

#: ``Cmd`` and ``Entrypoint``: a list, or one text that stands for a list of one.
Words = list[str] | str


class Healthcheck(Wire, omit_defaults=True):
    """Durations are in nanoseconds."""

    Test: list[str] | None = None
    Interval: Int = 0
    Timeout: Int = 0
    StartPeriod: Int = 0
    StartInterval: Int = 0
    Retries: Int = 0


class Config(Wire):
    """What does not depend on the host."""

    Hostname: str = ""
    Domainname: str = ""
    User: str = ""
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ExposedPorts: Set | UnsetType = UNSET
    Tty: bool = False
    OpenStdin: bool = False
    StdinOnce: bool = False
    Env: list[str] | None = None
    Cmd: Words | None = None
    Healthcheck: Healthcheck | UnsetType = UNSET
    ArgsEscaped: bool | UnsetType = UNSET
    Image: str = ""
    Volumes: Set | None = None
    WorkingDir: str = ""
    Entrypoint: Words | None = None
    NetworkDisabled: bool | UnsetType = UNSET
    MacAddress: str | UnsetType = UNSET
    OnBuild: list[str] | None = None
    Labels: dict[str, str] | None = None
    StopSignal: str | UnsetType = UNSET
    StopTimeout: Int | UnsetType = UNSET
    Shell: list[str] | UnsetType = UNSET


class LogConfig(Wire):
    Type: str = ""
    Config: dict[str, str] | None = None


class PortBinding(Wire):
    HostIp: str = ""
    HostPort: str = ""


class RestartPolicy(Wire):
    Name: str = ""
    MaximumRetryCount: Int = 0


class WeightDevice(Wire):
    Path: str = ""
    Weight: Int = 0


class ThrottleDevice(Wire):
    Path: str = ""
    Rate: Int = 0


class DeviceMapping(Wire):
    PathOnHost: str = ""
    PathInContainer: str = ""
    CgroupPermissions: str = ""


class DeviceRequest(Wire):
    Driver: str = ""
    Count: Int = 0
    DeviceIDs: list[str] | None = None
    Capabilities: list[list[str]] | None = None
    Options: dict[str, str] | None = None


class Ulimit(Wire):
    Name: str = ""
    Hard: Int = 0
    Soft: Int = 0


class Resources(Wire):
    """The limits of a container: part of HostConfig, and the body of ``update``."""

    CpuShares: Int = 0
    Memory: Int = 0
    NanoCpus: Int = 0
    CgroupParent: str = ""
    BlkioWeight: Int = 0
    BlkioWeightDevice: list[WeightDevice] | None = None
    BlkioDeviceReadBps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteBps: list[ThrottleDevice] | None = None
    BlkioDeviceReadIOps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteIOps: list[ThrottleDevice] | None = None
    CpuPeriod: Int = 0
    CpuQuota: Int = 0
    CpuRealtimePeriod: Int = 0
    CpuRealtimeRuntime: Int = 0
    CpusetCpus: str = ""
    CpusetMems: str = ""
    Devices: list[DeviceMapping] | None = None
    DeviceCgroupRules: list[str] | None = None
    DeviceRequests: list[DeviceRequest] | None = None
    KernelMemory: Int | UnsetType = UNSET
    KernelMemoryTCP: Int | UnsetType = UNSET
    MemoryReservation: Int = 0
    MemorySwap: Int = 0
    MemorySwappiness: Int | None = None
    OomKillDisable: bool | None = None
    PidsLimit: Int | None = None
    Ulimits: list[Ulimit] | None = None
    CpuCount: Int = 0
    CpuPercent: Int = 0
    IOMaximumIOps: Int = 0
    IOMaximumBandwidth: Int = 0


class HostConfig(Resources):
    """What depends on the host."""

    Binds: list[str] | None = None
    ContainerIDFile: str = ""
    LogConfig: LogConfig = field(default_factory=LogConfig)
    NetworkMode: str = ""
    PortBindings: dict[str, list[PortBinding] | None] | None = None
    RestartPolicy: RestartPolicy = field(default_factory=RestartPolicy)
    AutoRemove: bool = False
    VolumeDriver: str = ""
    VolumesFrom: list[str] | None = None
    ConsoleSize: list[Int] = field(default_factory=lambda: [0, 0])
    Annotations: dict[str, str] | UnsetType = UNSET
    CapAdd: list[str] | None = None
    CapDrop: list[str] | None = None
    CgroupnsMode: str = ""
    Dns: list[str] | None = None
    DnsOptions: list[str] | None = None
    DnsSearch: list[str] | None = None
    ExtraHosts: list[str] | None = None
    GroupAdd: list[str] | None = None
    IpcMode: str = ""
    Cgroup: str = ""
    Links: list[str] | None = None
    OomScoreAdj: Int = 0
    PidMode: str = ""
    Privileged: bool = False
    PublishAllPorts: bool = False
    ReadonlyRootfs: bool = False
    SecurityOpt: list[str] | None = None
    StorageOpt: dict[str, str] | UnsetType = UNSET
    Tmpfs: dict[str, str] | UnsetType = UNSET
    UTSMode: str = ""
    UsernsMode: str = ""
    ShmSize: Int = 0
    Sysctls: dict[str, str] | UnsetType = UNSET
    Runtime: str = ""
    Isolation: str = ""
    Mounts: list[Mount] | UnsetType = UNSET
    MaskedPaths: list[str] | None = None
    ReadonlyPaths: list[str] | None = None
    Init: bool | UnsetType = UNSET


class NetworkingConfig(Wire):
    EndpointsConfig: dict[str, EndpointSettings | None] | None = None


class CreateBody(Config):
    """The body of ``POST /containers/create``: Config, with the other two beside its fields."""

    HostConfig: HostConfig | None = None
    NetworkingConfig: NetworkingConfig | None = None


class UpdateBody(Resources):
    """The body of ``POST /containers/{id}/update``."""

    RestartPolicy: RestartPolicy | None = None


class CreateAnswer(Wire):
    Id: str
    Warnings: list[str] = field(default_factory=list)


class UpdateAnswer(Wire):
    Warnings: list[str] | None = None


class Asked(Wire):
    """What the record of a container keeps of its request, so that inspect can give it back."""

    Config: Config = field(default_factory=Config)
    HostConfig: HostConfig = field(default_factory=HostConfig)


CONFIG_FIELDS: Final = Config.__struct_fields__
