"""``sealane rmi``: remove images."""

from __future__ import annotations

from sealane.cli.failures import describe
from sealane.cli.grammar import Command, csv, switch
from sealane.cli.platforms import parse_platform
from sealane.client.engine import path
from sealane.client.errors import ApiError, Unreachable
from sealane.client.jsons import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

_MISSING: Final = 404


def run(app: App, args: Args) -> int:
    query: dict[str, object] = {"force": args.flag("force"), "noprune": args.flag("no-prune")}
    if args.many("platform"):
        app.require("1.50", "--platform")
        query["platforms"] = [dumps(parse_platform(item)) for item in args.many("platform")]
    code = 0
    for name in args.operands:
        try:
            removed = app.engine.delete(path("images", name), query)
        except (ApiError, Unreachable) as error:
            app.complain(describe(error))
            if not (args.flag("force") and isinstance(error, ApiError) and error.status == _MISSING):
                code = 1
            continue
        for item in removed or ():
            app.say(f"Deleted: {item['Deleted']}" if item.get("Deleted") else f"Untagged: {item['Untagged']}")
    return code


RMI = Command(
    "rmi",
    "IMAGE [IMAGE...]",
    "Remove images",
    run,
    (
        switch("force", "f", "Remove it even when it has several names or stopped containers"),
        csv("platform", "", "Remove only these platforms (os/architecture)"),
        switch("no-prune", "", "Keep parents that have no name"),
    ),
    least=1,
    aliases=("image rm", "image remove", "rmi"),
    complete="image",
)
