"""A language for tests of the fabric: a throw-away host, networks, containers without processes, a neighbour.

``Drawing`` makes what a test needs by the fabric, and asks the kernel by real sockets opened inside the namespaces. A
remote host hangs on the host by a veth pair (198.51.100.0/24 and 2001:db8::/64) and has routes to everything.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path

from sealane.linux import namespaces, sysctl
from sealane.linux.netlink.socket import Rtnl
from sealane.network.endpoint import choose_default_routes, settle_endpoint
from sealane.network.ipam import allocate_subnets
from sealane.network.reach import Place, Source, World
from sealane.network.spec import EndpointRequest, EndpointSpec, IpamRequest, NetworkRequest, NetworkSpec
from sealane.network.validate import settle_network, validate_network
from sealane.values import (
    ContainerId,
    ContainerPort,
    EndpointId,
    IPAddress,
    MacAddress,
    NetworkId,
    PublishedPort,
    Transport,
)
from sealane.wiring.fabric import Fabric

UPLINK4, REMOTE4 = IPv4Interface("198.51.100.1/24"), IPv4Interface("198.51.100.9/24")
UPLINK6, REMOTE6 = IPv6Interface("2001:db8::1/64"), IPv6Interface("2001:db8::9/64")
ANY4, ANY6 = IPv4Address(0), IPv6Address(0)
BR_NETFILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
BRIDGE = "com.docker.network.bridge."
CLOSED_AFTER = 0.4  # seconds; a refusal by dropping shows only as silence
PATIENCE = 15.0  # seconds for an answer that has to come, on a machine that is busy with other things


@dataclass(frozen=True)
class Box:
    """A container: a namespace and its endpoints, in the order in which they were connected."""

    id: ContainerId
    name: str
    ns: Path
    endpoints: tuple[EndpointSpec, ...]

    @property
    def ipv4(self) -> IPv4Address:
        own = self.endpoints[0].ipv4
        assert own is not None
        return own.ip

    @property
    def ipv6(self) -> IPv6Address:
        own = self.endpoints[0].ipv6
        assert own is not None
        return own.ip


class Drawing:
    def __init__(self, folder: Path, stack: ExitStack, br_netfilter: bool) -> None:
        self._folder = folder
        self._stack = stack
        self._numbers = itertools.count(1)
        self.host = self.namespace("host")
        if BR_NETFILTER.exists():
            value = "1" if br_netfilter else "0"
            keys = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
            sysctl.put_all([(key, value) for key in keys], self.host)
        sandboxes = folder / "sandboxes"
        sandboxes.mkdir()
        self.fabric = stack.enter_context(Fabric(sandboxes, self.host))
        self.networks: dict[NetworkId, NetworkSpec] = {}
        self.boxes: dict[ContainerId, Box] = {}
        self.remote = self._remote()
        self.fabric.prepare([], [])

    def namespace(self, name: str) -> Path:
        path = self._folder / name
        namespaces.create(path)
        self._stack.callback(namespaces.remove, path)
        return path

    def _remote(self) -> Path:
        path = self.namespace("remote")
        for ns in (self.host, path):  # no second of silence while link-local addresses are checked
            sysctl.put("net.ipv6.conf.default.accept_dad", "0", ns)
        fd = namespaces.open_fd(path)
        try:
            with Rtnl.open_in(self.host) as rtnl:
                index = rtnl.add_veth("up0", "eth0", peer_ns=fd, up=True)
                rtnl.add_address(index, UPLINK4)
                rtnl.add_address(index, UPLINK6)
        finally:
            os.close(fd)
        with Rtnl.open_in(path) as rtnl:
            rtnl.set_link("eth0", up=True)
            rtnl.add_address("eth0", REMOTE4)
            rtnl.add_address("eth0", REMOTE6)
        self.ip(path, f"route add default via {UPLINK4.ip}")
        self.ip(path, f"-6 route add default via {UPLINK6.ip}")
        return path

    def ip(self, ns: Path, arguments: str) -> str:
        """Run ip(8) in a namespace; for set-ups and for looking at the kernel with other eyes than ours."""
        command = ["nsenter", f"--net={ns}", "ip", *arguments.split()]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def network(
        self,
        name: str,
        *,
        subnet: str = "",
        ipv6: bool = False,
        internal: bool = False,
        driver: str = "bridge",
        **options: str,
    ) -> NetworkSpec:
        """Options are given by their last word: ``enable_icc="false"``."""
        spec = self.settle(name, subnet=subnet, ipv6=ipv6, internal=internal, driver=driver, **options)
        self.fabric.create_network(spec)
        self.networks[spec.id] = spec
        return spec

    def settle(
        self,
        name: str,
        *,
        subnet: str = "",
        ipv6: bool = False,
        internal: bool = False,
        driver: str = "bridge",
        **options: str,
    ) -> NetworkSpec:
        prefix = "" if driver == "macvlan" else BRIDGE
        request = NetworkRequest(
            name=name,
            driver=driver,
            ipv6=ipv6,
            internal=internal,
            ipam=(IpamRequest(subnet=subnet),) if subnet else (),
            options={key if "." in key else prefix + key: value for key, value in options.items()},
        )
        validate_network(request)
        taken = [(s.subnet, network.name) for network in self.networks.values() for s in network.subnets]
        routes = self.fabric.host_networks()
        subnets = allocate_subnets(request, taken=taken, host_routes=routes, pools=(), host_id="drawing")
        return settle_network(request, NetworkId(f"{next(self._numbers):08x}" + "ab" * 28), "", subnets)

    def container(self, name: str, *networks: NetworkSpec, ports: Sequence[PublishedPort] = (), mac: str = "") -> Box:
        """A container on *networks*, its ports published by the endpoint with the default route."""
        identifier = ContainerId(f"{next(self._numbers):012x}" + "cd" * 26)
        ns = self.fabric.create_sandbox(identifier)
        self._stack.callback(namespaces.remove, ns)
        box = Box(identifier, name, ns, ())
        for network in networks:
            box = replace(box, endpoints=(*box.endpoints, self.settle_endpoint(box, network, mac)))
        endpoints = choose_default_routes(box.endpoints, self.networks)
        placed = tuple(
            replace(e, ports=tuple(ports)) if e.default_route_ipv4 or e.default_route_ipv6 or not networks else e
            for e in endpoints
        )
        for endpoint in placed:
            self.fabric.connect(self.networks[endpoint.network], endpoint, ns)
        box = replace(box, endpoints=placed)
        self.boxes[identifier] = box
        return box

    def settle_endpoint(self, box: Box, network: NetworkSpec, mac: str = "") -> EndpointSpec:
        return settle_endpoint(
            network,
            EndpointRequest(network=network.name, mac=mac),
            identifier=EndpointId(f"{next(self._numbers):013x}" + "ef" * 25 + "0"),
            container=box.id,
            container_name=box.name,
            names=(),
            used_ifnames=[endpoint.ifname for endpoint in box.endpoints],
            taken=dict.fromkeys(self.addresses(), "another box"),
            entropy=os.urandom(6),
        )

    def addresses(self) -> list[IPAddress]:
        return [
            own.ip for box in self.boxes.values() for e in box.endpoints for own in (e.ipv4, e.ipv6) if own is not None
        ]

    def endpoints(self) -> list[EndpointSpec]:
        return [endpoint for box in self.boxes.values() for endpoint in box.endpoints]

    def world(self) -> World:
        return World(self.networks, tuple(self.endpoints()), (UPLINK4.ip, UPLINK6.ip))

    # asking the kernel

    def where(self, source: Source) -> Path:
        if isinstance(source, Place):
            return self.host if source is Place.HOST else self.remote
        return self.boxes[source].ns

    @contextmanager
    def serving(self, ns: Path, *ports: ContainerPort) -> Iterator[None]:
        """Answer connections and datagrams to *ports* in a namespace with the asker's address."""
        servers = [_Server(ns, port) for port in ports]
        try:
            yield
        finally:
            for server in servers:
                server.close()

    def seen_from(self, ns: Path, to: IPAddress, port: ContainerPort) -> str | None:
        """The address that the server at *to* saw the asker by; None when nobody answered in the end."""
        deadline = time.monotonic() + PATIENCE
        while (seen := namespaces.run_in(ns, lambda: _ask(to, port, 1.5))) is None and time.monotonic() < deadline:
            pass
        return seen

    def cut_off(self, ns: Path, to: IPAddress, port: ContainerPort) -> bool:
        """True when nobody answers."""
        return namespaces.run_in(ns, lambda: _ask(to, port, CLOSED_AFTER)) is None

    def reached(self, ns: Path, to: IPAddress, port: ContainerPort, expected: bool) -> bool:
        """Whether somebody answers, waited for only as long as *expected* deserves."""
        return self.seen_from(ns, to, port) is not None if expected else not self.cut_off(ns, to, port)


