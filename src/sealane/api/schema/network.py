"""Networks and attachments to them, in both directions. Pure."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from sealane.api.schema.base import Int, Wire


class EndpointIPAMConfig(Wire, omit_defaults=True):
    IPv4Address: str = ""
    IPv6Address: str = ""
    LinkLocalIPs: list[str] | None = None


class EndpointSettings(Wire):
    """One attachment of a container: what was asked, and once it runs what it became."""

    IPAMConfig: EndpointIPAMConfig | None = None
    Links: list[str] | None = None
    Aliases: list[str] | None = None
    MacAddress: str = ""
    NetworkID: str = ""
    EndpointID: str = ""
    Gateway: str = ""
    IPAddress: str = ""
    IPPrefixLen: Int = 0
    IPv6Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: Int = 0
    DriverOpts: dict[str, str] | None = None
    GwPriority: Int = 0
    DNSNames: list[str] | None = None


class IPAMConfig(Wire, omit_defaults=True):
    Subnet: str = ""
    IPRange: str = ""
    Gateway: str = ""
    AuxiliaryAddresses: dict[str, str] | None = None


class IPAM(Wire):
    Driver: str = ""
    Options: dict[str, str] | None = None
    Config: list[IPAMConfig] | None = None


class ConfigReference(Wire):
    Network: str = ""


class NetworkCreate(Wire):
    """The body of ``POST /networks/create``."""

    Name: str = ""
    Driver: str = ""
    Scope: str = ""
    EnableIPv4: bool | None = None
    EnableIPv6: bool | None = None
    IPAM: IPAM | None = None
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    ConfigOnly: bool = False
    ConfigFrom: ConfigReference | None = None
    Options: dict[str, str] | None = None
    Labels: dict[str, str] | None = None


class NetworkCreated(Wire):
    Id: str
    Warning: str = ""


class NetworkConnect(Wire):
    Container: str = ""
    EndpointConfig: EndpointSettings | None = None


class NetworkDisconnect(Wire):
    Container: str = ""
    Force: bool = False


class NetworkContainer(Wire):
    """A running container on a network."""

    Name: str = ""
    EndpointID: str = ""
    MacAddress: str = ""
    IPv4Address: str = ""
    IPv6Address: str = ""


class SubnetStatus(Wire):
    IPsInUse: Int = 0
    DynamicIPsAvailable: Int = 0


class IPAMStatus(Wire):
    Subnets: dict[str, SubnetStatus] = field(default_factory=dict)


class NetworkStatus(Wire):
    IPAM: IPAMStatus = field(default_factory=IPAMStatus)


class Network(Wire):
    """A network as list and inspect show it."""

    Name: str
    Id: str
    Created: str
    Scope: str = "local"
    Driver: str = "bridge"
    EnableIPv4: bool | UnsetType = True
    EnableIPv6: bool = False
    IPAM: IPAM = field(default_factory=IPAM)
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    ConfigFrom: ConfigReference = field(default_factory=ConfigReference)
    ConfigOnly: bool = False
    Containers: dict[str, NetworkContainer] = field(default_factory=dict)
    Options: dict[str, str] = field(default_factory=dict)
    Labels: dict[str, str] = field(default_factory=dict)
    Status: NetworkStatus | UnsetType = UNSET


class NetworksPruned(Wire):
    NetworksDeleted: list[str] | None = None


class KernelObject(Wire):
    """One thing in the kernel that belongs to a network (Sealane's own routes)."""

    Kind: str
    Name: str
    Describe: str
    Command: str


class KernelObjects(Wire):
    Objects: list[KernelObject]
