"""Who holds which address of which network, now and while stopped.

A static address is held from the moment it is asked for until the container is removed or disconnected, whether or not
the container runs, so that no other container is given it in between. Only one that asks for just this address may
have it while its holder does not run: Compose starts the new container before it removes the old one. A dynamic address
is held while the container runs. Lookups are by network; nothing here touches the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sealane.network.spec import NetworkSpec
from sealane.values import ContainerId, IPAddress, NetworkId


class AddressBook:
    """Addresses of containers, by network. *name_of* gives a container's present name for error texts, *runs* says
    whether it runs now.
    """

    def __init__(self, name_of: Callable[[ContainerId], str], runs: Callable[[ContainerId], bool]) -> None:
        self._name_of = name_of
        self._runs = runs
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

    def free_for(self, network: NetworkId, address: IPAddress, asking: ContainerId) -> bool:
        """Whether *asking* may have an address that it asks for by name."""
        holder = self.holder(network, address)
        return holder is None or holder == asking or not self._runs(holder)

    def taken(
        self, spec: NetworkSpec, asking: ContainerId, wanted: Collection[IPAddress] = ()
    ) -> Mapping[IPAddress, str]:
        """Every address of *spec* that *asking* cannot have, with who holds it, in words for a person.

        *wanted* are those that it asks for by name.
        """
        held = self._held.get(spec.id, {})
        taken = {
            address: f"container {self._name_of(owner)}"
            for address, owner in held.items()
            if owner != asking and (address not in wanted or self._runs(owner))
        }
        for subnet in spec.subnets:
            if subnet.gateway is not None:
                taken[subnet.gateway] = f"the gateway of network {spec.name}"
            for name, address in subnet.aux:
                taken[address] = f"the auxiliary address {name} of network {spec.name}"
        return taken

    def in_use(self, spec: NetworkSpec) -> Mapping[IPAddress, ContainerId]:
        return self._held.get(spec.id, {})