def _ask(to: IPAddress, port: ContainerPort, within: float) -> str | None:
    family = socket.AF_INET if to.version == 4 else socket.AF_INET6
    kind = socket.SOCK_STREAM if port.transport is Transport.TCP else socket.SOCK_DGRAM
    with socket.socket(family, kind) as sock:
        sock.settimeout(within)
        try:
            sock.connect((str(to), port.number))
            sock.send(b"?")
            return sock.recv(100).decode() or None
        except OSError:
            return None


class _Server:
    """One thread that answers on one port, for IPv4 and IPv6 where the namespace has it."""

    def __init__(self, ns: Path, port: ContainerPort) -> None:
        self._stream = port.transport is Transport.TCP
        self._socket = namespaces.run_in(ns, lambda: self._listen(port.number))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _listen(self, number: int) -> socket.socket:
        kind = socket.SOCK_STREAM if self._stream else socket.SOCK_DGRAM
        sock = socket.socket(socket.AF_INET6, kind)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", number))
        if self._stream:
            sock.listen(64)
        return sock

    def _serve(self) -> None:
        while True:
            try:
                if self._stream:
                    with self._socket.accept()[0] as connection:
                        connection.sendall(_plain(connection.getpeername()[0]).encode())
                else:
                    _, asker = self._socket.recvfrom(100)
                    if asker is None:  # shut down
                        return
                    self._socket.sendto(_plain(asker[0]).encode(), asker)
            except OSError:
                return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR) if self._stream else self._wake()
        self._thread.join()
        self._socket.close()

    def _wake(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the recvfrom, though an unconnected socket says ENOTCONN
        except OSError:
            pass


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:")


def tcp(number: int) -> ContainerPort:
    return ContainerPort(number)


def udp(number: int) -> ContainerPort:
    return ContainerPort(number, Transport.UDP)


def publish(host_port: int, container_port: ContainerPort, at: IPAddress = ANY4) -> PublishedPort:
    return PublishedPort(at, host_port, container_port)


__all__ = ["Box", "Drawing", "MacAddress", "publish", "tcp", "udp"]
