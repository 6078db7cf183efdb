"""``sealane cp``: copy files between a container and here."""

from __future__ import annotations

import os
import sys

from sealane.cli.copying import from_container, to_container
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, switch
from sealane.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    for operand, what in zip(args.operands, ("source", "destination"), strict=True):
        if not operand:
            raise Failure(f"{what} can not be empty")
    source, target = (_split(operand) for operand in args.operands)
    archive, follow = args.flag("archive"), args.flag("follow-link")
    if source[0] and target[0]:
        raise Failure("copying between containers is not supported")
    if not source[0] and not target[0]:
        raise Failure("must specify at least one container source")
    if source[0]:
        size = from_container(app, source[0], source[1], target[1], archive=archive, follow=follow)
    else:
        size = to_container(app, source[1], target[0], target[1], archive=archive, follow=follow)
    if not args.flag("quiet") and target[1] != "-" and os.isatty(2):
        shown = f"{target[0]}:{target[1]}" if target[0] else target[1]
        sys.stderr.write(f"Successfully copied {human_size(size)} to {shown}\n")
    return 0


def _split(operand: str) -> tuple[str, str]:
    """(container, path); the container is empty for a path of ours (absolute, ``./…``, ``-``, or without a colon)."""
    if operand == "-" or operand.startswith(("/", ".")):
        return "", operand
    container, colon, path = operand.partition(":")
    return (container, path) if colon else ("", operand)


CP = Command(
    "cp",
    "CONTAINER:SRC_PATH DEST_PATH|-\nSRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files between a container and here (- is a tar archive on standard input or output)",
    run,
    (
        switch("archive", "a", "Keep owner and group"),
        switch("follow-link", "L", "Follow a symbolic link at SRC_PATH"),
        switch("quiet", "q", "Do not tell how much was copied"),
    ),
    least=2,
    most=2,
    aliases=("container cp", "cp"),
    complete="container container",
)
