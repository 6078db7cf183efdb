"""A language for tests with real containers: what is said here reads like a drawing of the lab.

red, blue = lab.network("red"), lab.network("blue")
a = lab.container("srv1", red)
b = lab.container("srv2", red, blue)
assert a.pings("srv2")
b.serve(80, "hello")
outside = lab.outsider()                 # another host, joined by a cable
assert outside.ask(outside.neighbour, 8080) == "hello"

Everything is made through the engine under test; the engine's fixture removes it. Who may reach whom is asked with
sockets that are opened inside the namespace of the asker: a refusal shows at once, and silence needs one second.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, TypeVar

from sealane.linux import namespaces
from support import running
from support.engine import BIN, Engine
from support.poll import until
from support.running import Result
from support.terminal import Terminal

T = TypeVar("T")
Address = IPv4Address | IPv6Address | str

#: Networks for documentation (RFC 5737, 2544): the cable takes the first that no route of the host knows.
_CABLES: Final = tuple(IPv4Network("198.18.0.0/15").subnets(new_prefix=24))[77:140]
_PATIENCE_S: Final = 10.0
_SILENCE_S: Final = 1.0  # a packet that is dropped shows only as silence
IDLE: Final = "trap exit TERM; while :; do sleep 1000 & wait $!; done"


@dataclass(frozen=True, slots=True)
class Cli:
    """A command line that speaks to an engine: ``sealane``, or the real ``docker``."""

    engine: Engine
    program: str

    @property
    def _path(self) -> str:
        return str(BIN / "sealane") if self.program == "sealane" else self.program

    def __call__(self, *arguments: str, **how: Any) -> Result:
        """Run it to its end; *how* as for `support.running.run`."""
        return running.run([self._path, *arguments], env=self.engine.environ, **how)

    def refuses(self, *arguments: str, code: int = 1) -> str:
        """Run what must fail with *code*; returns what it says."""
        result = self(*arguments, check=False)
        assert result.code == code, str(result)
        return result.err

    def terminal(self, *arguments: str, rows: int = 24, columns: int = 80) -> Terminal:
        """Run it on a terminal; the caller closes that."""
        return Terminal([self._path, *arguments], env=self.engine.environ, rows=rows, columns=columns)

    def background(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start it with pipes; the caller ends it."""
        return subprocess.Popen(
            [self._path, *arguments], env=self.engine.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )


class Place:
    """Somewhere from where packets go: a network namespace."""

    @property
    def namespace(self) -> Path:
        raise NotImplementedError

    def inside(self, function: Callable[[], T]) -> T:
        """Call *function* in this namespace; sockets that it opens stay there."""
        return namespaces.run_in(self.namespace, function)

    def ask(self, address: Address, port: int, timeout_s: float = _PATIENCE_S) -> str:
        """What the web server at *address* says. Raises OSError when nobody answers."""
        target, kind = _target(address, port)
        with self.inside(lambda: socket.socket(kind, socket.SOCK_STREAM)) as sock:
            sock.settimeout(timeout_s)
            sock.connect(target)
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while data := sock.recv(65536):
                answer += data
        return answer.partition(b"\r\n\r\n")[2].decode()

    def send(self, address: Address, port: int, data: bytes, timeout_s: float = _PATIENCE_S) -> bytes:
        """The datagram that comes back for *data*; asked again while none comes. Raises OSError when time is up."""
        target, kind = _target(address, port)
        deadline = time.monotonic() + timeout_s
        with self.inside(lambda: socket.socket(kind, socket.SOCK_DGRAM)) as sock:
            sock.settimeout(min(0.5, timeout_s))
            sock.connect(target)
            while True:
                try:
                    sock.send(data)
                    return sock.recv(65536)
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)

    @contextlib.contextmanager
    def answering(self, port: int, text: str) -> Iterator[list[str]]:
        """Answer every request at *port* of any address with *text*; yields the addresses from where somebody asked."""
        sock = self.inside(lambda: socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True))
        askers: list[str] = []

        def answer() -> None:
            while True:
                try:
                    peer, address = sock.accept()
                except OSError:
                    return
                askers.append(str(getattr(ip_address(address[0]), "ipv4_mapped", None) or address[0]))
                with peer, contextlib.suppress(OSError):
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + text.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield askers
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            thread.join()
            sock.close()

    def cut_off(self, targets: Iterable[tuple[Address, int]]) -> bool:
        """True when none of these takes a connection within a second; all are tried at once."""
        return none_reaches((self, address, port) for address, port in targets)

    def sends_in_vain(self, address: Address, port: int) -> bool:
        """True when no datagram comes back within a second."""
        try:
            answer = self.send(address, port, b"anybody?", _SILENCE_S)
        except OSError:
            return True
        raise AssertionError(f"{address}:{port}/udp answered {answer!r} to {self}")


