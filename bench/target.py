"""An engine under measurement: its socket, its command line, and the objects that measurements make and remove."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from bench.wire import Connection, Refused

IMAGE: Final = "sealane-bench:latest"
LABEL: Final = "sealane.bench"


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


@dataclass(slots=True)
class Target:
    name: str
    address: str
    cli: list[str]
    wire: Connection
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def version(self) -> str:
        found = self.wire.call("GET", "/version")
        runtime = self.wire.call("GET", "/info").get("DefaultRuntime", "")
        return f"{found['Version']} (API {found['ApiVersion']}, {runtime})"

    def prepare(self, archive: bytes) -> None:
        """Load the image and remove what an earlier run has left."""
        self.clean()
        self.wire.call("POST", "/images/load?quiet=1", archive, "application/x-tar")

    def clean(self) -> None:
        filters = quote(json.dumps({"label": [LABEL]}))
        for container in self.wire.call("GET", f"/containers/json?all=1&filters={filters}"):
            self.remove(container["Id"])
        for network in self.wire.call("GET", f"/networks?filters={filters}"):
            self.wire.call("DELETE", f"/networks/{network['Id']}")

    def forget(self) -> None:
        self.clean()
        try:
            self.wire.call("DELETE", f"/images/{IMAGE}?force=1")
        except Refused as error:
            print(f"{self.name}: {error}")

    def another(self) -> Connection:
        return Connection.to(self.address)

    def network(self) -> str:
        body = {"Name": f"bench-{next(self._numbers)}", "Labels": {LABEL: "1"}}
        return str(self.wire.call("POST", "/networks/create", body)["Id"])

    def remove_network(self, identifier: str) -> None:
        self.wire.call("DELETE", f"/networks/{identifier}")

    def create(self, network: str = "bridge", *command: str, host: dict[str, Any] | None = None, **more: Any) -> str:
        body = {
            "Image": IMAGE,
            "Cmd": list(command) or ["sleep", "100000"],
            "Labels": {LABEL: "1"},
            "HostConfig": {"NetworkMode": network, **(host or {})},
            **more,
        }
        return str(self.wire.call("POST", f"/containers/create?name=bench-{next(self._numbers)}", body)["Id"])

    def start(self, container: str) -> None:
        self.wire.call("POST", f"/containers/{container}/start")

    def remove(self, container: str) -> None:
        self.wire.call("DELETE", f"/containers/{container}?force=1")

    def pid(self, container: str) -> int:
        return int(self.wire.call("GET", f"/containers/{container}/json")["State"]["Pid"])

    def address_of(self, container: str, network: str) -> str:
        networks = self.wire.call("GET", f"/containers/{container}/json")["NetworkSettings"]["Networks"]
        return next(str(item["IPAddress"]) for item in networks.values() if item["NetworkID"] == network)

    def execute(self, container: str, *command: str) -> None:
        """``docker exec``: make it, start it, read it to its end."""
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(command)}
        made = self.wire.call("POST", f"/containers/{container}/exec", body)
        with self.another() as streams:
            streams.take_over("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False})
            streams.read_to_end()

    @contextmanager
    def running(self, count: int, network: str = "bridge") -> Iterator[list[str]]:
        made = [self.create(network) for _ in range(count)]
        try:
            for container in made:
                self.start(container)
            yield made
        finally:
            for container in made:
                self.remove(container)

    @contextmanager
    def own_network(self) -> Iterator[str]:
        made = self.network()
        try:
            yield made
        finally:
            self.remove_network(made)
