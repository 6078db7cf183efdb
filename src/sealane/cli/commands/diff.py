"""``sealane diff``: what changed in a container's file system."""

from __future__ import annotations

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    if not args.operands[0]:
        raise Failure("Container name cannot be empty")
    for change in app.engine.get(path("containers", args.operands[0], "changes")) or []:
        app.say(f"{'CAD'[change['Kind']]} {change['Path']}")
    return 0


DIFF = Command(
    "diff",
    "CONTAINER",
    "Show what changed in the file system of a container",
    run,
    least=1,
    most=1,
    aliases=("container diff", "diff"),
    complete="container",
)
