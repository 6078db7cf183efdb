"""A language for tests with real containers: what is said here reads like a drawing of the lab.

red, blue = lab.network("red"), lab.network("blue")
a = lab.container("srv1", red)
b = lab.container("srv2", red, blue)
assert a.pings("srv2")
outside = lab.outsider()                 # another host, joined by a cable
assert outside.fetch(f"http://{lab.uplink}:8080/") == "hello"

Everything is made through the engine under test; the engine's fixture removes it.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, Final

from sealane.linux import namespaces
from support import running
from support.engine import Engine
from support.poll import until
from support.running import Result

_UPLINK: Final = IPv4Interface("198.51.100.1/24")
_OUTSIDER: Final = IPv4Interface("198.51.100.9/24")
_SILENCE_S: Final = 1  # a packet that is dropped shows only as silence


@dataclass(frozen=True, slots=True)
class Box:
    """A running container."""

    engine: Engine
    name: str

    def run(self, *command: str, **how: Any) -> Result:
        """Run *command* inside; *how* as for `support.running.run`."""
        return self.engine.cli("exec", self.name, *command, **how)

    def shell(self, text: str, **how: Any) -> Result:
        return self.run("sh", "-c", text, **how)

    @property
    def pid(self) -> int:
        return int(self.engine.inspect(self.name)["State"]["Pid"])

    def address(self, network: str = "") -> IPv4Address:
        """The address on *network*, or on the only one."""
        networks = self.engine.inspect(self.name)["NetworkSettings"]["Networks"]
        if not network:
            (network,) = networks
        return IPv4Address(networks[network]["IPAddress"])

    def pings(self, target: str | IPv4Address) -> bool:
        return self.run("ping", "-c1", f"-W{_SILENCE_S}", str(target), check=False).code == 0

    def resolves(self, name: str) -> set[str]:
        """The addresses of *name* as the container's own resolver library finds them; empty when it has none."""
        found = self.shell(f"nslookup {name} 127.0.0.11", check=False).out.partition("\n\n")[2]
        return {line.split()[-1] for line in found.splitlines() if line.startswith("Address")}

    def serve(self, port: int, text: str = "hello") -> None:
        """Answer every HTTP request at *port* with *text* (an image of busybox)."""
        self.shell(f"mkdir -p /srv && printf '%s' '{text}' >/srv/index.html && httpd -p {port} -h /srv")
        until(lambda: self._listens(port, "tcp"), f"{self.name} listens at {port}/tcp")

    def collect(self, port: int) -> None:
        """Write every datagram that comes to *port* into a file, for `collected` (an image with Debian's nc)."""
        self.engine.cli("exec", "-d", self.name, "sh", "-c", f"exec nc -u -k -l {port} >/collected")
        until(lambda: self._listens(port, "udp"), f"{self.name} listens at {port}/udp")

    def collected(self) -> str:
        return self.run("cat", "/collected").out

    def _listens(self, port: int, transport: str) -> bool:
        tables = self.shell(f"cat /proc/net/{transport} /proc/net/{transport}6").out
        return any(line.split()[1].endswith(f":{port:04X}") for line in tables.splitlines())

    def fetch(self, url: str) -> str:
        """What a web server says; "" when it cannot be reached."""
        return self.run("wget", f"-T{_SILENCE_S}", "-q", "-O-", url, check=False).out


@dataclass(frozen=True, slots=True)
class Outsider:
    """Another host: a network namespace with a cable to this one."""

    namespace: Path

    def run(self, *command: str, **how: Any) -> Result:
        return running.run(["nsenter", f"--net={self.namespace}", *command], **how)

    def fetch(self, url: str) -> str:
        command = ("busybox", "wget", f"-T{_SILENCE_S}", "-q", "-O-", url)
        return self.run(*command, check=False).out

    def pings(self, target: str | IPv4Address) -> bool:
        return self.run("busybox", "ping", "-c1", f"-W{_SILENCE_S}", str(target), check=False).code == 0


class Lab:
    """See the module. *stack* takes the cables away again."""

    def __init__(self, engine: Engine, folder: Path, stack: ExitStack) -> None:
        self.engine = engine
        self._folder = folder
        self._stack = stack
        self.uplink = _UPLINK.ip  #: this host's address on the cable to the outsider

    def network(self, name: str, *options: str) -> str:
        """Create a network; *options* as on the command line. Returns its name."""
        self.engine.cli("network", "create", *options, name)
        return name

    def container(
        self, name: str, *networks: str, options: tuple[str, ...] = (), image: str = "busybox", command: str = ""
    ) -> Box:
        """Run a container on *networks* (eth0 on the first), doing nothing or *command*."""
        where = [f"--network={network}" for network in networks]
        what = command or "trap exit TERM; while :; do sleep 1000 & wait $!; done"
        self.engine.cli("run", "-d", "--name", name, *where, *options, image, "sh", "-c", what)
        return Box(self.engine, name)

    def outsider(self) -> Outsider:
        """Another host on a cable; its way to everywhere is through this one."""
        path = self._folder / "outsider"
        namespaces.create(path)
        self._stack.callback(namespaces.remove, path)
        ends = ("sealane-up", "eth0")
        _ip(f"link add {ends[0]} type veth peer name {ends[1]} netns {path}")
        self._stack.callback(subprocess.run, ["ip", "link", "del", ends[0]], check=False)
        _ip(f"address add {_UPLINK} dev {ends[0]}")
        _ip(f"link set {ends[0]} up")
        for line in (f"address add {_OUTSIDER} dev eth0", "link set eth0 up", "link set lo up"):
            _ip(line, path)
        _ip(f"route add default via {_UPLINK.ip}", path)
        return Outsider(path)


def _ip(arguments: str, namespace: Path | None = None) -> None:
    where = ["nsenter", f"--net={namespace}"] if namespace else []
    running.run([*where, "ip", *arguments.split()])


def namespace_links(box: Box) -> list[str]:
    """The links inside a container, as the kernel lists them."""
    listed = running.run(["nsenter", "-t", str(box.pid), "-n", "ip", "-json", "link"])
    return [link["ifname"] for link in json.loads(listed.out)]
