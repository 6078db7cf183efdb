"""``sealane ps``: list containers."""

from __future__ import annotations

import time

from sealane.cli.grammar import Command, number, switch
from sealane.cli.output import (
    Listing,
    filter_option,
    format_option,
    label_of,
    labels_text,
    parse_filters,
    short_id,
    wanted_format,
)
from sealane.cli.ports_text import ports_text
from sealane.cli.quoting import go_quote
from sealane.cli.table import ellipsis
from sealane.cli.units import human_duration, human_size, local_stamp
from sealane.client.engine import filters_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.cli.output import Columns
    from sealane.client.types import JsonObject

_COMMAND_WIDTH: Final = 20
_MOUNT_WIDTH: Final = 15
_RAW: Final = (
    ("container_id", "ID"), ("image", "Image"), ("command", "Command"), ("created_at", "CreatedAt"),
    ("state", "State"), ("status", "Status"), ("names", "Names"), ("labels", "Labels"), ("ports", "Ports"),
)  # fmt: skip
_WORDS: Final = ("failed to parse template", "failed to execute template")


def run(app: App, args: Args) -> int:
    form = wanted_format(app, args, "psFormat")
    sized = args.flag("size") or ".Size" in form or "json ." in form
    last = args.number("last")
    limit = 1 if args.flag("latest") else last if last and last > 0 else None
    query = {
        "all": args.flag("all"),
        "limit": limit,
        "size": sized,
        "filters": filters_query(parse_filters(args.many("filter"))),
    }
    containers = app.engine.get("/containers/json", query)
    if args.flag("quiet") and form in ("", "table", "raw"):
        head = "container_id: " if form == "raw" else ""
        for container in containers:
            app.say(head + (container["Id"] if args.flag("no-trunc") else short_id(container["Id"])))
        return 0
    app.write(listing(time.time(), whole=args.flag("no-trunc"), sized=args.flag("size")).show(containers, form))
    return 0


def listing(now: float, *, whole: bool, sized: bool) -> Listing:
    """The columns of ``ps``. *whole*: nothing is cut short."""

    def command(source: JsonObject) -> str:
        text = source["Command"]
        return go_quote(text if whole else ellipsis(text, _COMMAND_WIDTH))

    columns: Columns = {
        "ID": ("CONTAINER ID", lambda source: source["Id"] if whole else short_id(source["Id"])),
        "Image": ("IMAGE", lambda source: _image(source, whole)),
        "Command": ("COMMAND", command),
        "CreatedAt": ("CREATED AT", lambda source: local_stamp(source["Created"])),
        "RunningFor": ("CREATED", lambda source: human_duration(now - source["Created"]) + " ago"),
        "Status": ("STATUS", lambda source: source["Status"]),
        "State": ("STATE", lambda source: source["State"]),
        "Ports": ("PORTS", lambda source: ports_text(source["Ports"] or ())),
        "Names": ("NAMES", lambda source: names(source, whole)),
        "Size": ("SIZE", _size),
        "Labels": ("LABELS", lambda source: labels_text(source["Labels"])),
        "Label": ("", lambda source, name: label_of(source["Labels"], name)),
        "Mounts": ("MOUNTS", lambda source: _mounts(source, whole)),
        "LocalVolumes": ("LOCAL VOLUMES", lambda source: str(_local_volumes(source))),
        "Networks": ("NETWORKS", _networks),
        "Platform": ("PLATFORM", _platform),
    }
    shown = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"]
    raw = [*_RAW, ("size", "Size")] if sized else _RAW
    table = [*shown, "Size"] if sized else shown
    return Listing("*formatter.ContainerContext", columns, table, raw=raw, words=_WORDS, proven=True)


def names(source: JsonObject, whole: bool) -> str:
    """Names without their slash; the names that links give stand only in the whole form."""
    plain = [name.removeprefix("/") for name in source["Names"] or ()]
    return ",".join(name for name in plain if whole or "/" not in name)


def _platform(source: JsonObject) -> object:
    from sealane.cli.go_values import NIL

    return (source.get("ImageManifestDescriptor") or {}).get("platform") or NIL


def _image(source: JsonObject, whole: bool) -> str:
    image = str(source["Image"])
    if not image:
        return "<no image>"
    if whole:
        return image
    if image.startswith("sha256:") or short_id(image) == short_id(source.get("ImageID") or ""):
        return short_id(image)
    return image.partition("@")[0]


def _size(source: JsonObject) -> str:
    text = human_size(source.get("SizeRw") or 0)
    virtual = source.get("SizeRootFs") or 0
    return f"{text} (virtual {human_size(virtual)})" if virtual > 0 else text


def _mounts(source: JsonObject, whole: bool) -> str:
    shown = [str(mount.get("Name") or mount.get("Source") or "") for mount in source.get("Mounts") or ()]
    return ",".join(name if whole else ellipsis(name, _MOUNT_WIDTH) for name in shown)


def _local_volumes(source: JsonObject) -> int:
    return sum(mount.get("Driver") == "local" for mount in source.get("Mounts") or ())


def _networks(source: JsonObject) -> str:
    return ",".join((source.get("NetworkSettings") or {}).get("Networks") or ())


PS = Command(
    "ps",
    "",
    "List containers",
    run,
    (
        switch("all", "a", "Show stopped containers too"),
        filter_option(),
        format_option(),
        number("last", "n", "Show the newest so many containers, stopped ones too", default="-1"),
        switch("latest", "l", "Show the newest container"),
        switch("no-trunc", "", "Cut nothing short"),
        switch("quiet", "q", "Print only ids"),
        switch("size", "s", "Show sizes"),
    ),
    most=0,
    aliases=("container ls", "container list", "container ps", "ps"),
)
