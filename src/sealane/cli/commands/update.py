"""``sealane update``: change the limits of containers."""

from __future__ import annotations

from sealane.cli.commands.lifecycle import for_each
from sealane.cli.container_options import RESOURCE_OPTIONS
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, text
from sealane.cli.resources import resources, restart_policy
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    body = resources(args)
    if args.given("restart"):
        try:
            body["RestartPolicy"] = restart_policy(args.text("restart"))
        except ValueError as error:
            raise Failure(str(error)) from None
    if not body:
        raise Failure("you must provide one or more flags when using this command")

    def update(name: str) -> str:
        answer = app.engine.post(path("containers", name, "update"), {}, body)
        for warning in (answer or {}).get("Warnings") or ():
            app.complain(f"WARNING: {warning}")
        return name

    return for_each(app, args.operands, update)


UPDATE = Command(
    "update",
    "CONTAINER [CONTAINER...]",
    "Change the limits of containers",
    run,
    (*RESOURCE_OPTIONS, text("restart", "", "When to restart: no, always, unless-stopped, on-failure[:times]")),
    least=1,
    aliases=("container update", "update"),
    complete="container",
)
