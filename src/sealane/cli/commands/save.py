"""``sealane save``: images as a tar archive."""

from __future__ import annotations

import os

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, text
from sealane.cli.platforms import platform_query

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


def check_target(verb: str, target: str) -> None:
    """Raise Failure before anything is asked for when the file cannot be written there."""
    folder = os.path.dirname(os.path.normpath(target)) if target else ""
    if folder and not os.path.isdir(folder):
        raise Failure(f"failed to {verb}: invalid output path: stat {folder}: no such file or directory")
    if target and os.path.isdir(target):
        raise Failure(f"failed to {verb}: invalid output path: {target!r} is a directory".replace("'", '"'))


def refuse_terminal(app: App, args: Args) -> None:
    if not args.text("output") and app.out_is_terminal():
        raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")


def _save(app: App, args: Args) -> int:
    refuse_terminal(app, args)
    check_target("save image", args.text("output"))
    query = {"names": args.operands, "platform": platform_query(app, args, "1.48")}
    reply = app.engine.call("GET", "/images/get", query)
    write_archive(app, reply.chunks(), args.text("output"))
    return 0


SAVE = Command(
    "save",
    "IMAGE [IMAGE...]",
    "Write images to a tar archive",
    _save,
    (
        text("output", "o", "Write to this file instead of standard output"),
        text("platform", "", "Save only this platform (os/architecture)"),
    ),
    least=1,
    aliases=("image save", "save"),
    complete="image",
)
