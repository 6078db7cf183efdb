"""The resolver outlives the engine; the engine outlives the resolver."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from kernel.dns.lab import NET, Lab
from sealane.dns.publisher import Publisher
from sealane.network.names import ContainerView, EndpointNames, NetworkZone
from sealane.values import ContainerId, EndpointId

ENGINE = """
import asyncio, sys
from ipaddress import IPv4Address
from pathlib import Path
from sealane.dns.publisher import Publisher, ResolverProcess
from sealane.network.names import ContainerView, EndpointNames

async def main(folder, ns):
    publisher = Publisher(ResolverProcess(socket=folder / "dns.sock", log=folder / "dns.log"))
    await publisher.connect()
    await publisher.put_network("n" * 64, "my-network")
    await publisher.put_endpoint("n" * 64, "e1", EndpointNames("srv1", ("srv1",), (IPv4Address("172.18.0.2"),)))
    await publisher.open_container(ContainerView(container="srv1", networks=("n" * 64,)), ns)
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


async def until(true: object) -> None:
    deadline = time.monotonic() + 10
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.01)


def udp_port(ns: Path) -> str:
    """The port of the resolver's UDP socket in *ns*, from the table that leads to it."""
    listed = subprocess.run(
        ["nsenter", f"--net={ns}", "nft", "list", "table", "ip", "sealane-dns"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split("udp dport set ")[1].split()[0]


def test_names_resolve_while_the_engine_is_dead_and_its_successor_goes_on(lab: Lab, eyes: ContainerView) -> None:
    ns = lab.namespace("c1")
    with subprocess.Popen([sys.executable, "-c", ENGINE, lab.folder, ns], stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"ready\n"
        engine.kill()
    assert engine.returncode == -signal.SIGKILL
    assert len(lab.ask(ns, "srv1").answers) == 1

    port = udp_port(ns)
    successor = Publisher(lab.process)
    lab.run(successor.connect())
    held = lab.run(successor.held())
    record = EndpointNames(ContainerId("srv1"), ("srv1",), (IPv4Address("172.18.0.2"),))
    assert held.networks == {NET: NetworkZone(NET, "my-network", {EndpointId("e1"): record})}
    assert held.containers[eyes.container].view == eyes
    lab.run(successor.put_network(NET, "my-network"))
    lab.run(successor.put_endpoint(NET, EndpointId("e2"), EndpointNames(ContainerId("b"), ("srv2",))))
    lab.run(successor.open_container(eyes, ns))
    assert udp_port(ns) == port
    assert len(lab.ask(ns, "srv1").answers) == 1
    lab.run(successor.prune())
    assert list(lab.run(successor.held()).networks[NET].records) == [EndpointId("e2")]
    lab.run(successor.close())
    lab.run(lab.publisher.prune())  # this one has never heard of any container
    assert lab.run(lab.publisher.held()).containers == {}


def test_a_new_namespace_of_the_same_container_gets_new_sockets(lab: Lab, eyes: ContainerView) -> None:
    lab.put("srv1", ["srv1"], "172.18.0.2")
    lab.open(eyes)
    again = lab.namespace("again")
    lab.run(lab.publisher.open_container(eyes, again))
    assert len(lab.ask(again, "srv1").answers) == 1


def test_a_killed_resolver_is_replaced_with_all_it_knew(lab: Lab, eyes: ContainerView) -> None:
    lost: list[int] = []
    publisher = Publisher(lab.process, lambda: lost.append(1))
    lab.run(publisher.connect())
    lab.run(publisher.put_network(NET, "my-network", (IPv4Network("172.18.0.0/16"),)))
    record = EndpointNames(ContainerId("srv1"), ("srv1",), (IPv4Address("172.18.0.2"),))
    lab.run(publisher.put_endpoint(NET, EndpointId("e1"), record))
    ns, other = lab.namespace("c1"), lab.namespace("c2")
    lab.run(publisher.open_container(eyes, ns))
    lab.run(publisher.open_container(ContainerView(container=ContainerId("b"), networks=(NET,)), other))
    before = lab.run(publisher.held())

    killed = lab.pid()
    os.kill(killed, signal.SIGKILL)
    lab.run(until(lambda: lab.pid() not in (0, killed) and lost))
    lab.run(publisher.connect())
    assert lab.run(publisher.held()) == before
    for each in (ns, other):
        assert len(lab.ask(each, "srv1").answers) == 1
    lab.run(publisher.close())


def test_a_change_in_the_moment_of_death_is_not_lost(lab: Lab, eyes: ContainerView) -> None:
    ns = lab.open(eyes)
    os.kill(lab.pid(), signal.SIGKILL)
    lab.put("srv1", ["srv1"], "172.18.0.2")
    assert len(lab.ask(ns, "srv1").answers) == 1


def test_there_is_one_process_per_socket(lab: Lab) -> None:
    pid = lab.pid()
    lab.process.start()
    command = [sys.executable, "-m", "sealane.dns.server", "--socket", str(lab.process.socket)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (second.returncode, lab.pid()) == (3, pid)
    assert "already" in second.stderr


def test_a_clean_end(lab: Lab) -> None:
    pid = lab.pid()
    os.kill(pid, signal.SIGTERM)
    lab.run(until(lambda: lab.pid() not in (0, pid)))  # the engine is up, so there is another one at once
    lab.run(lab.publisher.shutdown())
    assert lab.pid() == 0


def test_usage_errors_name_the_argument() -> None:
    command = [sys.executable, "-m", "sealane.dns.server", "--sokcet", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "sealane-dns: unknown argument '--sokcet'\n")
