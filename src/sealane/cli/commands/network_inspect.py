"""``sealane network inspect``: a network as JSON, or what it holds in the kernel."""

from __future__ import annotations

from sealane.cli.grammar import Command, switch
from sealane.cli.inspecting import inspect
from sealane.cli.kernel_text import kernel_text
from sealane.cli.output import inspect_format_option
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import Json


def run(app: App, args: Args) -> int:
    if args.flag("kernel"):
        for name in args.operands:
            app.write(kernel_text(app.engine.get(path("sealane", "networks", name, "kernel"))["Objects"]))
        return 0
    verbose = args.flag("verbose")

    def fetch(name: str) -> Json:
        return app.engine.get(path("networks", name), {"verbose": verbose})

    return inspect(app, args.operands, fetch, args.text("format"))


INSPECT = Command(
    "network inspect",
    "NETWORK [NETWORK...]",
    "Show networks in detail",
    run,
    (
        inspect_format_option(),
        switch("kernel", "", "Show the links, addresses, routes and rules that belong to it in the kernel"),
        switch("verbose", "v", "More output for diagnosis"),
    ),
    least=1,
    complete="network",
)
