"""The engine itself: ping, version, info, disk usage, login."""

from __future__ import annotations

from typing import Final

from sealane.api.backend import Engine
from sealane.api.convert import system as convert
from sealane.api.convert.container_view import summary as container_summary
from sealane.api.convert.credentials import of
from sealane.api.convert.images import summary as image_summary
from sealane.api.convert.volumes import volume
from sealane.api.http import Reply, Request, Response, json_reply
from sealane.api.router import Route
from sealane.api.schema.image import AuthAnswer, RegistryAuth
from sealane.api.schema.system import DiskUsage
from sealane.errors import InvalidArgument

#: Builder-Version 1 tells the docker CLI that there is no BuildKit here.
_PING_HEADERS: Final = (
    ("Builder-Version", "1"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)
_USAGE_KINDS: Final = ("container", "image", "volume", "build-cache")


async def ping(engine: Engine, request: Request) -> Reply:
    body = b"" if request.method == "HEAD" else b"OK"
    return Response(200, body, "text/plain; charset=utf-8", _PING_HEADERS)


async def version(engine: Engine, request: Request) -> Reply:
    return json_reply(convert.version(engine.system.info()))


async def info(engine: Engine, request: Request) -> Reply:
    return json_reply(convert.info(engine.system.info()))


async def usage(engine: Engine, request: Request) -> Reply:
    """``docker system df``. Sizes that would have to be measured file by file are -1 (not known)."""
    kinds = request.query.texts("type")
    for kind in kinds:
        if kind not in _USAGE_KINDS:
            raise InvalidArgument(f"unknown object type: {kind}")
    wanted = frozenset(kinds or _USAGE_KINDS)
    views = engine.containers.views()
    images = engine.images.all() if "image" in wanted else ()
    counts = {image.id: sum(view.image_id == image.id for view in views) for image in images}
    return json_reply(
        DiskUsage(
            LayersSize=sum(image.size for image in images),
            Images=[image_summary(image, request.version, counts[image.id]) for image in images],
            Containers=[container_summary(view, request.now_ns) for view in views] if "container" in wanted else [],
            Volumes=[volume(view, -1) for view in engine.volumes.views()] if "volume" in wanted else [],
            BuildCache=[],
        )
    )


async def auth(engine: Engine, request: Request) -> Reply:
    """Credentials are shown to the registry; nothing is kept here."""
    body = await request.json(RegistryAuth)
    if not (body.username or body.identitytoken):
        raise InvalidArgument("a login needs a username or an identity token")
    await engine.images.login(body.serveraddress, of(body))
    return json_reply(AuthAnswer("Login Succeeded"))


ROUTES: Final = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("GET", "/system/df", usage),
    Route("POST", "/auth", auth),
)
