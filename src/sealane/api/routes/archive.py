"""Files of a container: archive (``docker cp``) and export."""

from __future__ import annotations

import base64
from typing import Final

import msgspec

from sealane.api.backend import Engine
from sealane.api.convert.times import EPOCH, stamp
from sealane.api.http import Header, Reply, Request, Response, Stream, empty
from sealane.api.router import Route
from sealane.api.schema.container_view import ArchiveStat
from sealane.engine.model import PathStat
from sealane.errors import InvalidArgument


def _path(request: Request) -> str:
    path = request.query.text("path")
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    return path


def _stat_header(stat: PathStat) -> Header:
    shown = ArchiveStat(
        stat.name, stat.size, stat.mode, stamp(stat.mtime_ns) if stat.mtime_ns else EPOCH, stat.link_target
    )
    return ("X-Docker-Container-Path-Stat", base64.b64encode(msgspec.json.encode(shown)).decode())


async def head(engine: Engine, request: Request) -> Reply:
    stat = await engine.containers.archive_stat(request.params["id"], _path(request))
    return Response(200, headers=(_stat_header(stat),))


async def get(engine: Engine, request: Request) -> Reply:
    ref, path = request.params["id"], _path(request)
    stat = await engine.containers.archive_stat(ref, path)
    return Stream(engine.containers.archive_get(ref, path), "application/x-tar", (_stat_header(stat),))


async def put(engine: Engine, request: Request) -> Reply:
    await engine.containers.archive_put(
        request.params["id"],
        _path(request),
        aiter(request.body),
        no_overwrite_dir_non_dir=request.query.flag("noOverwriteDirNonDir"),
        copy_uid_gid=request.query.flag("copyUIDGID"),
    )
    return empty(200)


async def export(engine: Engine, request: Request) -> Reply:
    view = engine.containers.view(request.params["id"])
    return Stream(engine.containers.export(view.id), "application/octet-stream")


ROUTES: Final = (
    Route("HEAD", "/containers/{id}/archive", head),
    Route("GET", "/containers/{id}/archive", get),
    Route("PUT", "/containers/{id}/archive", put),
    Route("GET", "/containers/{id}/export", export),
)
