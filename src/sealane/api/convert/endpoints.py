"""Attachments to networks as a request asks for them. Pure."""

from __future__ import annotations

from dataclasses import replace

from sealane.api.schema.container import CreateBody, HostConfig
from sealane.api.schema.network import EndpointSettings
from sealane.errors import InvalidArgument
from sealane.network.spec import EndpointRequest
from sealane.values import MacAddress


def endpoint_request(network: str, asked: EndpointSettings | None) -> EndpointRequest:
    """One attachment to *network*. Addresses stay text: only the engine knows the network's subnets."""
    if asked is None:
        return EndpointRequest(network=network)
    if asked.MacAddress:
        try:
            MacAddress(asked.MacAddress)
        except InvalidArgument:
            raise InvalidArgument(
                f"invalid config for network {network}: invalid MAC address {asked.MacAddress}"
            ) from None
    ipam = asked.IPAMConfig
    return EndpointRequest(
        network=network,
        aliases=tuple(asked.Aliases or ()),
        links=tuple(asked.Links or ()),
        ipv4=ipam.IPv4Address if ipam else "",
        ipv6=ipam.IPv6Address if ipam else "",
        link_local=tuple(ipam.LinkLocalIPs or ()) if ipam else (),
        mac=asked.MacAddress,
        driver_opts=dict(asked.DriverOpts or {}),
        gw_priority=asked.GwPriority,
    )


def network_mode(host: HostConfig) -> str:
    """``HostConfig.NetworkMode`` with the default spelled out. Raises InvalidArgument for ``container:`` alone."""
    mode = host.NetworkMode
    if mode in ("", "default"):
        return "bridge"
    if mode.startswith("container") and mode.partition(":")[0] == "container" and not mode.partition(":")[2]:
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    return mode


def endpoint_requests(body: CreateBody, mode: str) -> tuple[EndpointRequest, ...]:
    """The attachments of ``EndpointsConfig`` in their order, the one that *mode* names first.

    A network that only *mode* names is added by the engine, which also knows networks by their ids.
    """
    config = body.NetworkingConfig.EndpointsConfig if body.NetworkingConfig else None
    wanted: list[EndpointRequest] = []
    for name, asked in (config or {}).items():
        if asked is None:
            raise InvalidArgument(f"invalid config for network {name}: EndpointsConfig is nil")
        if not name:
            raise InvalidArgument("invalid config for network : the name of the network is missing")
        wanted.append(endpoint_request("bridge" if name == "default" else name, asked))
    wanted.sort(key=lambda endpoint: endpoint.network != mode)
    return tuple(wanted)


def effective_mode(mode: str, endpoints: tuple[EndpointRequest, ...]) -> str:
    """With mode ``bridge`` the endpoints alone decide: Docker does not attach the default bridge beside them."""
    if mode == "bridge" and endpoints and endpoints[0].network != "bridge":
        return endpoints[0].network
    return mode


def with_mac(endpoints: tuple[EndpointRequest, ...], mode: str, mac: str) -> tuple[EndpointRequest, ...]:
    """The container-wide MAC address of old clients, given to the attachment that *mode* names."""
    if not mac:
        return endpoints
    checked = endpoint_request(mode, EndpointSettings(MacAddress=mac))
    if not endpoints:
        return (checked,)
    first = endpoints[0]
    if first.mac and first.mac.lower() != mac.lower():
        raise InvalidArgument(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network,"
            " or be left empty"
        )
    return (replace(first, mac=mac), *endpoints[1:])
