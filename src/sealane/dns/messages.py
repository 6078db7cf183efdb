"""What engine and resolver say to each other: values as JSON objects and back. Pure.

One line per message. The engine sends ``{"seq": n, "do": verb, ...}``; the resolver answers every one, in order, with
``{"seq": n}`` (plus what was asked for) once its answers reflect the change, or ``{"seq": n, "error": text}``.

    hello           -> pid, protocol
    put_network     network, name, subnets           drop_network    network
    put_endpoint    network, endpoint, names…        drop_endpoint   network, endpoint
    open_container  view, fds=3 (UDP, TCP, namespace, by SCM_RIGHTS)
    update_container  view                           close_container container
    held            -> networks, containers          shutdown        (tests and uninstalling)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

from sealane.dns.answer import ContainerView, EndpointNames, Link, NetworkZone, Upstream
from sealane.values import ContainerId, EndpointId, NetworkId

PROTOCOL: Final = 1
FDS_OF_OPEN: Final = 3
EXIT_HELD: Final = 3  # sealane-dns: another process serves the same socket

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldContainer:
    """One container that the resolver serves. ``cookie`` is that of the network namespace its sockets are in."""

    view: ContainerView
    cookie: int


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that a resolver process holds at one moment."""

    networks: Mapping[NetworkId, NetworkZone]
    containers: Mapping[ContainerId, HeldContainer]


def names_to_json(names: EndpointNames) -> Json:
    """Inverse of ``names_from_json``."""
    return {
        "container": names.container,
        "names": list(names.names),
        "ipv4": [str(address) for address in names.ipv4],
        "ipv6": [str(address) for address in names.ipv6],
    }


def names_from_json(data: Json) -> EndpointNames:
    """Raises KeyError, TypeError or ValueError when *data* is not what ``names_to_json`` makes."""
    return EndpointNames(
        ContainerId(data["container"]),
        tuple(data["names"]),
        tuple(IPv4Address(address) for address in data["ipv4"]),
        tuple(IPv6Address(address) for address in data["ipv6"]),
    )


def view_to_json(view: ContainerView) -> Json:
    """Inverse of ``view_from_json``."""
    upstreams = None if view.upstreams is None else [[str(each.address), each.port] for each in view.upstreams]
    return {
        "container": view.container,
        "networks": list(view.networks),
        "links": [list(link) for link in view.links],
        "external": view.external,
        "upstreams": upstreams,
        "ndots": view.ndots,
    }


def view_from_json(data: Json) -> ContainerView:
    """Raises KeyError, TypeError or ValueError when *data* is not what ``view_to_json`` makes."""
    upstreams = data["upstreams"]
    return ContainerView(
        container=ContainerId(data["container"]),
        networks=tuple(NetworkId(network) for network in data["networks"]),
        links=tuple(Link(alias, target, NetworkId(network)) for alias, target, network in data["links"]),
        external=bool(data["external"]),
        upstreams=None if upstreams is None else tuple(Upstream(ip_address(host), port) for host, port in upstreams),
        ndots=data["ndots"],
    )


def zone_to_json(zone: NetworkZone) -> Json:
    """Inverse of ``zone_from_json``."""
    return {
        "network": zone.network,
        "name": zone.name,
        "subnets": [str(subnet) for subnet in zone.subnets],
        "records": {endpoint: names_to_json(names) for endpoint, names in zone.records.items()},
    }


def zone_from_json(data: Json) -> NetworkZone:
    """Raises KeyError, TypeError or ValueError when *data* is not what ``zone_to_json`` makes."""
    return NetworkZone(
        NetworkId(data["network"]),
        data["name"],
        {EndpointId(endpoint): names_from_json(names) for endpoint, names in data.get("records", {}).items()},
        tuple(ip_network(subnet) for subnet in data["subnets"]),
    )


def held_to_json(zones: Mapping[NetworkId, NetworkZone], containers: Mapping[ContainerId, HeldContainer]) -> Json:
    """The answer to ``held``."""
    return {
        "networks": [zone_to_json(zone) for zone in zones.values()],
        "containers": [{"view": view_to_json(each.view), "cookie": each.cookie} for each in containers.values()],
    }


def held_from_json(data: Json) -> Held:
    """Inverse of ``held_to_json``."""
    zones = [zone_from_json(each) for each in data["networks"]]
    containers = [HeldContainer(view_from_json(each["view"]), each["cookie"]) for each in data["containers"]]
    return Held({zone.network: zone for zone in zones}, {each.view.container: each for each in containers})
