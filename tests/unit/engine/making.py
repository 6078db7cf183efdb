"""Small values for the engine's unit tests: what a test does not name has a harmless default."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_network
from pathlib import Path
from typing import Any

from sealane.engine.container import Container
from sealane.engine.context import Context, Layout, Settings
from sealane.engine.model import ContainerRequest, ContainerState, Status
from sealane.engine.records import ContainerLive, ContainerRecord, MountRecord, ProcessRecord
from sealane.network.spec import BridgeOptions, EndpointSpec, NetworkSpec, Subnet
from sealane.values import ContainerId, EndpointId, IfName, ImageId, MacAddress, NetworkId

SECOND = 1_000_000_000


class StoppedClock:
    """Stands still until it is told to go on."""

    def __init__(self, now_ns: int = 1_700_000_000 * SECOND) -> None:
        self.time_ns = now_ns

    def now_ns(self) -> int:
        return self.time_ns


def identifier(number: int) -> str:
    """64 hex digits; the first twelve say the number."""
    return f"{number:012x}{number:052x}"


def context(root: Path = Path("/nowhere"), clock: StoppedClock | None = None, **settings: Any) -> Context:
    numbers = itertools.count(0xE0000)
    return Context(
        Layout(root / "root", root / "run"),
        Settings(**settings),
        clock or StoppedClock(),
        lambda: identifier(next(numbers)),
        "host",
    )


def process(*argv: str, **fields: Any) -> ProcessRecord:
    given: dict[str, Any] = {
        "path": (argv or ("sleep",))[0],
        "args": argv[1:],
        "entrypoint": None,
        "command": argv or ("sleep",),
        "env": (),
        "working_dir": "",
        "user": "",
        "labels": {},
        "exposed_ports": (),
        "hostname": "box",
        "stop_signal": "",
    }
    return ProcessRecord(**{**given, **fields})


def container(
    name: str = "box",
    number: int = 1,
    *,
    status: Status = Status.CREATED,
    argv: Sequence[str] = ("sleep",),
    mounts: tuple[MountRecord, ...] = (),
    pid: int = 0,
    process_fields: dict[str, Any] | None = None,
    **request: Any,
) -> Container:
    record = ContainerRecord(
        id=ContainerId(identifier(number)),
        name=name,
        created_ns=1,
        request=ContainerRequest(image="bb", **request),
        image_id=ImageId("sha256:" + identifier(7)),
        image_ref="bb",
        process=process(*argv, **(process_fields or {})),
        mounts=mounts,
    )
    return Container(record, ContainerLive(state=ContainerState(status=status, pid=pid)))


def network(name: str = "red", number: int = 100, subnet: str = "10.1.0.0/24", **fields: Any) -> NetworkSpec:
    pool = ip_network(subnet)
    given: dict[str, Any] = {
        "id": NetworkId(identifier(number)),
        "name": name,
        "created": "2026-01-01T00:00:00.000000000Z",
        "driver": "bridge",
        "subnets": (Subnet(pool, pool[1]),),
        "bridge": BridgeOptions(bridge_name=IfName(f"br-{number}")),
    }
    return NetworkSpec(**{**given, **fields})


def endpoint(number: int = 1, address: str = "10.1.0.2/24", address6: str = "", **fields: Any) -> EndpointSpec:
    given: dict[str, Any] = {
        "id": EndpointId(identifier(0xEE00 + number)),
        "network": NetworkId(identifier(100)),
        "container": ContainerId(identifier(number)),
        "container_name": "box",
        "ifname": IfName("eth0"),
        "host_ifname": IfName(f"sl{number}"),
        "altname": "box.red",
        "mac": MacAddress("02:42:0a:01:00:02"),
        "ipv4": IPv4Interface(address) if address else None,
        "ipv6": IPv6Interface(address6) if address6 else None,
        "gateway_ipv4": IPv4Address("10.1.0.1") if address else None,
        "gateway_ipv6": None,
        "default_route_ipv4": bool(address),
    }
    return EndpointSpec(**{**given, **fields})
