"""What a network holds in the kernel, for people: each object with the command that would show or make it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sealane.network.drivers.registry import endpoint_topology, network_topology
from sealane.network.plan import AddAddress, AddElements, AddLink, AddRoute, Op, SetLink, SetSysctl, plan
from sealane.network.ruleset import TABLE
from sealane.network.spec import EndpointSpec, NetworkSpec
from sealane.network.topology import EMPTY, HOST, Namespace, Topology


@dataclass(frozen=True, slots=True)
class KernelObject:
    """``kind`` is link, address, route, sysctl or element; ``command`` is the ``ip``, ``sysctl`` or ``nft`` command."""

    kind: str
    name: str
    describe: str
    command: str


def describe_network(
    network: NetworkSpec, endpoints: Iterable[tuple[EndpointSpec, Namespace]], table: str = TABLE
) -> tuple[KernelObject, ...]:
    """Everything that *network* and its *endpoints* (each with its sandbox) hold, in the order in which it is made."""
    found = list(_objects(network_topology(network), f"network {network.name}", table))
    for endpoint, sandbox in endpoints:
        found += _objects(endpoint_topology(network, endpoint, sandbox), f"container {endpoint.container_name}", table)
    return tuple(found)


def _objects(topology: Topology, owner: str, table: str) -> Iterator[KernelObject]:
    for op in plan(topology, EMPTY, table):
        yield from _of_op(op, owner, table)


def _of_op(op: Op, owner: str, table: str) -> Iterator[KernelObject]:
    command = op.describe()
    match op:
        case AddLink(link, peer):
            role = f" and its other end {peer.name} in the container" if peer is not None else ""
            yield KernelObject("link", link.name, f"{link.kind.value} of {owner}{role}", command)
        case SetLink(_, after) if command:
            where = "" if after.ns == HOST else " in the container"
            yield KernelObject("link", after.name, f"{after.kind.value} of {owner}{where} is up", command)
        case AddAddress(address):
            yield KernelObject("address", str(address.interface), f"of {owner} on {address.link}", command)
        case AddRoute(route):
            yield KernelObject("route", str(route.dst or "default"), f"of {owner} by {route.link}", command)
        case SetSysctl(setting):
            yield KernelObject("sysctl", setting.key, f"set to {setting.value} for {owner}", command)
        case AddElements(elements):
            for element in elements:
                alone = AddElements((element,), table).describe()
                place = f"{element.set.family.value} {table} {element.set.name}"
                yield KernelObject("element", f"{element.set.name} {{ {element} }}", f"of {owner} in {place}", alone)
        case _:
            return
