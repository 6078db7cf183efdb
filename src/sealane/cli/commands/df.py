"""``sealane system df``: what takes up the disk."""

from __future__ import annotations

import time

from sealane.cli.commands.images import image_rows
from sealane.cli.commands.images import listing as images_listing
from sealane.cli.commands.ps import listing as containers_listing
from sealane.cli.commands.volume import listing as volumes_listing
from sealane.cli.grammar import Command, switch
from sealane.cli.output import Listing, format_option, show_struct
from sealane.cli.table import align
from sealane.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.cli.output import Columns
    from sealane.client.types import JsonObject

_ACTIVE: Final = ("running", "paused", "restarting")


def run(app: App, args: Args) -> int:
    usage = app.engine.get("/system/df")
    form = args.text("format")
    if not args.flag("verbose"):
        app.write(_listing().show(summary(usage), form))
    elif form in ("", "table"):
        app.write(_verbose(usage))
    else:
        _show_all(app, usage, form)
    return 0


def _show_all(app: App, usage: JsonObject, form: str) -> None:
    """Every object through one template (``-v --format``)."""
    now = time.time()
    containers = containers_listing(now, whole=True, sized=True)
    images = images_listing(now, whole=True, digests=False)
    rows = [image_rows(image, digests=False)[0] for image in usage.get("Images") or []]
    volumes = [{**volume, **_links(volume)} for volume in usage.get("Volumes") or []]
    data: JsonObject = {
        "Images": [images.row(row).plain() for row in rows],
        "Containers": [containers.row({**item, "SizeRootFs": 0}).plain() for item in usage.get("Containers") or []],
        "Volumes": [volumes_listing().row(volume).plain() for volume in volumes],
        "BuildCache": [],
    }
    show_struct(app, "*formatter.diskUsageContext", data, form.removeprefix("table "))


def _links(volume: JsonObject) -> JsonObject:
    data = volume.get("UsageData") or {"Size": 0, "RefCount": 0}
    return {"Links": str(data["RefCount"]), "Size": human_size(max(0, data["Size"]))}


def summary(usage: JsonObject) -> list[JsonObject]:
    """One row for each kind of object: how many, how many in use, size, and what pruning would win."""
    images, containers = usage.get("Images") or [], usage.get("Containers") or []
    volumes, caches = usage.get("Volumes") or [], usage.get("BuildCache") or []
    # An engine that has not counted says -1; Docker's client then takes the image for unused.
    counted = [image for image in images if image["Containers"] and -1 not in (image["Size"], image["SharedSize"])]
    used = sum(image["Size"] - image["SharedSize"] for image in counted)
    layers = usage.get("LayersSize") or 0
    idle = [container for container in containers if container["State"] not in _ACTIVE]
    sized = [volume.get("UsageData") or {"Size": 0, "RefCount": 0} for volume in volumes]
    unused = sum(max(0, data["Size"]) for data in sized if not data["RefCount"])
    return [
        _row("Images", len(images), sum(bool(image["Containers"]) for image in images), layers, layers - used),
        _row("Containers", len(containers), len(containers) - len(idle), _rw(containers), _rw(idle)),
        _row(
            "Local Volumes",
            len(volumes),
            sum(data["RefCount"] > 0 for data in sized),
            sum(max(0, data["Size"]) for data in sized),
            unused,
        ),
        _row("Build Cache", len(caches), 0, 0, 0, percent=False),
    ]


def _rw(containers: Sequence[JsonObject]) -> int:
    return sum(container.get("SizeRw") or 0 for container in containers)


def _row(kind: str, total: int, active: int, size: int, reclaimable: int, *, percent: bool = True) -> JsonObject:
    text = human_size(max(0, reclaimable), 4)
    if percent and size > 0:
        text += f" ({max(0, reclaimable) * 100 // size}%)"
    return {"type": kind, "total": str(total), "active": str(active), "size": human_size(size, 4), "reclaimable": text}


def _listing() -> Listing:
    columns: Columns = {
        "Type": ("TYPE", lambda source: source["type"]),
        "TotalCount": ("TOTAL", lambda source: source["total"]),
        "Active": ("ACTIVE", lambda source: source["active"]),
        "Size": ("SIZE", lambda source: source["size"]),
        "Reclaimable": ("RECLAIMABLE", lambda source: source["reclaimable"]),
    }
    raw = [(heading.lower(), name) for name, (heading, _) in columns.items()]
    return Listing("*formatter.diskUsageImagesContext", columns, list(columns), raw=raw)


def _verbose(usage: JsonObject) -> str:
    now = time.time()
    return (
        "Images space usage:\n\n"
        + _images(usage.get("Images") or [], now)
        + "\nContainers space usage:\n\n"
        + _containers(usage.get("Containers") or [], now)
        + "\nLocal Volumes space usage:\n\n"
        + _volumes(usage.get("Volumes") or [])
        + "\nBuild cache usage: 0B\n\n"
        + align([["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"]])
    )


def _images(images: Sequence[JsonObject], now: float) -> str:
    # Only the first name of each image, as Docker shows it.
    names = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
    rows = [image_rows(image, digests=False)[0] for image in images]
    return _chosen(images_listing(now, whole=False, digests=False), names, rows)


def _containers(containers: Sequence[JsonObject], now: float) -> str:
    names = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    rows = [{**container, "SizeRootFs": 0} for container in containers]
    return _chosen(containers_listing(now, whole=False, sized=False), names, rows)


def _chosen(listing: Listing, names: Sequence[str], sources: Sequence[JsonObject]) -> str:
    """A table of other columns than the usual ones."""
    return Listing(listing.kind, listing.columns, names).show(sources, "")


def _volumes(volumes: Sequence[JsonObject]) -> str:
    rows = [["VOLUME NAME", "LINKS", "SIZE"]]
    for volume in volumes:
        rows.append([volume["Name"], *_links(volume).values()])
    return align(rows)


DF = Command(
    "system df",
    "",
    "Show what takes up the disk",
    run,
    (format_option(), switch("verbose", "v", "Show every object")),
    most=0,
)
