"""Networks and endpoints for tests of the pure core, made by the same steps as the engine's, with ids that can be read.

``net("red", 1, ...)`` has the id 01…; ``plug(red, "srv1", 2, ...)`` the second address there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from sealane.network.endpoint import choose_default_routes, settle_endpoint
from sealane.network.ipam import allocate_subnets
from sealane.network.spec import EndpointRequest, EndpointSpec, IpamRequest, NetworkRequest, NetworkSpec
from sealane.network.topology import Namespace
from sealane.network.validate import settle_network, validate_network
from sealane.values import ContainerId, ContainerPort, EndpointId, IPAddress, NetworkId, PublishedPort, Transport

BRIDGE: Final = "com.docker.network.bridge."
ANY4, ANY6 = IPv4Address(0), IPv6Address(0)
SANDBOX: Final = Namespace("/run/sealane/netns/srv")


def net(name: str, number: int = 1, *, driver: str = "bridge", ipv6: bool = False, **fields: Any) -> NetworkSpec:
    """*fields* beginning with a letter of an option's last word are driver options: ``enable_icc="false"``."""
    known = {key: fields.pop(key) for key in ("internal", "ipv4") if key in fields}
    subnets = [f"10.{number}.0.0/24", *([f"fd00:{number}::/64"] if ipv6 else [])]
    request = NetworkRequest(
        name=name,
        driver=driver,
        ipv6=ipv6,
        ipam=tuple(IpamRequest(text) for text in subnets if known.get("ipv4", True) or ":" in text),
        options={key if "." in key or driver == "macvlan" else BRIDGE + key: value for key, value in fields.items()},
        **known,
    )
    validate_network(request)
    pools = allocate_subnets(request, taken=(), host_routes=(), pools=(), host_id="tests")
    return settle_network(request, NetworkId(f"{number:02x}" * 32), "2026-01-01T00:00:00Z", pools)


def plug(
    network: NetworkSpec,
    container: str = "srv1",
    number: int = 2,
    *ports: PublishedPort,
    asked: EndpointRequest | None = None,
    beside: Sequence[EndpointSpec] = (),
) -> EndpointSpec:
    """An endpoint of *container* with the default routes; *beside* are those that it has already."""
    made = settle_endpoint(
        network,
        asked or EndpointRequest(network=network.name),
        identifier=EndpointId(network.id[:2] + f"{number:02x}" * 31),
        container=container_id(container),
        container_name=container,
        names=(container,),
        used_ifnames=[endpoint.ifname for endpoint in beside],
        taken={
            subnet.subnet.network_address + held: "others" for subnet in network.subnets for held in range(1, number)
        },
        entropy=bytes((0, 1, 2, 3, 4, number)),
    )
    return replace(choose_default_routes((made,), {network.id: network})[0], ports=ports)


def container_id(name: str) -> ContainerId:
    return ContainerId(name.encode().hex().ljust(64, "0"))


def publish(
    host_port: int, container_port: int, transport: Transport = Transport.TCP, at: IPAddress = ANY4
) -> PublishedPort:
    return PublishedPort(at, host_port, ContainerPort(container_port, transport))
