"""Who holds which address of which network, now and while stopped.

A static address is held from the moment it is asked for until the container is removed or disconnected, whether or not
the container runs, so that no other container can be given it in between. A dynamic one is held while the container
runs. Lookups are by network; nothing here touches the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sealane.network.spec import NetworkSpec
from sealane.values import ContainerId, IPAddress, NetworkId


class AddressBook:
    """Addresses of containers, by network. *name_of* gives a container's present name for error texts."""

    def __init__(self, name_of: Callable[[ContainerId], str]) -> None:
        self._name_of = name_of
        self._held: dict[NetworkId, dict[IPAddress, ContainerId]] = {}

    def hold(self, network: NetworkId, address: IPAddress, container: ContainerId) -> None:
        self._held.setdefault(network, {})[address] = container

    def release(self, network: NetworkId, address: IPAddress, container: ContainerId) -> None:
        """Give an address up; nothing happens when another container holds it."""
        held = self._held.get(network, {})
        if held.get(address) == container:
            del held[address]

    def forget_network(self, network: NetworkId) -> None:
        self._held.pop(network, None)

    def holder(self, network: NetworkId, address: IPAddress) -> ContainerId | None:
        return self._held.get(network, {}).get(address)

    def taken(self, spec: NetworkSpec, asking: ContainerId) -> Mapping[IPAddress, str]:
        """Every address of *spec* that *asking* cannot have, with who holds it, in words for a person."""
        held = self._held.get(spec.id, {})
        taken = {address: f"container {self._name_of(owner)}" for address, owner in held.items() if owner != asking}
        for subnet in spec.subnets:
            if subnet.gateway is not None:
                taken[subnet.gateway] = f"the gateway of network {spec.name}"
            for name, address in subnet.aux:
                taken[address] = f"the auxiliary address {name} of network {spec.name}"
        return taken

    def in_use(self, spec: NetworkSpec) -> Mapping[IPAddress, ContainerId]:
        return self._held.get(spec.id, {})
