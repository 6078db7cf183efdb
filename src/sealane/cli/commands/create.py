"""``sealane create``: make a container without starting it."""

from __future__ import annotations

from sealane.cli import creating
from sealane.cli.container_options import CONTAINER_OPTIONS
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    try:
        body = creating.prepare(app, args)
    except Failure as failure:
        app.complain(f"sealane: {failure.message}\n\nRun 'sealane create --help' for more information")
        return failure.code
    app.say(creating.create(app, args, body))
    return 0


CREATE = Command(
    "create",
    "IMAGE [COMMAND] [ARG...]",
    "Create a container",
    run,
    CONTAINER_OPTIONS,
    least=1,
    passes_on=True,
    aliases=("container create", "create"),
    complete="image",
)
