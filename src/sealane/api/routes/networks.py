"""Networks, and Sealane's own routes about what they hold in the kernel."""

from __future__ import annotations

import re
from typing import Final

from sealane.api.backend import Engine
from sealane.api.convert import networks as convert
from sealane.api.convert.endpoints import endpoint_request
from sealane.api.filters import networks as selecting
from sealane.api.filters.values import Filters
from sealane.api.http import Reply, Request, empty, json_reply
from sealane.api.router import Route
from sealane.api.schema.network import (
    NetworkConnect,
    NetworkCreate,
    NetworkCreated,
    NetworkDisconnect,
    NetworksPruned,
)
from sealane.errors import InvalidArgument, NotFound

_BOOLEAN: Final = re.compile(r"^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)?$")


async def index(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.ACCEPTED)
    selecting.check(filters)
    wanted = [view for view in engine.networks.views() if selecting.matches(filters, view)]
    return json_reply([convert.listed(view, request.version) for view in wanted])


async def inspect(engine: Engine, request: Request) -> Reply:
    verbose, scope = request.query.text("verbose"), request.query.text("scope")
    if not _BOOLEAN.match(verbose):
        raise InvalidArgument(
            f'invalid value for verbose: {verbose}: strconv.ParseBool: parsing "{verbose}": invalid syntax'
        )
    view = engine.networks.view(request.params["id"])
    if scope not in ("", "local"):
        raise NotFound(f"network {request.params['id']} not found")
    return json_reply(convert.inspected(view, request.version, verbose=request.query.flag("verbose")))


async def create(engine: Engine, request: Request) -> Reply:
    if request.query.flag("dry-run"):
        return await dry_run(engine, request)
    body = await request.json(NetworkCreate)
    identifier, warning = await engine.networks.create(convert.network_request(body))
    return json_reply(NetworkCreated(identifier, warning), 201)


async def remove(engine: Engine, request: Request) -> Reply:
    await engine.networks.remove(request.params["id"])
    return empty()


async def connect(engine: Engine, request: Request) -> Reply:
    body = await request.json(NetworkConnect)
    _require_container(body.Container)
    endpoint = endpoint_request(request.params["id"], body.EndpointConfig)
    await engine.networks.connect(request.params["id"], body.Container, endpoint)
    return empty(200)


async def disconnect(engine: Engine, request: Request) -> Reply:
    body = await request.json(NetworkDisconnect)
    _require_container(body.Container)
    await engine.networks.disconnect(request.params["id"], body.Container, body.Force)
    return empty(200)


def _require_container(ref: str) -> None:
    if not ref:
        raise InvalidArgument('invalid name or ID supplied: ""')


async def prune(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.PRUNE_ACCEPTED)
    pruned = await engine.networks.prune(selecting.keep_from_prune(filters, request.now_ns))
    return json_reply(NetworksPruned(list(pruned.names) or None))


async def kernel(engine: Engine, request: Request) -> Reply:
    found = await engine.networks.kernel(request.params["id"])
    return json_reply(convert.kernel_objects(found))


async def dry_run(engine: Engine, request: Request) -> Reply:
    """What creating the network would put into the kernel. It has its own path, which another engine refuses:

    there, an unknown parameter of ``create`` would be passed over and the network made.
    """
    body = await request.json(NetworkCreate)
    found = await engine.networks.dry_run(convert.network_request(body))
    return json_reply(convert.kernel_objects(found))


ROUTES: Final = (
    Route("GET", "/networks", index),
    Route("GET", "/networks/", index),
    Route("POST", "/networks/create", create),
    Route("POST", "/networks/prune", prune),
    Route("GET", "/networks/{id}", inspect),
    Route("DELETE", "/networks/{id}", remove),
    Route("POST", "/networks/{id}/connect", connect),
    Route("POST", "/networks/{id}/disconnect", disconnect),
    Route("GET", "/networks/{id}/kernel", kernel),
    Route("GET", "/sealane/networks/{id}/kernel", kernel),
    Route("POST", "/sealane/networks/dry-run", dry_run),
)
