"""``sealane network ls``: list networks."""

from __future__ import annotations

from sealane.cli.grammar import Command, switch
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
from sealane.client.engine import filters_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.cli.output import Columns


def run(app: App, args: Args) -> int:
    networks = app.engine.get("/networks", {"filters": filters_query(parse_filters(args.many("filter")))})
    networks.sort(key=lambda network: natural(network["Name"]))
    whole = args.flag("no-trunc")
    if args.flag("quiet"):
        for network in networks:
            app.say(network["Id"] if whole else short_id(network["Id"]))
        return 0
    app.write(listing(whole=whole).show(networks, wanted_format(app, args, "networksFormat")))
    return 0


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key in which ``net10`` comes after ``net9``."""
    parts: list[tuple[int, int, str]] = []
    digits = ""
    for letter in name:
        if letter.isdigit():
            digits += letter
            continue
        if digits:
            parts.append((0, int(digits), ""))
            digits = ""
        parts.append((1, 0, letter))
    return [*parts, (0, int(digits), "")] if digits else parts


def listing(*, whole: bool) -> Listing:
    """The columns of ``network ls``."""
    columns: Columns = {
        "ID": ("NETWORK ID", lambda source: source["Id"] if whole else short_id(source["Id"])),
        "Name": ("NAME", lambda source: source["Name"]),
        "Driver": ("DRIVER", lambda source: source["Driver"]),
        "Scope": ("SCOPE", lambda source: source["Scope"]),
        "IPv4": ("IPV4", lambda source: _word(source.get("EnableIPv4"))),
        "IPv6": ("IPV6", lambda source: _word(source.get("EnableIPv6"))),
        "Internal": ("INTERNAL", lambda source: _word(source.get("Internal"))),
        "Labels": ("LABELS", lambda source: labels_text(source["Labels"])),
        "Label": ("", lambda source, name: label_of(source["Labels"], name)),
        "CreatedAt": ("CREATED AT", lambda source: _stamp(source.get("Created") or "")),
    }
    raw = [("network_id", "ID"), ("name", "Name"), ("driver", "Driver"), ("scope", "Scope")]
    return Listing("*network.networkContext", columns, ["ID", "Name", "Driver", "Scope"], raw=raw)


def _word(value: object) -> str:
    return "true" if value else "false"


def _stamp(created: str) -> str:
    """RFC 3339 as Go prints a time: ``2026-11-24 08:25:16.103288507 +0000 UTC``."""
    date, _, rest = created.partition("T")
    if rest.endswith("Z"):
        return f"{date} {rest[:-1]} +0000 UTC"
    for sign in "+-":
        clock, found, zone = rest.rpartition(sign)
        if found:
            offset = sign + zone.replace(":", "")
            return f"{date} {clock} {offset} {offset}"
    return created


LS = Command(
    "network ls",
    "",
    "List networks",
    run,
    (
        filter_option(),
        format_option(),
        switch("no-trunc", "", "Cut nothing short"),
        switch("quiet", "q", "Print only ids"),
    ),
    most=0,
    aliases=("network ls", "network list"),
)
