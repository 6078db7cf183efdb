"""The host driver: containers share the host's namespace; nothing is made in the kernel."""

from __future__ import annotations

from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.network.topology import EMPTY, Namespace, Topology


def network_topology(network: NetworkSpec) -> Topology:
    return EMPTY


def endpoint_topology(network: NetworkSpec, endpoint: EndpointSpec, sandbox: Namespace) -> Topology:
    return EMPTY
