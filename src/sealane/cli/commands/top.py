"""``sealane top``: the processes of a container."""

from __future__ import annotations

from sealane.cli.grammar import Command
from sealane.cli.table import align
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

_WIDTH: Final = 20


def run(app: App, args: Args) -> int:
    query = {"ps_args": " ".join(args.operands[1:]) or None}
    table = app.engine.get(path("containers", args.operands[0], "top"), query)
    rows = [table["Titles"], *(table["Processes"] or [])]
    app.write(align([[str(cell) for cell in row] for row in rows], least=_WIDTH))
    return 0


TOP = Command(
    "top",
    "CONTAINER [ps OPTIONS]",
    "Show the processes of a container",
    run,
    least=1,
    passes_on=True,
    aliases=("container top", "top"),
    complete="running",
)
