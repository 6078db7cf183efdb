"""Who reaches whom among real containers is what the oracle says from the specs that the engine keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from lab.marks import ours
from sealane.engine.records import ContainerLive
from sealane.network.reach import Place as Asker
from sealane.network.reach import Source, World, reach
from sealane.network.spec import NetworkSpec
from sealane.store.codec import decode
from sealane.values import ContainerId, ContainerPort, IPAddress
from support.drawing import Box, Lab, Place
from support.registry import free_port

_SILENCE_S = 1.0


@ours
def test_the_oracle_is_right(lab: Lab) -> None:
    lab.network("red")
    lab.network("blue", "--ipv6")
    lab.network("loners", "-o", "com.docker.network.bridge.enable_icc=false")
    lab.network("closed", "--internal", "--ipv6")
    lab.network("open", "-o", "com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected")
    lab.network("routed", "-o", "com.docker.network.bridge.gateway_mode_ipv4=routed")
    ports = {name: free_port() for name in ("red1", "blue1", "loner1", "closed1", "open1", "routed1", "home")}

    def published(name: str, host: str = "") -> tuple[str, ...]:
        return ("-p", f"{host}{ports[name]}:80")

    boxes = [
        lab.container("red1", "red", options=published("red1")),
        lab.container("red2", "red"),
        lab.container("blue1", "blue", options=published("blue1")),
        lab.container("blue2", "blue", "red"),
        lab.container("loner1", "loners", options=published("loner1")),
        lab.container("loner2", "loners"),
        lab.container("closed1", "closed", options=published("closed1")),
        lab.container("closed2", "closed"),
        lab.container("open1", "open", options=published("open1")),
        lab.container("routed1", "routed", options=published("routed1")),
        lab.container("home", "bridge", options=published("home", "127.0.0.1:")),
    ]
    for box in boxes:
        for port in (80, 81):
            box.serve(port, box.id)
    outsider = lab.outsider()
    world = _world(lab, (lab.host.addresses()[0], outsider.neighbour))

    askers: list[tuple[Source, Place]] = [(ContainerId(box.id), box) for box in boxes]
    askers += [(Asker.HOST, lab.host), (Asker.REMOTE, outsider)]
    questions = [
        (source, place, address, port)
        for source, place in askers
        for address, port in _targets(world, list(ports.values()))
        if not address.is_loopback or place is lab.host
    ]
    with ThreadPoolExecutor(200) as pool:
        seen = list(pool.map(lambda question: _who_answers(*question[1:]), questions))

    wrong = []
    for (source, place, address, port), first in zip(questions, seen, strict=True):
        said = reach(world, source, address, ContainerPort(port))
        expected = said.container if said.allowed else ""
        answered = _who_answers(place, address, port, 10) if expected and not first else first
        if answered != expected:
            who = place.name if isinstance(place, Box) else type(place).__name__
            wrong.append(f"{who} → {address}:{port}: answered {answered[:12]!r}; oracle: {said}")
    assert wrong == [], "\n".join(wrong)
    assert 0.1 < sum(map(bool, seen)) / len(seen) < 0.9, "a matrix of yes and no"


def _world(lab: Lab, host_addresses: tuple[IPAddress, ...]) -> World:
    """What the engine has on record."""
    path = lab.engine.root / "state.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        bodies = database.execute("SELECT body FROM objects WHERE kind = 'network'").fetchall()
        networks = [decode(body, NetworkSpec) for (body,) in bodies]
        lives = [decode(body, ContainerLive) for (body,) in database.execute("SELECT body FROM states").fetchall()]
    endpoints = [endpoint for live in lives for endpoint in live.endpoints]
    return World({network.id: network for network in networks}, endpoints, host_addresses)


def _targets(world: World, published: list[int]) -> Iterator[tuple[IPAddress, int]]:
    """Every address of a container at its two ports, every address of the host at every published one."""
    for endpoint in world.endpoints:
        for own in (endpoint.ipv4, endpoint.ipv6):
            if own is not None:
                yield from ((own.ip, 80), (own.ip, 81))
    gateways = [subnet.gateway for network in world.networks.values() for subnet in network.subnets]
    loopback = [type(address)("127.0.0.1") for address in world.host_addresses[:1]]
    for address in (*world.host_addresses, *loopback, *gateways):
        if address is not None and address.version == 4:
            yield from ((address, port) for port in published)


def _who_answers(place: Place, address: IPAddress, port: int, timeout_s: float = _SILENCE_S) -> str:
    """The id that the server at *address* says, "" when nobody answers."""
    try:
        return place.ask(address, port, timeout_s)
    except OSError:
        return ""