@dataclass(frozen=True, slots=True)
class Host(Place):
    """This host."""

    @property
    def namespace(self) -> Path:
        return Path("/proc/self/ns/net")

    def addresses(self) -> list[IPv4Address]:
        """This host's own IPv4 addresses that are no loopback, the one on the way out first."""
        found = running.run(["hostname", "-I"]).out.split()
        return [address for text in found if isinstance(address := ip_address(text), IPv4Address)]


@dataclass(frozen=True, slots=True)
class Outsider(Place):
    """Another host: a network namespace with a cable to this one, whose address on the cable is *neighbour*."""

    path: Path
    neighbour: IPv4Address
    address: IPv4Address
    neighbour6: IPv6Address

    @property
    def namespace(self) -> Path:
        return self.path

    def run(self, *command: str, **how: Any) -> Result:
        return running.run(["nsenter", f"--net={self.path}", *command], **how)

    def pings(self, target: Address) -> bool:
        return self.run("busybox", "ping", "-c1", f"-W{_SILENCE_S:g}", str(target), check=False).code == 0


@dataclass(frozen=True, slots=True)
class Box(Place):
    """A running container."""

    cli: Cli
    name: str

    @property
    def namespace(self) -> Path:
        return Path(f"/proc/{self.pid}/ns/net")

    @property
    def pid(self) -> int:
        return int(self.cli.engine.inspect(self.name)["State"]["Pid"])

    @property
    def id(self) -> str:
        return str(self.cli.engine.inspect(self.name)["Id"])

    def run(self, *command: str, **how: Any) -> Result:
        """Run *command* inside; *how* as for `support.running.run`."""
        return self.cli("exec", self.name, *command, **how)

    def shell(self, text: str, **how: Any) -> Result:
        return self.run("sh", "-c", text, **how)

    def on(self, network: str = "") -> dict[str, Any]:
        """What ``inspect`` says about the endpoint on *network*, or on the only one."""
        networks = self.cli.engine.inspect(self.name)["NetworkSettings"]["Networks"]
        if not network:
            (network,) = networks
        return dict(networks[network])

    def address(self, network: str = "") -> IPv4Address:
        return IPv4Address(self.on(network)["IPAddress"])

    def address6(self, network: str = "") -> IPv6Address:
        return IPv6Address(self.on(network)["GlobalIPv6Address"])

    def pings(self, target: Address) -> bool:
        return self.run("ping", "-c1", f"-W{_SILENCE_S:g}", str(target), check=False).code == 0

    def resolves(self, name: str) -> set[str]:
        """The IPv4 addresses that the container's resolver gives for *name* (an image of busybox)."""
        return self._lookup("a", name)

    def resolves6(self, name: str) -> set[str]:
        return self._lookup("aaaa", name)

    def _lookup(self, kind: str, name: str) -> set[str]:
        answer = self.shell(f"nslookup -type={kind} {name}. 127.0.0.11", check=False).out
        return {line.split()[-1] for line in answer.partition("\n\n")[2].splitlines() if line.startswith("Address")}

    def reverse(self, address: Address) -> str:
        """The name that the container's resolver gives for *address*; "" when it gives none."""
        answer = self.shell(f"nslookup {address} 127.0.0.11", check=False).out
        names = [line.split("name = ")[1] for line in answer.splitlines() if "name = " in line]
        return names[0] if names else ""

    def serve(self, port: int, text: str) -> None:
        """Answer every HTTP request at *port* with *text* (an image of busybox)."""
        folder = f"/srv/{port}"
        self.shell(f"mkdir -p {folder} && printf %s '{text}' >{folder}/index.html && httpd -p {port} -h {folder}")

    @contextlib.contextmanager
    def echo(self, port: int) -> Iterator[None]:
        """Send every datagram that comes to *port* back, with the container's name before it."""
        sock = self.inside(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", port))
        over = threading.Event()

        def answer() -> None:
            while True:
                data, peer = sock.recvfrom(65536)
                if over.is_set():
                    return
                sock.sendto(f"{self.name}: ".encode() + data, peer)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            over.set()
            with self.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as waker:
                waker.sendto(b"", ("127.0.0.1", port))
            thread.join()
            sock.close()

    def links(self) -> list[str]:
        """The interfaces inside, in the kernel's order, without loopback."""
        return [name for _, name in sorted(self.inside(socket.if_nameindex)) if name != "lo"]

    def kernel(self, *arguments: str) -> Any:
        """``ip -json ARGUMENTS`` inside the container's network namespace, as the host's ``ip`` says it."""
        command = ["nsenter", f"--net={self.namespace}", "ip", "-details", "-json", *arguments]
        return running.run(command).json


class Lab:
    """See the module. *stack* takes the cables away again."""

    def __init__(self, cli: Cli, folder: Path, stack: ExitStack) -> None:
        self.cli = cli
        self.engine = cli.engine
        self.host = Host()
        self._folder = folder
        self._stack = stack

    def network(self, name: str, *options: str) -> str:
        """Create a network; *options* as on the command line. Returns its name."""
        self.cli("network", "create", *options, name)
        return name

    def container(
        self, name: str, *networks: str, options: tuple[str, ...] = (), image: str = "busybox", command: str = IDLE
    ) -> Box:
        """Run a container on *networks* (eth0 on the first), doing nothing or *command*."""
        where = [f"--network={network}" for network in networks]
        self.cli("run", "-d", "--name", name, *where, *options, image, "sh", "-c", command)
        return Box(self.cli, name)

    def subnet(self, name: str) -> dict[str, str]:
        """``IPAM.Config`` of a network: Subnet, Gateway …"""
        reply = self.engine.http("GET", f"/networks/{name}")
        assert reply.status == 200, reply.body
        return dict(reply.json["IPAM"]["Config"][0])

    def outsider(self) -> Outsider:
        """Another host on a cable; its way to everywhere is through this one."""
        path = self._folder / "outsider"
        namespaces.create(path)
        self._stack.callback(namespaces.remove, path)
        routes = [IPv4Network(r["dst"]) for r in running.run(["ip", "-json", "route"]).json if r["dst"] != "default"]
        cable = next(net for net in _CABLES if not any(net.overlaps(route) for route in routes))
        here, there, here6 = cable[1], cable[9], IPv6Address(f"fd99:{int(cable[0]) & 0xFFFF:x}::1")
        link = self.engine.name.replace("sealane-", "slc-")  # it says whose it is, as everything of ours
        _ip(f"link add {link} type veth peer name eth0 netns {path}")
        self._stack.callback(subprocess.run, ["ip", "link", "del", link], check=False)
        for line in (
            f"address add {here}/24 dev {link}",
            f"address add {here6}/64 dev {link} nodad",
            f"link set {link} up",
        ):
            _ip(line)
        for line in (
            f"address add {there}/24 dev eth0",
            f"address add {here6 + 8}/64 dev eth0 nodad",
            "link set eth0 up",
        ):
            _ip(line, path)
        _ip(f"route add default via {here}", path)
        _ip(f"route add default via {here6}", path)
        return Outsider(path, here, there, here6)


def none_reaches(attempts: Iterable[tuple[Place, Address, int]]) -> bool:
    """True when of these (who, address, port) none gets an answer within a second; all are tried at once."""
    wanted = list(attempts)
    assert wanted, "a claim about nobody"
    reached: list[str] = []

    def attempt(who: Place, address: Address, port: int) -> None:
        with contextlib.suppress(OSError):
            who.ask(address, port, _SILENCE_S)
            reached.append(f"{who} reached {address}:{port}")

    threads = [threading.Thread(target=attempt, args=each) for each in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reached == [], "\n".join(reached)
    return True


def _target(address: Address, port: int) -> tuple[tuple[str, int], socket.AddressFamily]:
    parsed = ip_address(str(address))
    return (str(parsed), port), socket.AF_INET if parsed.version == 4 else socket.AF_INET6


def _ip(arguments: str, namespace: Path | None = None) -> None:
    where = ["nsenter", f"--net={namespace}"] if namespace else []
    running.run([*where, "ip", *arguments.split()])


def settled(claim: Callable[[], object], what: str) -> None:
    """Wait until *claim* is true, where the kernel or a process needs a moment."""
    until(claim, what)
