"""``sealane save``: images as a tar archive."""

from __future__ import annotations

import os

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def write_archive(app: App, chunks: Iterable[bytes], target: str) -> None:
    """Write to the file *target*, which appears only when it is complete; empty: to standard output."""
    if not target:
        for chunk in chunks:
            app.write_bytes(chunk)
        return
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            file.writelines(chunks)
        return
    partial = f"{target}.partial-{os.getpid()}"
    try:
        with open(partial, "wb") as file:
            file.writelines(chunks)
        os.replace(partial, target)
    except BaseException:
        if os.path.exists(partial):
            os.unlink(partial)
        raise


def refuse_terminal(app: App, args: Args, verb: str) -> None:
    if not args.text("output") and app.out_is_terminal():
        raise Failure(f"cowardly refusing to {verb} to a terminal. Use the -o flag or redirect")


def _save(app: App, args: Args) -> int:
    refuse_terminal(app, args, "save")
    reply = app.engine.call("GET", "/images/get", {"names": args.operands})
    write_archive(app, reply.chunks(), args.text("output"))
    return 0


SAVE = Command(
    "save",
    "IMAGE [IMAGE...]",
    "Write images to a tar archive",
    _save,
    (text("output", "o", "Write to this file instead of standard output"), text("platform", "", "", hidden=True)),
    least=1,
    aliases=("image save", "save"),
    complete="image",
)
