"""The default bridge keeps its subnet, but not against somebody who has taken it while the bridge was away."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from support import running
from support.engine import Engine


def subnet(engine: Engine) -> str:
    return str(engine.http("GET", "/networks/bridge").json["IPAM"]["Config"][0]["Subnet"])


def test_a_subnet_that_was_taken_meanwhile_is_left_to_its_new_owner(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    first = subnet(engine)
    engine.stop()
    engine.start()
    assert subnet(engine) == first
    engine.stop()
    running.run(["ip", "link", "del", engine.name])  # as a reboot does
    taken = f"{next(ip_network(first).hosts())}/16"
    thief = f"t{engine.name}"[:15]
    running.run(["ip", "link", "add", thief, "type", "bridge"])
    try:
        running.run(["ip", "addr", "add", taken, "dev", thief])
        running.run(["ip", "link", "set", thief, "up"])
        engine.start()
        assert not ip_network(subnet(engine)).overlaps(ip_network(first))
    finally:
        running.run(["ip", "link", "del", thief])
