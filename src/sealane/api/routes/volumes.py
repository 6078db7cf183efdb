"""Volumes."""

from __future__ import annotations

from typing import Final

from sealane.api.backend import Engine
from sealane.api.convert.mounts import check_volume_name
from sealane.api.convert.volumes import volume
from sealane.api.filters import volumes as selecting
from sealane.api.filters.values import Filters
from sealane.api.http import Reply, Request, empty, json_reply
from sealane.api.router import Route
from sealane.api.schema.volume import VolumeCreate, VolumeList, VolumesPruned
from sealane.api.versions import ApiVersion
from sealane.errors import InvalidArgument

#: Since then a prune spares volumes that people gave a name, unless asked.
_ANONYMOUS_ONLY: Final = ApiVersion(1, 42)


async def index(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.ACCEPTED)
    filters.flag("dangling")
    return json_reply(VolumeList([volume(v) for v in engine.volumes.views() if selecting.matches(filters, v)]))


async def create(engine: Engine, request: Request) -> Reply:
    body = await request.json(VolumeCreate)
    if body.ClusterVolumeSpec:
        raise InvalidArgument("cluster volumes are not served: this node is not a swarm manager")
    if body.Name:
        check_volume_name(body.Name)
    made = await engine.volumes.create(
        body.Name, body.Driver or "local", dict(body.DriverOpts or {}), dict(body.Labels or {})
    )
    return json_reply(volume(made), 201)


async def inspect(engine: Engine, request: Request) -> Reply:
    return json_reply(volume(engine.volumes.view(request.params["name"])))


async def remove(engine: Engine, request: Request) -> Reply:
    await engine.volumes.remove(request.params["name"], request.query.flag("force"))
    return empty()


async def prune(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.PRUNE_ACCEPTED)
    keep = selecting.keep_from_prune(filters, named_too=request.version < _ANONYMOUS_ONLY)
    pruned = await engine.volumes.prune(keep)
    return json_reply(VolumesPruned(list(pruned.names), pruned.reclaimed))


ROUTES: Final = (
    Route("GET", "/volumes", index),
    Route("POST", "/volumes/create", create),
    Route("POST", "/volumes/prune", prune),
    Route("GET", "/volumes/{name}", inspect),
    Route("DELETE", "/volumes/{name}", remove),
)
