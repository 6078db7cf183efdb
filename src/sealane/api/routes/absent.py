"""What a single host does not have: swarm and plugins. Clients probe for them, so the answers are Docker's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sealane.api.backend import Engine
from sealane.api.http import Reply, Request, json_reply
from sealane.api.router import Route
from sealane.errors import NotFound, Unavailable, Unsupported

_NO_MANAGER: Final = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm'
    " and try again."
)
_SWARM: Final = ("swarm", "services", "nodes", "secrets", "configs", "tasks")


async def no_manager(engine: Engine, request: Request) -> Reply:
    raise Unavailable(_NO_MANAGER)


async def no_swarm(engine: Engine, request: Request) -> Reply:
    raise Unavailable("This node is not part of a swarm")


async def cannot_join(engine: Engine, request: Request) -> Reply:
    raise Unsupported("swarm mode is not served")


async def plugins(engine: Engine, request: Request) -> Reply:
    return json_reply([])


async def no_plugin(engine: Engine, request: Request) -> Reply:
    raise NotFound(f'plugin "{request.params["name"]}" not found')


async def cannot_install(engine: Engine, request: Request) -> Reply:
    raise Unsupported("plugins are not served")


def _routes() -> Iterator[Route]:
    yield Route("POST", "/swarm/leave", no_swarm, refused="not part of a swarm")
    yield Route("POST", "/swarm/init", cannot_join, refused="swarm mode is not served")
    yield Route("POST", "/swarm/join", cannot_join, refused="swarm mode is not served")
    for kind in _SWARM:
        for method, path in (
            ("GET", f"/{kind}"),
            ("POST", f"/{kind}/{{rest*}}"),
            ("GET", f"/{kind}/{{rest*}}"),
            ("DELETE", f"/{kind}/{{rest*}}"),
        ):
            yield Route(method, path, no_manager, refused="not a swarm manager")
    yield Route("GET", "/plugins", plugins)
    yield Route("GET", "/plugins/privileges", cannot_install, refused="plugins are not served")
    yield Route("POST", "/plugins/pull", cannot_install, refused="plugins are not served")
    yield Route("POST", "/plugins/create", cannot_install, refused="plugins are not served")
    yield Route("GET", "/plugins/{name*}/json", no_plugin, refused="plugins are not served")
    for verb in ("enable", "disable", "upgrade", "push", "set"):
        yield Route("POST", f"/plugins/{{name*}}/{verb}", no_plugin, refused="plugins are not served")
    yield Route("DELETE", "/plugins/{name*}", no_plugin, refused="plugins are not served")


ROUTES: Final = tuple(_routes())
