"""``sealane export``: the file system of a container as a tar archive."""

from __future__ import annotations

from sealane.cli.commands.save import check_target, refuse_terminal, write_archive
from sealane.cli.grammar import Command, text
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    refuse_terminal(app, args)
    check_target("export container", args.text("output"))
    reply = app.engine.call("GET", path("containers", args.operands[0], "export"))
    write_archive(app, reply.chunks(), args.text("output"))
    return 0


EXPORT = Command(
    "export",
    "CONTAINER",
    "Write the file system of a container to a tar archive",
    run,
    (text("output", "o", "Write to this file instead of standard output"),),
    least=1,
    most=1,
    aliases=("container export", "export"),
    complete="container",
)
