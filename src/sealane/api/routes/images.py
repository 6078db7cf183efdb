"""Images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, TypeVar

from sealane.api.backend import Engine, Image, Progress
from sealane.api.convert import images as convert
from sealane.api.convert.credentials import credentials
from sealane.api.convert.platform import check_platform
from sealane.api.filters import images as selecting
from sealane.api.filters.values import Filters
from sealane.api.http import Reply, Request, Stream, empty, json_bytes, json_reply
from sealane.api.iterating import closing
from sealane.api.router import Route
from sealane.api.schema.image import (
    ErrorDetail,
    ImagesPruned,
    ImageSummary,
    ProgressDetail,
    ProgressLine,
)
from sealane.api.versions import ApiVersion
from sealane.errors import Forbidden, InvalidArgument, SealaneError, Unauthorized, Unsupported

T = TypeVar("T")


async def index(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.ACCEPTED)
    if request.query.text("filter") and request.version < ApiVersion(1, 41):
        filters = Filters({"reference": (request.query.text("filter"),)})
    before, since = filters.get("before"), filters.get("since")
    selection = selecting.Selection(
        filters=filters,
        now_ns=request.now_ns,
        before=engine.images.get(before[-1]) if before else None,
        since=engine.images.get(since[-1]) if since else None,
    )
    shown = [entry for image in engine.images.all() if (entry := _entry(selection, image, request.version))]
    return json_reply(sorted(shown, key=lambda entry: entry.Created, reverse=True))


def _entry(selection: selecting.Selection, image: Image, version: ApiVersion) -> ImageSummary | None:
    if not selection.wanted(image):
        return None
    names = selection.names(image)
    if names is None:
        return None
    entry = convert.summary(image, version)
    entry.RepoTags, entry.RepoDigests = names
    return entry


async def inspect(engine: Engine, request: Request) -> Reply:
    image = engine.images.get(request.params["name"])
    return json_reply(convert.inspected(image, engine.images.layers(image.id), request.version))


async def history(engine: Engine, request: Request) -> Reply:
    return json_reply([convert.history_line(entry) for entry in engine.images.history(request.params["name"])])


async def create(engine: Engine, request: Request) -> Reply:
    """Pull (``fromImage``) or import (``fromSrc``)."""
    query = request.query
    if query.text("fromSrc"):
        return await _import(engine, request)
    name, tag = query.text("fromImage"), query.text("tag")
    if not name:
        raise InvalidArgument("invalid reference format: fromImage is empty")
    if tag and not _looks_like_tag(tag):
        raise InvalidArgument("invalid tag format")
    platform = check_platform(query.text("platform"))
    await request.read()
    progress = engine.images.pull(name, tag, platform, credentials(request.headers.get("x-registry-auth", "")))
    try:
        first = await _first(progress)
    except Unauthorized as error:
        # Not 401: the docker command line takes that for the engine's own question, and asks the user for a password.
        raise Forbidden(error.message) from error
    return Stream(_progress_lines(first, progress))


def _looks_like_tag(text: str) -> bool:
    return all(character.isascii() and (character.isalnum() or character in "_.-:") for character in text)


async def _first(items: AsyncIterator[T]) -> T | None:
    """Take one step, so that what fails at once is answered with its own status."""
    return await anext(items, None)


async def _progress_lines(first: Progress | None, rest: AsyncIterator[Progress]) -> AsyncIterator[bytes]:
    if first is None:
        return
    try:
        async with closing(rest):
            yield _progress_line(first)
            async for item in rest:
                yield _progress_line(item)
    except SealaneError as error:  # the head is out: errors go into the stream, as clients expect
        yield _error_line(error)


def _progress_line(item: Progress) -> bytes:
    detail = ProgressDetail(item.current, item.total) if item.id else None
    return json_bytes(ProgressLine(status=item.status, progressDetail=detail, id=item.id))


def _error_line(error: SealaneError) -> bytes:
    return json_bytes(ProgressLine(errorDetail=ErrorDetail(error.message), error=error.message))


async def _import(engine: Engine, request: Request) -> Reply:
    query = request.query
    if query.text("fromSrc") != "-":
        raise Unsupported("importing from a URL is not served; download the archive and send it (fromSrc=-)")
    repo, tag = query.text("repo"), query.text("tag")
    platform = check_platform(query.text("platform"))
    target = f"{repo}:{tag}" if repo and tag else repo
    identifier = await engine.images.import_(
        aiter(request.body), target, query.texts("changes"), query.text("message"), platform
    )

    async def lines() -> AsyncIterator[bytes]:
        yield json_bytes(ProgressLine(status=identifier))

    return Stream(lines())


async def load(engine: Engine, request: Request) -> Reply:
    lines = engine.images.load(aiter(request.body))
    first = await _first(lines)
    return Stream(_load_lines(first, lines))


async def _load_lines(first: str | None, rest: AsyncIterator[str]) -> AsyncIterator[bytes]:
    if first is None:
        return
    try:
        async with closing(rest):
            yield json_bytes(ProgressLine(stream=first))
            async for line in rest:
                yield json_bytes(ProgressLine(stream=line))
    except SealaneError as error:
        yield _error_line(error)


async def save(engine: Engine, request: Request) -> Reply:
    """One image (name in the path) or several (``names``)."""
    name = request.params.get("name")
    names = (name,) if name else tuple(part for text in request.query.texts("names") for part in text.split(","))
    if not names:
        raise InvalidArgument("no image was named")
    return Stream(engine.images.save(names), "application/x-tar")


async def tag(engine: Engine, request: Request) -> Reply:
    repo, label = request.query.text("repo"), request.query.text("tag")
    if not repo:
        raise InvalidArgument("invalid reference format: repo is empty")
    if label and not _looks_like_tag(label):
        raise InvalidArgument("invalid tag format")
    engine.images.get(request.params["name"])
    await engine.images.tag(request.params["name"], f"{repo}:{label}" if label else repo)
    return empty(201)


async def remove(engine: Engine, request: Request) -> Reply:
    query = request.query
    removed = await engine.images.remove(request.params["name"], query.flag("force"), not query.flag("noprune"))
    return json_reply([convert.removed(line) for line in removed])


async def prune(engine: Engine, request: Request) -> Reply:
    filters = Filters.decode(request.query.text("filters"), selecting.PRUNE_ACCEPTED)
    dangling = filters.flag("dangling") is not False
    removed, reclaimed = await engine.images.prune(dangling, selecting.keep_from_prune(filters, request.now_ns))
    return json_reply(ImagesPruned([convert.removed(line) for line in removed] or None, reclaimed))


async def push(engine: Engine, request: Request) -> Reply:
    raise Unsupported("pushing images is not served yet")


async def search(engine: Engine, request: Request) -> Reply:
    raise Unsupported("searching registries is not served: registries other than Docker Hub have no search")


async def commit(engine: Engine, request: Request) -> Reply:
    raise Unsupported("commit is not served yet")


async def build(engine: Engine, request: Request) -> Reply:
    raise Unsupported("building images is not served yet; build elsewhere and load or pull the result")


async def session(engine: Engine, request: Request) -> Reply:
    raise Unsupported("BuildKit sessions are not served; set DOCKER_BUILDKIT=0")


async def build_prune(engine: Engine, request: Request) -> Reply:
    return json_reply({"CachesDeleted": None, "SpaceReclaimed": 0})


async def distribution(engine: Engine, request: Request) -> Reply:
    raise Unsupported("looking into registries without pulling is not served yet")


ROUTES: Final = (
    Route("GET", "/images/json", index),
    Route("GET", "/images/search", search, refused="registries other than Docker Hub have no search"),
    Route("GET", "/images/get", save),
    Route("POST", "/images/create", create),
    Route("POST", "/images/load", load),
    Route("POST", "/images/prune", prune),
    Route("GET", "/images/{name*}/get", save),
    Route("GET", "/images/{name*}/history", history),
    Route("GET", "/images/{name*}/json", inspect),
    Route("POST", "/images/{name*}/push", push, refused="not yet"),
    Route("POST", "/images/{name*}/tag", tag),
    Route("DELETE", "/images/{name*}", remove),
    Route("POST", "/commit", commit, refused="not yet"),
    Route("POST", "/build", build, refused="not yet"),
    Route("POST", "/build/prune", build_prune),
    Route("POST", "/session", session, refused="BuildKit sessions are not served"),
    Route("POST", "/grpc", session, refused="BuildKit sessions are not served"),
    Route("GET", "/distribution/{name*}/json", distribution, refused="not yet"),
)
