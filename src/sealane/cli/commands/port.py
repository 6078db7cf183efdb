"""``sealane port``: the published ports of a container."""

from __future__ import annotations

from sealane.cli.commands.network_ls import natural
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command
from sealane.cli.ports_text import join_host
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject


def run(app: App, args: Args) -> int:
    container = app.engine.get(path("containers", args.operands[0], "json"))
    ports: JsonObject = (container["NetworkSettings"] or {}).get("Ports") or {}
    if len(args.operands) > 1:
        lines = _of_one(ports, args.operands[0], args.operands[1])
    else:
        lines = sorted(
            (f"{name} -> {_address(binding)}" for name, bindings in ports.items() for binding in bindings or ()),
            key=natural,
        )
    for line in lines:
        app.say(line)
    return 0


def _of_one(ports: JsonObject, container: str, asked: str) -> list[str]:
    number, _, protocol = asked.partition("/")
    if not number.isdigit() or int(number) > 65535:
        raise Failure(f"Error: invalid port ({asked}): it should be a number up to 65535, with an optional protocol")
    bindings = ports.get(f"{number}/{protocol or 'tcp'}")
    if not bindings:
        raise Failure(f"Error: No public port '{asked}' published for {container}")
    return [_address(binding) for binding in bindings]


def _address(binding: JsonObject) -> str:
    return join_host(binding["HostIp"], binding["HostPort"])


PORT = Command(
    "port",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "Show the published ports of a container",
    run,
    least=1,
    most=2,
    aliases=("container port", "port"),
    complete="container",
)
