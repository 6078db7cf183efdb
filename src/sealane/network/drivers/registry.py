"""Which driver serves which network. A dict is enough for four drivers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from sealane.network.drivers import bridge, host, macvlan, none
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.network.topology import EMPTY, Namespace, Topology


class Driver(Protocol):
    """What a driver answers; modules play this part."""

    def network_topology(self, network: NetworkSpec) -> Topology: ...

    def endpoint_topology(self, network: NetworkSpec, endpoint: EndpointSpec, sandbox: Namespace) -> Topology: ...


DRIVERS: Final[Mapping[str, Driver]] = {"bridge": bridge, "host": host, "null": none, "macvlan": macvlan}


def network_topology(network: NetworkSpec) -> Topology:
    """What *network* itself needs in the kernel; nothing for a configuration-only one."""
    return EMPTY if network.config_only else DRIVERS[network.driver].network_topology(network)


def endpoint_topology(network: NetworkSpec, endpoint: EndpointSpec, sandbox: Namespace) -> Topology:
    """What *endpoint* needs in the kernel, its container's namespace being *sandbox*."""
    return DRIVERS[network.driver].endpoint_topology(network, endpoint, sandbox)
