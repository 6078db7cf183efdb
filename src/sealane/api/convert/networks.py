"""Networks in both directions. Pure."""

from __future__ import annotations

from sealane.api.convert.times import NEVER
from sealane.api.schema.network import (
    IPAM,
    ConfigReference,
    IPAMConfig,
    IPAMStatus,
    KernelObject,
    Network,
    NetworkContainer,
    NetworkCreate,
    NetworkStatus,
    SubnetStatus,
)
from sealane.engine.model import KernelObject as EngineObject
from sealane.engine.model import NetworkView
from sealane.errors import InvalidArgument
from sealane.network.spec import EndpointSpec, IpamRequest, NetworkRequest, NetworkSpec, Subnet


def network_request(body: NetworkCreate) -> NetworkRequest:
    """``POST /networks/create``. Raises InvalidArgument for a name that is missing."""
    if not body.Name.strip():
        raise InvalidArgument("invalid name: name is empty")
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


def listed(view: NetworkView) -> Network:
    """One entry of ``GET /networks``, which shows no containers."""
    return _network(view.spec)


def inspected(view: NetworkView) -> Network:
    """``GET /networks/{id}``."""
    network = _network(view.spec)
    network.Containers = {endpoint.container: _container(endpoint) for endpoint in view.endpoints}
    if view.ips_in_use:
        subnets = {subnet: SubnetStatus(used, free) for subnet, (used, free) in view.ips_in_use.items()}
        network.Status = NetworkStatus(IPAMStatus(subnets))
    return network


def _network(spec: NetworkSpec) -> Network:
    bare = spec.driver in ("host", "null", "none")
    return Network(
        Name=spec.name,
        Id=spec.id,
        Created=spec.created or NEVER,
        Driver="null" if spec.driver == "none" else spec.driver,
        EnableIPv4=spec.ipv4,
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


def kernel_object(item: EngineObject) -> KernelObject:
    return KernelObject(item.kind, item.name, item.describe, item.command)
