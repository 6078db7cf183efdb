"""``sealane history``: the layers of an image."""

from __future__ import annotations

import time

from sealane.cli.grammar import Command, switch, text
from sealane.cli.output import Listing, format_option, short_id
from sealane.cli.platforms import platform_query
from sealane.cli.table import ellipsis
from sealane.cli.units import human_duration, human_size
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.cli.output import Columns
    from sealane.client.types import JsonObject

_CREATED_BY: Final = 45


def run(app: App, args: Args) -> int:
    query = {"platform": platform_query(app, args, "1.48")}
    layers = app.engine.get(path("images", args.operands[0], "history"), query)
    whole, human = args.flag("no-trunc"), args.flag("human")
    if args.flag("quiet"):
        for layer in layers:
            app.say(layer["Id"] if whole else _short(layer["Id"]))
        return 0
    app.write(_listing(time.time(), whole=whole, human=human).show(layers, args.text("format")))
    return 0


def _listing(now: float, *, whole: bool, human: bool) -> Listing:
    def created_by(source: JsonObject) -> str:
        text = str(source["CreatedBy"]).replace("\t", " ")
        return text if whole else ellipsis(text, _CREATED_BY)

    def size(source: JsonObject) -> str:
        return human_size(source["Size"]) if human else str(source["Size"])

    def since(source: JsonObject) -> str:
        return _since(now, source["Created"]) if human else _date(source["Created"])

    columns: Columns = {
        "ID": ("IMAGE", lambda source: source["Id"] if whole else _short(source["Id"])),
        "CreatedSince": ("CREATED", since),
        "CreatedAt": ("CREATED AT", lambda source: _date(source["Created"])),
        "CreatedBy": ("CREATED BY", created_by),
        "Size": ("SIZE", size),
        "Comment": ("COMMENT", lambda source: source["Comment"]),
    }
    shown = ["ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment"]
    return Listing("*image.historyContext", columns, shown)


def _short(identifier: str) -> str:
    return identifier if identifier == "<missing>" else short_id(identifier)


def _since(now: float, created: int) -> str:
    return "N/A" if created <= -62135596800 else human_duration(now - created) + " ago"


def _date(created: int) -> str:
    """Epoch seconds as RFC 3339 in local time."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(created))
    return text[:-5] + ("Z" if text.endswith("+0000") else f"{text[-5:-2]}:{text[-2:]}")


HISTORY = Command(
    "history",
    "IMAGE",
    "Show the layers of an image",
    run,
    (
        format_option(),
        switch("human", "H", "Sizes and dates in words", default=True),
        text("platform", "", "Only this platform (os/architecture)"),
        switch("no-trunc", "", "Cut nothing short"),
        switch("quiet", "q", "Print only ids"),
    ),
    least=1,
    most=1,
    aliases=("image history", "history"),
    complete="image",
)
