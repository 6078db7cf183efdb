"""Bad requests: Docker's status code, one clear line that names the object, and nothing left behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lab.inventory import untouched
from support.drawing import Cli
from support.engine import Engine

IMAGE = {"Image": "busybox"}


@pytest.fixture(scope="module")
def engine(shared_engine: Engine) -> Iterator[Engine]:
    """The shared engine with a network red, a running container srv1 on it, and a created one."""
    shared_engine.cli("network", "create", "--subnet", "10.213.0.0/24", "red")
    where = ("--network", "red", "--ip", "10.213.0.7")
    shared_engine.cli("run", "-d", "--name", "srv1", *where, "busybox", "sleep", "1000")
    shared_engine.cli("create", "--name", "idle", "busybox", "true")
    yield shared_engine
    shared_engine.tidy()


@pytest.fixture(autouse=True)
def nothing_changes(engine: Engine) -> Iterator[None]:
    seen = len(engine.log.read_text())
    try:
        with untouched(engine):
            yield
    finally:
        engine.http("DELETE", "/containers/fresh?force=1")  # the next test is not to blame
    assert "Traceback" not in engine.log.read_text()[seen:], engine.tail()


def _refused(engine: Engine, method: str, path: str, body: Any, status: int, said: str) -> None:
    reply = engine.http(method, path, body)
    assert reply.status == status, f"{reply.status}: {reply.body!r}"
    assert list(reply.json) == ["message"]
    assert said in reply.message, reply.message
    assert "Traceback" not in reply.message


CREATES: list[tuple[Any, int, str]] = [
    (b"", 400, ""),
    (b"{", 400, ""),
    (b"[]", 400, ""),
    ({}, 400, ""),
    ({"Image": 7}, 400, "Image"),
    ({**IMAGE, "Cmd": {"a": 1}}, 400, "Cmd"),
    ({**IMAGE, "Env": "A=B"}, 400, "Env"),
    ({**IMAGE, "Tty": "yes"}, 400, "Tty"),
    ({**IMAGE, "Labels": ["a"]}, 400, "Labels"),
    ({**IMAGE, "HostConfig": {"Memory": "1g"}}, 400, "Memory"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": 8080}]}}}, 400, "HostPort"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}}}, 400, "70000"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "http"}]}}}, 400, "http"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "9-1"}]}}}, 400, "9-1"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "nowhere"}]}}}, 400, "nowhere"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"70000/tcp": [{}]}}}, 400, "70000"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"0/tcp": [{}]}}}, 400, "0"),
    ({**IMAGE, "HostConfig": {"PortBindings": {"80/xyz": [{}]}}}, 400, "xyz"),
    ({**IMAGE, "ExposedPorts": {"many/tcp": {}}}, 400, "many"),
    ({**IMAGE, "HostConfig": {"ExtraHosts": ["nonsense"]}}, 400, "nonsense"),
    ({**IMAGE, "HostConfig": {"Dns": ["nonsense"]}}, 400, "nonsense"),
    ({**IMAGE, "HostConfig": {"RestartPolicy": {"Name": "sometimes"}}}, 400, "sometimes"),
    ({**IMAGE, "HostConfig": {"Binds": ["nonsense"]}}, 400, "nonsense"),
    ({**IMAGE, "HostConfig": {"Memory": 4096}}, 400, "Minimum memory limit allowed is 6MB"),
    ({**IMAGE, "NetworkingConfig": {"EndpointsConfig": {"red": {"IPAMConfig": {"IPv4Address": "10.9.9.9"}}}},
      "HostConfig": {"NetworkMode": "red"}}, 400, "no configured subnet contains IP address 10.9.9.9"),
    ({**IMAGE, "NetworkingConfig": {"EndpointsConfig": {"red": {"IPAMConfig": {"IPv4Address": "nonsense"}}}},
      "HostConfig": {"NetworkMode": "red"}}, 400, "nonsense"),
    ({**IMAGE, "NetworkingConfig": {"EndpointsConfig": {"red": {"MacAddress": "nonsense"}}},
      "HostConfig": {"NetworkMode": "red"}}, 400, "nonsense"),
    ({**IMAGE, "NetworkingConfig": {"EndpointsConfig": {"red": 7}}}, 400, ""),
    ({"Image": "missing:1"}, 404, "No such image: missing:1"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "said"), CREATES, ids=lambda value: str(value)[:60])
def test_creating_a_container(engine: Engine, body: Any, status: int, said: str) -> None:
    _refused(engine, "POST", "/containers/create?name=fresh", body, status, said)


NETWORKS: list[tuple[Any, int, str]] = [
    ({}, 400, "name"),
    ({"Name": ""}, 400, "name is empty"),
    ({"Name": 7}, 400, "Name"),
    ({"Name": "red"}, 409, "network with name red already exists"),
    ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network"),
    ({"Name": "x", "Driver": "nonsense"}, 404, 'plugin "nonsense" not found'),
    ({"Name": "x", "Internal": "yes"}, 400, "Internal"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "nonsense"}]}}, 400, "nonsense"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.214.0.1/24"}]}}, 400, "it should be 10.214.0.0/24"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.213.0.0/16"}]}}, 403, "Pool overlaps with other one"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.214.0.0/24", "Gateway": "10.215.0.1"}]}}, 400, "10.215.0.1"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.214.0.0/24", "IPRange": "10.0.0.0/8"}]}}, 400, "10.0.0.0/8"),
    ({"Name": "x", "IPAM": {"Driver": "nonsense"}}, 400, 'invalid ipam driver: "nonsense"'),
    ({"Name": "x", "Options": {"com.docker.network.bridge.enable_icc": "maybe"}}, 400, "maybe"),
    ({"Name": "x", "Options": {"com.docker.network.driver.mtu": "-1"}}, 400, "invalid MTU number: -1"),
    ({"Name": "x", "Options": {"com.docker.network.bridge.name": "eth0"}}, 500, "eth0"),
    ({"Name": "x", "Options": {"com.docker.network.bridge.name": "much-too-long-a-name"}}, 400, "much-too-long"),
]


@pytest.mark.parametrize(("body", "status", "said"), NETWORKS, ids=lambda value: str(value)[:60])
def test_creating_a_network(engine: Engine, body: Any, status: int, said: str) -> None:
    _refused(engine, "POST", "/networks/create", body, status, said)


OTHERS: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/containers/create?name=srv1", IMAGE, 409, 'The container name "/srv1" is already in use by container'),
    ("POST", "/containers/create?name=a/b", IMAGE, 400, "Invalid container name (a/b)"),
    ("POST", "/containers/create?name=x", IMAGE, 400, "Invalid container name (x)"),
    ("GET", "/containers/nobody/json", None, 404, "No such container: nobody"),
    ("POST", "/containers/nobody/start", None, 404, "No such container: nobody"),
    ("DELETE", "/containers/nobody", None, 404, "No such container: nobody"),
    ("DELETE", "/containers/srv1", None, 409, "container is running"),
    ("POST", "/containers/srv1/rename?name=idle", None, 409, "is already in use by container"),
    ("POST", "/containers/srv1/kill?signal=NONSENSE", None, 400, "NONSENSE"),
    ("POST", "/containers/idle/kill", None, 409, "is not running"),
    ("POST", "/containers/idle/pause", None, 409, "is not running"),
    ("POST", "/containers/idle/exec", {"Cmd": ["true"]}, 409, "is not running"),
    ("POST", "/containers/srv1/exec", {"Cmd": []}, 400, "No exec command specified"),
    ("POST", "/containers/srv1/exec", {"Cmd": "true"}, 400, "Cmd"),
    ("POST", "/exec/nothing/start", {}, 404, "No such exec instance: nothing"),
    ("GET", "/networks/nowhere", None, 404, "network nowhere not found"),
    ("DELETE", "/networks/nowhere", None, 404, "network nowhere not found"),
    ("DELETE", "/networks/bridge", None, 403, "bridge is a pre-defined network and cannot be removed"),
    ("DELETE", "/networks/red", None, 403, "network red has active endpoints"),
    ("POST", "/networks/red/connect", {"Container": "nobody"}, 404, "No such container: nobody"),
    ("POST", "/networks/red/connect", {"Container": "srv1"}, 403, "endpoint with name srv1 already exists"),
    ("POST", "/networks/red/connect", {"Container": 7}, 400, "Container"),
    ("POST", "/networks/red/disconnect", {"Container": "idle"}, 403, "is not connected to the network red"),
    ("GET", "/images/missing:1/json", None, 404, "No such image: missing:1"),
    ("DELETE", "/images/missing:1", None, 404, "No such image: missing:1"),
    ("POST", "/images/busybox/tag?repo=UPPER", None, 400, "UPPER"),
    ("GET", "/containers/json?filters=nonsense", None, 400, "filter"),
    ("GET", "/containers/json?filters=%7B%22nonsense%22%3A%5B%22x%22%5D%7D", None, 400, "nonsense"),
    ("GET", "/containers/json?limit=many", None, 400, "many"),
    ("GET", "/containers/srv1/logs", None, 400, "you must choose at least one stream"),
    ("GET", "/no/such/thing", None, 404, "page not found"),
    ("GET", "/v1.1/containers/json", None, 400, "1.1"),
    ("GET", "/v9.9/containers/json", None, 400, "9.9"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "said"), OTHERS, ids=lambda value: str(value)[:50])
def test_other_verbs(engine: Engine, method: str, path: str, body: Any, status: int, said: str) -> None:
    _refused(engine, method, path, body, status, said)


STARTS: list[tuple[tuple[str, ...], int, str]] = [
    (("busybox", "no-such-program"), 127, '"no-such-program": executable file not found in $PATH'),
    (("busybox", "/no/such/program"), 127, "/no/such/program"),
    (("busybox", "/etc/passwd"), 126, "permission denied"),
    (("busybox", "/etc"), 126, "/etc"),
    (("--user", "nobody-here", "busybox", "true"), 125, "unable to find user nobody-here"),
    (("--workdir", "relative", "busybox", "true"), 125, "relative"),
    (("--network", "container:nobody", "busybox", "true"), 125, "No such container: nobody"),
    (("--network", "nowhere", "busybox", "true"), 125, "network nowhere not found"),
    (("--network", "red", "--ip", "10.213.0.7", "busybox", "true"), 125, "Address already in use"),
    (("-p", "0:80", "-p", "70000:80", "busybox", "true"), 125, "70000"),
    (("-v", "/no/such/../..:/x:nonsense", "busybox", "true"), 125, "nonsense"),
    (("--mount", "type=bind,source=/no/such/place,target=/x", "busybox", "true"), 125, "/no/such/place"),
    (("--device", "/dev/no-such-device", "busybox", "true"), 127, "/dev/no-such-device"),
    (("--cap-add", "NONSENSE", "busybox", "true"), 125, "NONSENSE"),
    (("--sysctl", "nonsense", "busybox", "true"), 125, "nonsense"),
    (("--sysctl", "kernel.nonsense=1", "busybox", "true"), 125, "nonsense"),
    (("--runtime", "nonsense", "busybox", "true"), 125, "nonsense"),
    (("no.such.registry.invalid/image:1", "true"), 125, "no.such.registry.invalid"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), STARTS, ids=lambda value: str(value)[:70])
def test_runs_that_cannot_be(engine: Engine, cli: Cli, arguments: tuple[str, ...], code: int, said: str) -> None:
    message = cli.refuses("run", "--rm", "--name", "fresh", *arguments, code=code)
    assert said in message
    hints = ("Run '", "Usage:", "Unable to find image")
    lines = [line for line in message.splitlines() if line and not line.startswith(hints)]
    assert len(lines) == 1, message


def test_a_port_that_is_taken(cli: Cli) -> None:
    with socket.create_server(("0.0.0.0", 0)) as holder:
        port = holder.getsockname()[1]
        message = cli.refuses("run", "--rm", "-p", f"{port}:80", "busybox", "true", code=125)
    assert f"{port}" in message
    assert "address already in use" in message
