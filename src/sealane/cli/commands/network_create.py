"""``sealane network create``: make a network, or show what making it would put into the kernel."""

from __future__ import annotations

from sealane.cli.environment import labels, pairs
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, csv, many, switch, text
from sealane.cli.kernel_text import kernel_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject


def run(app: App, args: Args) -> int:
    try:
        body = network_body(args)
    except ValueError as error:
        raise Failure(str(error)) from None
    if args.flag("dry-run"):
        app.write(kernel_text(app.engine.post("/sealane/networks/dry-run", {}, body)["Objects"]))
        return 0
    made = app.engine.post("/networks/create", {}, body)
    if made.get("Warning"):
        app.complain(f"WARNING: {made['Warning']}")
    app.say(made["Id"])
    return 0


def network_body(args: Args) -> JsonObject:
    """The request. Raises ValueError for subnets, gateways and ranges that do not fit each other."""
    body: JsonObject = {
        "Name": args.operands[0],
        "Driver": args.text("driver"),
        "Scope": args.text("scope"),
        "Internal": args.flag("internal"),
        "Attachable": args.flag("attachable"),
        "Ingress": args.flag("ingress"),
        "ConfigOnly": args.flag("config-only"),
        "ConfigFrom": {"Network": args.text("config-from")} if args.text("config-from") else None,
        "IPAM": {
            "Driver": args.text("ipam-driver"),
            "Options": pairs(args.many("ipam-opt")),
            "Config": ipam_config(args),
        },
        "Options": pairs(args.many("opt")),
        "Labels": labels((), args.many("label")),
    }
    if args.given("ipv4"):
        body["EnableIPv4"] = args.flag("ipv4")
    if args.given("ipv6"):
        body["EnableIPv6"] = args.flag("ipv6")
    return body


def ipam_config(args: Args) -> list[JsonObject]:
    """IPAM's Config: each gateway, range and reserved address goes to the subnet that holds it."""
    subnets = args.many("subnet")
    if len(subnets) < max(len(args.many("ip-range")), len(args.many("gateway"))):
        raise ValueError("every ip-range or gateway must have a corresponding subnet")
    if not subnets and not args.many("aux-address"):
        return []
    from sealane.cli.subnets import assign

    return assign(subnets, args.many("ip-range"), args.many("gateway"), pairs(args.many("aux-address")))


CREATE = Command(
    "network create",
    "NETWORK",
    "Create a network",
    run,
    (
        switch("attachable", "", "Let containers be attached by hand"),
        many("aux-address", "", "Addresses to keep free (name=address)", meta="map"),
        text("config-from", "", "Network to take the configuration from"),
        switch("config-only", "", "Make a configuration only, no network"),
        text("driver", "d", "Driver of the network", default="bridge"),
        switch("dry-run", "", "Print what it would put into the kernel, and change nothing"),
        csv("gateway", "", "Gateway of a subnet"),
        switch("ingress", "", "Make the routing mesh of a swarm"),
        switch("internal", "", "No way out of the network"),
        csv("ip-range", "", "Part of a subnet that addresses are taken from"),
        text("ipam-driver", "", "Driver for addresses", default="default"),
        many("ipam-opt", "", "Options of the driver for addresses", meta="map"),
        switch("ipv4", "", "IPv4 addresses", default=True),
        switch("ipv6", "", "IPv6 addresses"),
        many("label", "", "Set a label"),
        many("opt", "o", "Options of the driver", meta="map"),
        text("scope", "", "Scope of the network"),
        csv("subnet", "", "Subnet, such as 172.30.0.0/16"),
    ),
    least=1,
    most=1,
)
