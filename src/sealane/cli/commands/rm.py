"""``sealane rm``: remove containers."""

from __future__ import annotations

from sealane.cli.failures import describe
from sealane.cli.grammar import Command, switch
from sealane.client.engine import path
from sealane.client.errors import ApiError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

_MISSING: Final = 404


def run(app: App, args: Args) -> int:
    force = args.flag("force")
    query = {"force": force, "v": args.flag("volumes"), "link": args.flag("link")}
    code = 0
    for name in args.operands:
        if not name.strip("/"):
            app.complain("container name cannot be empty")
            code = 1
            continue
        try:
            app.engine.call("DELETE", path("containers", name.strip("/")), query)
            app.say(name)
        except (ApiError, Unreachable) as error:
            app.complain(describe(error))
            # With --force it is enough that the container is gone.
            if not (force and isinstance(error, ApiError) and error.status == _MISSING):
                code = 1
    return code


RM = Command(
    "rm",
    "CONTAINER [CONTAINER...]",
    "Remove containers",
    run,
    (
        switch("force", "f", "Kill a running container first"),
        switch("link", "l", "Remove the link of that name"),
        switch("volumes", "v", "Remove its anonymous volumes too"),
    ),
    least=1,
    aliases=("container rm", "container remove", "rm"),
    complete="container",
)
