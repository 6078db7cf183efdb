"""``prune`` of containers, images, networks, volumes, and of all of them."""

from __future__ import annotations

import sys

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, switch
from sealane.cli.output import filter_option, parse_filters
from sealane.cli.units import human_size
from sealane.client.engine import filters_query
from sealane.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args, Option
    from sealane.client.types import JsonObject


_MISSING: Final = 404
_NOT_SERVED: Final = 501


def _confirmed(app: App, args: Args, warning: str) -> bool:
    if args.flag("force"):
        return True
    app.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _images_text(report: JsonObject) -> str:
    return "".join(
        f"deleted: {item['Deleted']}\n" if item.get("Deleted") else f"untagged: {item['Untagged']}\n"
        for item in report["ImagesDeleted"] or ()
    )


def _names(field: str) -> Callable[[JsonObject], str]:
    return lambda report: "".join(f"{name}\n" for name in report.get(field) or ())


#: What is pruned: path, heading, how the report reads.
_KINDS: Final[dict[str, tuple[str, str, Callable[[JsonObject], str]]]] = {
    "container": ("/containers/prune", "Deleted Containers:", _names("ContainersDeleted")),
    "network": ("/networks/prune", "Deleted Networks:", _names("NetworksDeleted")),
    "volume": ("/volumes/prune", "Deleted Volumes:", _names("VolumesDeleted")),
    "image": ("/images/prune", "Deleted Images:", _images_text),
}


def _prune(app: App, kind: str, filters: dict[str, list[str]]) -> tuple[str, int]:
    """(what was removed, as text with its heading, bytes won)"""
    where, heading, read = _KINDS[kind]
    report = app.engine.post(where, {"filters": filters_query(filters)})
    removed = read(report)
    return (f"{heading}\n{removed}\n" if removed else ""), int(report.get("SpaceReclaimed") or 0)


def _of_kind(kind: str, warning: str, more_warning: str = "") -> Callable[[App, Args], int]:
    def run(app: App, args: Args) -> int:
        filters = parse_filters(args.many("filter"))
        everything = kind in ("image", "volume") and args.flag("all")
        if everything and kind == "volume" and "all" in filters:
            raise Failure("conflicting options: cannot specify both --all and --filter all=1")
        if not _confirmed(app, args, more_warning if everything else warning):
            return 0
        if kind == "image":
            filters["dangling"] = ["false" if everything else "true"]
        elif everything:
            filters["all"] = ["1"]
        text, won = _prune(app, kind, filters)
        app.write(text)
        if kind != "network":
            app.say(f"Total reclaimed space: {human_size(won)}")
        return 0

    return run


def _system(app: App, args: Args) -> int:
    if args.flag("volumes") and any(item.startswith("until") for item in args.many("filter")):
        raise Failure('ERROR: The "until" filter is not supported with "--volumes"')
    if not _confirmed(app, args, _system_warning(args)):
        return 0
    won = 0
    kinds = ["container", "network", *(["volume"] if args.flag("volumes") else []), "image"]
    for kind in kinds:
        filters = parse_filters(args.many("filter"))
        if kind == "image":
            filters["dangling"] = ["false" if args.flag("all") else "true"]
        text, reclaimed = _prune(app, kind, filters)
        app.write(text)
        won += reclaimed
    won += _prune_build_cache(app, args)
    app.say(f"Total reclaimed space: {human_size(won)}")
    return 0


def _prune_build_cache(app: App, args: Args) -> int:
    """Bytes won; an engine that builds nothing has no such path."""
    filters = parse_filters(args.many("filter"))
    try:
        report = app.engine.post("/build/prune", {"all": args.flag("all"), "filters": filters_query(filters)})
    except ApiError as error:
        if error.status in (_MISSING, _NOT_SERVED):
            return 0
        raise
    removed = _names("CachesDeleted")(report)
    app.write(f"Deleted build cache objects:\n{removed}\n" if removed else "")
    return int(report.get("SpaceReclaimed") or 0)


def _system_warning(args: Args) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if args.flag("volumes"):
        lines.append("all anonymous volumes not used by at least one container")
    lines.append(
        "all images without at least one container associated to them" if args.flag("all") else "all dangling images"
    )
    lines.append("all build cache" if args.flag("all") else "unused build cache")
    warning = "This will remove:\n" + "".join(f"  - {line}\n" for line in lines)
    if args.many("filter"):
        items = sorted(args.many("filter"))
        warning += "\n  Items to be pruned will be filtered with:\n" + "".join(f"  - {item}\n" for item in items)
    return warning


def _options(*more: Option) -> tuple[Option, ...]:
    return (*more, filter_option(""), switch("force", "f", "Do not ask"))


CONTAINER_PRUNE = Command(
    "container prune",
    "",
    "Remove all stopped containers",
    _of_kind("container", "This will remove all stopped containers."),
    _options(),
    most=0,
)
IMAGE_PRUNE = Command(
    "image prune",
    "",
    "Remove unused images",
    _of_kind(
        "image",
        "This will remove all dangling images.",
        "This will remove all images without at least one container associated to them.",
    ),
    _options(switch("all", "a", "All unused images, not only those without a name")),
    most=0,
)
NETWORK_PRUNE = Command(
    "network prune",
    "",
    "Remove all unused networks",
    _of_kind("network", "This will remove all custom networks not used by at least one container."),
    _options(),
    most=0,
)
VOLUME_PRUNE = Command(
    "volume prune",
    "",
    "Remove unused volumes",
    _of_kind(
        "volume",
        "This will remove anonymous local volumes not used by at least one container.",
        "This will remove all local volumes not used by at least one container.",
    ),
    _options(switch("all", "a", "All unused volumes, not only anonymous ones")),
    most=0,
)
SYSTEM_PRUNE = Command(
    "system prune",
    "",
    "Remove all that is unused",
    _system,
    _options(
        switch("all", "a", "All unused images, not only those without a name"),
        switch("volumes", "", "Anonymous volumes too"),
    ),
    most=0,
)
