"""What a network holds, or would hold, in the kernel: each object with the command that shows or makes it. Pure."""

from __future__ import annotations

from sealane.cli.table import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from sealane.client.types import JsonObject


def kernel_text(objects: Iterable[JsonObject]) -> str:
    """Aligned lines: kind and name, what it is, the ``ip`` or ``nft`` command (of several lines: they go on below)."""
    rows = []
    for item in objects:
        first, *more = str(item["Command"]).splitlines() or [""]
        rows.append([f"{item['Kind']} {item['Name']}", str(item["Describe"]), first])
        rows += [["", "", line] for line in more]
    return align(rows)
