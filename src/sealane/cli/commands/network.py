"""``sealane network connect``, ``disconnect`` and ``rm``."""

from __future__ import annotations

from sealane.cli.environment import pairs
from sealane.cli.failures import Failure, describe
from sealane.cli.grammar import Command, csv, many, number, switch, text
from sealane.client.engine import path
from sealane.client.errors import ApiError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject

_MISSING: Final = 404


def _connect(app: App, args: Args) -> int:
    network, container = args.operands
    body = {"Container": container, "EndpointConfig": endpoint(args)}
    app.engine.call("POST", path("networks", network, "connect"), json_body=body).read()
    return 0


def endpoint(args: Args) -> JsonObject:
    """The settings of the new endpoint; only what was given."""
    addresses = {
        "IPv4Address": args.text("ip"),
        "IPv6Address": args.text("ip6"),
        "LinkLocalIPs": args.many("link-local-ip"),
    }
    made: JsonObject = {"IPAMConfig": {name: value for name, value in addresses.items() if value}}
    if args.many("alias"):
        made["Aliases"] = args.many("alias")
    if args.many("link"):
        made["Links"] = args.many("link")
    if args.many("driver-opt"):
        if not all("=" in item for item in args.many("driver-opt")):
            raise Failure("invalid key/value pair format in driver options")
        made["DriverOpts"] = pairs(args.many("driver-opt"))
    if args.given("gw-priority"):
        made["GwPriority"] = args.number("gw-priority")
    return made


def _disconnect(app: App, args: Args) -> int:
    network, container = args.operands
    body = {"Container": container, "Force": args.flag("force")}
    app.engine.call("POST", path("networks", network, "disconnect"), json_body=body).read()
    return 0


def _is_missing(error: ApiError | Unreachable) -> bool:
    return isinstance(error, ApiError) and error.status == _MISSING


def _rm(app: App, args: Args) -> int:
    code = 0
    for name in args.operands:
        try:
            app.engine.call("DELETE", path("networks", name))
            app.say(name)
        except (ApiError, Unreachable) as error:
            if args.flag("force") and _is_missing(error):
                continue
            app.complain(describe(error))
            code = 1
    return code


CONNECT = Command(
    "network connect",
    "NETWORK CONTAINER",
    "Connect a container to a network",
    _connect,
    (
        csv("alias", "", "Further name of the container in the network"),
        csv("driver-opt", "", "Options of the driver (name=value)"),
        number("gw-priority", "", "The network with the highest priority gives the default route"),
        text("ip", "", "Fixed IPv4 address"),
        text("ip6", "", "Fixed IPv6 address"),
        many("link", "", "Link to another container (name:alias)"),
        csv("link-local-ip", "", "Link-local addresses of the container"),
    ),
    least=2,
    most=2,
    complete="network container",
)
DISCONNECT = Command(
    "network disconnect",
    "NETWORK CONTAINER",
    "Disconnect a container from a network",
    _disconnect,
    (switch("force", "f", "Also when the container does not answer"),),
    least=2,
    most=2,
    complete="network container",
)
RM = Command(
    "network rm",
    "NETWORK [NETWORK...]",
    "Remove networks",
    _rm,
    (switch("force", "f", "No error when the network does not exist"),),
    least=1,
    aliases=("network rm", "network remove"),
    complete="network",
)
