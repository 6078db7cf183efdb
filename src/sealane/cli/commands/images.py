"""``sealane images``: list images."""

from __future__ import annotations

import time

from sealane.cli.grammar import Command, switch
from sealane.cli.output import Listing, filter_option, format_option, parse_filters, short_id, wanted_format
from sealane.cli.units import human_duration, human_size, local_stamp
from sealane.client.engine import filters_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.cli.output import Columns
    from sealane.client.types import JsonObject

_NONE: Final = "<none>"


def run(app: App, args: Args) -> int:
    filters = parse_filters(args.many("filter"))
    if args.operands:
        filters.setdefault("reference", []).append(args.operands[0])
    form = wanted_format(app, args, "imagesFormat")
    digests = args.flag("digests")
    images = app.engine.get("/images/json", {"all": args.flag("all"), "filters": filters_query(filters)})
    rows = [row for image in images for row in image_rows(image, digests=digests or ".Digest" in form)]
    whole = args.flag("no-trunc")
    if args.flag("quiet"):
        for row in rows:
            app.say(row["Id"] if whole else short_id(row["Id"]))
        return 0
    app.write(listing(time.time(), whole=whole, digests=digests).show(rows, form))
    return 0


def image_rows(image: JsonObject, *, digests: bool) -> list[JsonObject]:
    """One row for each name of the image (and digest, when those are shown), at least one."""
    tags = [tag.rpartition(":") for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]
    by_repository: dict[str, list[str]] = {}
    for name in image.get("RepoDigests") or ():
        repository, _, digest = name.partition("@")
        if repository != _NONE:
            by_repository.setdefault(repository, []).append(digest)
    rows = []
    for repository, _, tag in tags:
        for digest in (by_repository.get(repository) if digests else None) or [_NONE]:
            rows.append({**image, "repository": repository, "tag": tag, "digest": digest})
    named = {repository for repository, _, _ in tags}
    for repository, values in by_repository.items():
        if repository not in named:
            rows += [
                {**image, "repository": repository, "tag": _NONE, "digest": value}
                for value in (values if digests else [_NONE])
            ]
    return rows or [{**image, "repository": _NONE, "tag": _NONE, "digest": _NONE}]


def listing(now: float, *, whole: bool, digests: bool) -> Listing:
    """The columns of ``images``."""
    columns: Columns = {
        "Repository": ("REPOSITORY", lambda source: source["repository"]),
        "Tag": ("TAG", lambda source: source["tag"]),
        "Digest": ("DIGEST", lambda source: source["digest"]),
        "ID": ("IMAGE ID", lambda source: source["Id"] if whole else short_id(source["Id"])),
        "CreatedSince": ("CREATED", lambda source: _since(now, source["Created"])),
        "CreatedAt": ("CREATED AT", lambda source: local_stamp(source["Created"])),
        "Size": ("SIZE", lambda source: human_size(source["Size"])),
        "Containers": ("CONTAINERS", lambda source: _known(source, "Containers")),
        "SharedSize": ("SHARED SIZE", lambda source: _known_size(source, "SharedSize")),
        "UniqueSize": ("UNIQUE SIZE", _unique_size),
        "VirtualSize": ("SIZE", lambda source: human_size(source["Size"], 4)),
    }
    shown = ["Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size"]
    raw = [("repository", "Repository"), ("tag", "Tag"), *([("digest", "Digest")] if digests else [])]
    raw += [("image_id", "ID"), ("created_at", "CreatedAt"), ("virtual_size", "Size")]
    return Listing("*formatter.imageContext", columns, shown, raw=raw)


def _since(now: float, created: int) -> str:
    return "N/A" if created <= 0 else human_duration(now - created) + " ago"


def _known(source: JsonObject, field: str) -> str:
    value = source.get(field, -1)
    return "N/A" if value == -1 else str(value)


def _known_size(source: JsonObject, field: str) -> str:
    value = source.get(field, -1)
    return "N/A" if value == -1 else human_size(value)


def _unique_size(source: JsonObject) -> str:
    shared = source.get("SharedSize", -1)
    return "N/A" if shared == -1 else human_size(source["Size"] - shared, 4)


IMAGES = Command(
    "images",
    "[REPOSITORY[:TAG]]",
    "List images",
    run,
    (
        switch("all", "a", "Show intermediate images too"),
        switch("digests", "", "Show digests"),
        filter_option(),
        format_option(),
        switch("no-trunc", "", "Cut nothing short"),
        switch("quiet", "q", "Print only ids"),
    ),
    most=1,
    aliases=("image ls", "image list", "images"),
    complete="image",
)
