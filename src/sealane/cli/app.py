"""What a command gets to work with: the engine, the streams, the environment. Built once, by :mod:`main`."""

from __future__ import annotations

import os
import sys

from sealane import VERSION
from sealane.cli.failures import Failure
from sealane.client.address import choose
from sealane.client.engine import EngineClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from sealane.client.address import Address


class App:
    """One call of the program. ``engine`` connects when it is first used."""

    __slots__ = ("_engine", "asked_host", "environ")

    def __init__(self, asked_host: str | None, environ: Mapping[str, str]) -> None:
        self.asked_host = asked_host
        self.environ = environ
        self._engine: EngineClient | None = None

    @property
    def address(self) -> Address:
        return choose(self.asked_host, self.environ)

    @property
    def engine(self) -> EngineClient:
        if self._engine is None:
            self._engine = self.new_engine()
        return self._engine

    def new_engine(self) -> EngineClient:
        """One more client with connections of its own, for work beside a request that is under way."""
        version = self._engine.version if self._engine is not None else self.environ.get("DOCKER_API_VERSION")
        return EngineClient(self.address, agent=f"Sealane-Client/{VERSION} (linux)", version=version)

    def require(self, version: str, option: str) -> None:
        """Raise Failure when the engine speaks an older version than *option* needs."""
        if not self.engine.at_least(version):
            raise Failure(
                f'"{option}" requires API version {version}, but the Docker daemon API version is {self.engine.version}'
            )

    def say(self, text: str) -> None:
        """One line to standard output."""
        sys.stdout.write(text + "\n")

    def write(self, text: str) -> None:
        sys.stdout.write(text)

    def complain(self, text: str) -> None:
        """One line to standard error, after what was written to standard output so far."""
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def write_bytes(self, data: bytes, *, error: bool = False) -> None:
        """Raw output of a container, unbuffered."""
        view = memoryview(data)
        fd = 2 if error else 1
        while view:
            view = view[os.write(fd, view) :]

    def out_is_terminal(self) -> bool:
        return os.isatty(1)

    def in_is_terminal(self) -> bool:
        return os.isatty(0)
