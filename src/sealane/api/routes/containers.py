"""Containers: list, inspect, and the verbs that answer at once. Their streams are in ``container_streams``."""

from __future__ import annotations

import os
from typing import Final

from sealane.api.backend import Engine, Image
from sealane.api.convert import container_view
from sealane.api.convert.create import container_request, warnings
from sealane.api.convert.fields import check_signal
from sealane.api.convert.images import blob_of
from sealane.api.convert.platform import check_platform, matches_platform
from sealane.api.convert.update import update as updated
from sealane.api.filters import containers as selecting
from sealane.api.filters.values import Filters
from sealane.api.http import Reply, Request, empty, json_reply
from sealane.api.router import Route
from sealane.api.schema.container import CreateAnswer, CreateBody, UpdateAnswer, UpdateBody
from sealane.api.schema.container_view import Change, ContainersPruned, Top
from sealane.errors import InvalidArgument, NotFound


async def index(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.ACCEPTED)
    selecting.check(filters)
    before, since = filters.get("before"), filters.get("since")
    selection = selecting.Selection(
        filters=filters,
        all=request.query.flag("all"),
        limit=request.query.integer("limit", 0),
        before=engine.containers.view(before[-1]) if before else None,
        since=engine.containers.view(since[-1]) if since else None,
        ancestors=_ancestors(engine, filters.get("ancestor")),
    )
    chosen = selection.choose(engine.containers.views())
    return json_reply([container_view.summary(view, request.now_ns) for view in chosen])


def _ancestors(engine: Engine, refs: tuple[str, ...]) -> frozenset[str]:
    """The images that *refs* name, and those made from them. Images that do not exist match nothing."""
    if not refs:
        return frozenset()
    found: set[str] = set()
    for ref in refs:
        try:
            found.add(engine.images.get(ref).id)
        except (NotFound, InvalidArgument):
            continue
    images: dict[str, Image] = {image.id: image for image in engine.images.all()}
    return frozenset(found | {name for name in images if _descends(images, name, found)})


def _descends(images: dict[str, Image], name: str, ancestors: set[str]) -> bool:
    seen: set[str] = set()
    while name in images and name not in seen:
        seen.add(name)
        name = images[name].parent or ""
        if name in ancestors:
            return True
    return False


async def create(engine: Engine, request: Request) -> Reply:
    platform = check_platform(request.query.text("platform"))
    body = await request.json(CreateBody)
    asked = container_request(body, request.query.text("name"), request.version, len(os.sched_getaffinity(0)))
    if platform:
        image = blob_of(engine.images.get(asked.image))
        if not matches_platform(platform, image):
            raise NotFound(
                f"image with reference {asked.image} was found but does not match the specified platform:"
                f" wanted {platform}, actual: {image.os}/{image.architecture}"
            )
    try:
        made = await engine.containers.create(asked)
    except NotFound as error:
        engine.images.get(asked.image)  # a 404 means that the image is missing: clients answer it with a pull
        raise InvalidArgument(error.message) from error
    return json_reply(CreateAnswer(made.id, [*warnings(body), *made.warnings]), 201)


async def inspect(engine: Engine, request: Request) -> Reply:
    return json_reply(container_view.inspected(engine.containers.view(request.params["id"])))


async def start(engine: Engine, request: Request) -> Reply:
    await engine.containers.start(request.params["id"], request.query.text("detachKeys") or None)
    return empty()


async def stop(engine: Engine, request: Request) -> Reply:
    await engine.containers.stop(request.params["id"], _timeout(request), _stop_signal(request, "stop"))
    return empty()


async def restart(engine: Engine, request: Request) -> Reply:
    await engine.containers.restart(request.params["id"], _timeout(request), _stop_signal(request, "restart"))
    return empty()


async def kill(engine: Engine, request: Request) -> Reply:
    signal = request.query.text("signal") or "SIGKILL"
    ref = request.params["id"]
    try:
        engine.containers.resolve(ref)
        check_signal(signal)
    except (NotFound, InvalidArgument) as error:
        raise type(error)(f"cannot kill container: {ref}: {error.message}") from None
    await engine.containers.kill(request.params["id"], signal)
    return empty()


def _timeout(request: Request) -> int | None:
    """Seconds to wait for a process before it is killed; negative for as long as it takes."""
    return request.query.integer("t") if request.query.text("t") else None


def _stop_signal(request: Request, verb: str) -> str:
    try:
        return check_signal(request.query.text("signal"))
    except InvalidArgument as error:
        raise InvalidArgument(f"cannot {verb} container: {request.params['id']}: {error.message}") from None


async def pause(engine: Engine, request: Request) -> Reply:
    await engine.containers.pause(request.params["id"])
    return empty()


async def unpause(engine: Engine, request: Request) -> Reply:
    await engine.containers.unpause(request.params["id"])
    return empty()


async def rename(engine: Engine, request: Request) -> Reply:
    name = request.query.text("name")
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    await engine.containers.rename(request.params["id"], name)
    return empty()


async def update(engine: Engine, request: Request) -> Reply:
    body = await request.json(UpdateBody)
    view = engine.containers.view(request.params["id"])
    resources, policy, asked = updated(view, body, len(os.sched_getaffinity(0)))
    said = await engine.containers.update(view.id, resources, policy, asked)
    return json_reply(UpdateAnswer(list(said) or None))


async def resize(engine: Engine, request: Request) -> Reply:
    height, width = terminal_size(request)
    await engine.containers.resize(request.params["id"], height, width)
    return empty(200)


def terminal_size(request: Request) -> tuple[int, int]:
    """``h`` and ``w``. Raises InvalidArgument."""
    height, width = request.query.integer("h"), request.query.integer("w")
    for number in (height, width):
        if not 0 <= number < 65536:
            raise InvalidArgument(f"invalid terminal size {height}x{width}: each should be 0 to 65535")
    return height, width


async def top(engine: Engine, request: Request) -> Reply:
    table = await engine.containers.top(request.params["id"], request.query.text("ps_args") or "-ef")
    return json_reply(Top([list(row) for row in table.rows], list(table.titles)))


async def changes(engine: Engine, request: Request) -> Reply:
    found = await engine.containers.changes(request.params["id"])
    return json_reply([Change(path, kind) for kind, path in found])


async def remove(engine: Engine, request: Request) -> Reply:
    query = request.query
    await engine.containers.remove(
        request.params["id"], force=query.flag("force"), volumes=query.flag("v"), link=query.flag("link")
    )
    return empty()


async def prune(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.PRUNE_ACCEPTED)
    pruned = await engine.containers.prune(selecting.keep_from_prune(filters, request.now_ns))
    return json_reply(ContainersPruned(list(pruned.names) or None, pruned.reclaimed))


ROUTES: Final = (
    Route("GET", "/containers/json", index),
    Route("POST", "/containers/create", create),
    Route("POST", "/containers/prune", prune),
    Route("GET", "/containers/{id}/json", inspect),
    Route("GET", "/containers/{id}/top", top),
    Route("GET", "/containers/{id}/changes", changes),
    Route("POST", "/containers/{id}/start", start),
    Route("POST", "/containers/{id}/stop", stop),
    Route("POST", "/containers/{id}/restart", restart),
    Route("POST", "/containers/{id}/kill", kill),
    Route("POST", "/containers/{id}/pause", pause),
    Route("POST", "/containers/{id}/unpause", unpause),
    Route("POST", "/containers/{id}/rename", rename),
    Route("POST", "/containers/{id}/update", update),
    Route("POST", "/containers/{id}/resize", resize),
    Route("DELETE", "/containers/{id}", remove),
)
