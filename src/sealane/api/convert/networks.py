"""Networks in both directions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from sealane.api.convert.times import NEVER
from sealane.api.schema.network import (
    IPAM,
    ConfigReference,
    IPAMConfig,
    IPAMStatus,
    KernelObject,
    KernelObjects,
    Network,
    NetworkContainer,
    NetworkCreate,
    NetworkStatus,
    SubnetStatus,
)
from sealane.api.versions import ApiVersion
from sealane.engine.model import KernelObject as EngineObject
from sealane.engine.model import NetworkView
from sealane.errors import Forbidden, InvalidArgument
from sealane.network.spec import EndpointSpec, IpamRequest, NetworkRequest, NetworkSpec, Subnet

_BRIEF_LIST: Final = ApiVersion(1, 28)
_IPV4_SHOWN: Final = ApiVersion(1, 48)


def network_request(body: NetworkCreate) -> NetworkRequest:
    """``POST /networks/create``. Raises InvalidArgument for a name that is missing, Forbidden for swarm's."""
    if not body.Name.strip():
        raise InvalidArgument("invalid name: name is empty")
    if body.Ingress:
        raise Forbidden("Ingress network can only be global scope network")
    ipam = body.IPAM or IPAM()
    return NetworkRequest(
        name=body.Name,
        driver=body.Driver or "bridge",
        scope=body.Scope,
        internal=body.Internal,
        attachable=body.Attachable,
        ingress=body.Ingress,
        config_only=body.ConfigOnly,
        config_from=body.ConfigFrom.Network if body.ConfigFrom else "",
        ipv4=body.EnableIPv4,
        ipv6=body.EnableIPv6,
        ipam_driver=ipam.Driver or "default",
        ipam_options=dict(ipam.Options or {}),
        ipam=tuple(_pool_request(pool) for pool in ipam.Config or ()),
        options=dict(body.Options or {}),
        labels=dict(body.Labels or {}),
    )


def _pool_request(pool: IPAMConfig) -> IpamRequest:
    aux = tuple((pool.AuxiliaryAddresses or {}).items())
    return IpamRequest(subnet=pool.Subnet, ip_range=pool.IPRange, gateway=pool.Gateway, aux=aux)


def listed(view: NetworkView, version: ApiVersion) -> Network:
    """One entry of ``GET /networks``, which shows no containers since API 1.28."""
    return inspected(view, version) if version < _BRIEF_LIST else _network(view.spec, version)


def inspected(view: NetworkView, version: ApiVersion, *, verbose: bool = False) -> Network:
    """``GET /networks/{id}``. Numbers of addresses come with *verbose* (in Docker from API 1.52 on, always)."""
    network = _network(view.spec, version)
    network.Containers = {endpoint.container: _container(endpoint) for endpoint in view.endpoints}
    if verbose and view.ips_in_use:
        subnets = {subnet: SubnetStatus(used, free) for subnet, (used, free) in view.ips_in_use.items()}
        network.Status = NetworkStatus(IPAMStatus(subnets))
    return network


def _network(spec: NetworkSpec, version: ApiVersion) -> Network:
    bare = spec.driver in ("host", "null", "none")
    return Network(
        Name=spec.name,
        Id=spec.id,
        Created=spec.created or NEVER,
        Driver="null" if spec.driver == "none" else spec.driver,
        EnableIPv4=UNSET if version < _IPV4_SHOWN else spec.ipv4,
        EnableIPv6=spec.ipv6,
        IPAM=IPAM(
            Driver=spec.ipam_driver,
            Options=dict(spec.ipam_options) or (None if spec.predefined else {}),
            Config=None if bare else [_pool(subnet) for subnet in spec.subnets],
        ),
        Internal=spec.internal,
        Attachable=spec.attachable,
        ConfigFrom=ConfigReference(spec.config_from),
        ConfigOnly=spec.config_only,
        Options=dict(spec.options),
        Labels=dict(spec.labels),
    )


def _pool(subnet: Subnet) -> IPAMConfig:
    return IPAMConfig(
        Subnet=str(subnet.subnet),
        IPRange=str(subnet.ip_range or ""),
        Gateway=str(subnet.gateway or ""),
        AuxiliaryAddresses={name: str(address) for name, address in subnet.aux} or None,
    )


def _container(endpoint: EndpointSpec) -> NetworkContainer:
    return NetworkContainer(
        Name=endpoint.container_name,
        EndpointID=endpoint.id,
        MacAddress=str(endpoint.mac),
        IPv4Address=str(endpoint.ipv4 or ""),
        IPv6Address=str(endpoint.ipv6 or ""),
    )


def kernel_objects(items: Iterable[EngineObject]) -> KernelObjects:
    """What a network holds, or would hold, in the kernel."""
    return KernelObjects([KernelObject(item.kind, item.name, item.describe, item.command) for item in items])
