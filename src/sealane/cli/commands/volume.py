"""``sealane volume create``, ``ls`` and ``rm``."""

from __future__ import annotations

from sealane.cli.commands.network_ls import natural
from sealane.cli.environment import labels, pairs
from sealane.cli.failures import describe
from sealane.cli.grammar import Command, many, switch, text
from sealane.cli.output import (
    Listing,
    filter_option,
    format_option,
    label_of,
    labels_text,
    parse_filters,
    wanted_format,
)
from sealane.client.engine import filters_query, path
from sealane.client.errors import ApiError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.cli.output import Columns


def _create(app: App, args: Args) -> int:
    body = {
        "Name": args.operands[0] if args.operands else args.text("name"),
        "Driver": args.text("driver"),
        "DriverOpts": pairs(args.many("opt")),
        "Labels": labels((), args.many("label")),
    }
    app.say(app.engine.post("/volumes/create", {}, body)["Name"])
    return 0


def _ls(app: App, args: Args) -> int:
    answer = app.engine.get("/volumes", {"filters": filters_query(parse_filters(args.many("filter")))})
    volumes = sorted(answer["Volumes"] or [], key=lambda volume: natural(volume["Name"]))
    if args.flag("quiet"):
        for volume in volumes:
            app.say(volume["Name"])
        return 0
    app.write(listing().show(volumes, wanted_format(app, args, "volumesFormat")))
    return 0


def listing() -> Listing:
    """The columns of ``volume ls``."""
    columns: Columns = {
        "Name": ("VOLUME NAME", lambda source: source["Name"]),
        "Driver": ("DRIVER", lambda source: source["Driver"]),
        "Scope": ("SCOPE", lambda source: source["Scope"]),
        "Mountpoint": ("MOUNTPOINT", lambda source: source["Mountpoint"]),
        "Labels": ("LABELS", lambda source: labels_text(source["Labels"])),
        "Label": ("", lambda source, name: label_of(source["Labels"], name)),
        "Links": ("LINKS", lambda source: source.get("Links", "N/A")),
        "Size": ("SIZE", lambda source: source.get("Size", "N/A")),
        "Status": ("STATUS", lambda source: "N/A"),
        "Availability": ("AVAILABILITY", lambda source: "N/A"),
        "Group": ("GROUP", lambda source: "N/A"),
    }
    return Listing(
        "*formatter.volumeContext", columns, ["Driver", "Name"], raw=[("name", "Name"), ("driver", "Driver")]
    )


def _rm(app: App, args: Args) -> int:
    code = 0
    for name in args.operands:
        try:
            app.engine.call("DELETE", path("volumes", name), {"force": args.flag("force")})
            app.say(name)
        except (ApiError, Unreachable) as error:
            app.complain(describe(error))
            code = 1
    return code


CREATE = Command(
    "volume create",
    "[VOLUME]",
    "Create a volume",
    _create,
    (
        text("driver", "d", "Driver of the volume", default="local"),
        text("name", "", "Name of the volume", hidden=True),
        many("label", "", "Set a label"),
        many("opt", "o", "Options of the driver", meta="map"),
    ),
    most=1,
)
LS = Command(
    "volume ls",
    "",
    "List volumes",
    _ls,
    (filter_option(), format_option(), switch("quiet", "q", "Print only names")),
    most=0,
    aliases=("volume ls", "volume list"),
)
RM = Command(
    "volume rm",
    "VOLUME [VOLUME...]",
    "Remove volumes",
    _rm,
    (switch("force", "f", "No error when the volume does not exist"),),
    least=1,
    aliases=("volume rm", "volume remove"),
    complete="volume",
)
