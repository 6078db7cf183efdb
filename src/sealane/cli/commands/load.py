"""``sealane load`` and ``sealane import``: images from tar archives."""

from __future__ import annotations

import os
import sys

from sealane.cli import reference
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, many, switch, text
from sealane.cli.platforms import platform_query
from sealane.cli.pulling import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

_CHUNK: Final = 256 * 1024
_TAR: Final = {"Content-Type": "application/x-tar"}


def pieces(name: str) -> Iterator[bytes]:
    """The contents of a file, or of standard input for ``-``."""
    fd = 0 if name == "-" else os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while data := os.read(fd, _CHUNK):
            yield data
    finally:
        if fd:
            os.close(fd)


def _load(app: App, args: Args) -> int:
    name = args.text("input") or "-"
    if name == "-" and app.in_is_terminal():
        raise Failure("requested load from stdin, but stdin is empty")
    if name != "-" and not os.path.exists(name):
        raise Failure(f"open {name}: no such file or directory")
    quiet = args.flag("quiet") or not app.out_is_terminal()
    query = {"quiet": quiet, "platform": platform_query(app, args, "1.48")}
    messages = app.engine.objects("POST", "/images/load", query, body=pieces(name), headers=_TAR)
    show(messages, sys.stdout)
    return 0


def _import(app: App, args: Args) -> int:
    source = args.operands[0]
    target = args.operands[1] if len(args.operands) > 1 else ""
    if target:
        try:
            reference.check(target)
        except ValueError as error:
            raise Failure(str(error)) from None
    repository, tag = reference.split(target) if target else ("", "")
    is_url = source.startswith(("http://", "https://"))
    if source != "-" and not is_url and not os.path.exists(source):
        raise Failure(f"open {source}: no such file or directory")
    query = {
        "fromSrc": source if is_url else "-",
        "repo": repository or None,
        "tag": tag or None,
        "message": args.text("message") or None,
        "changes": args.many("change") or None,
        "platform": args.text("platform") or None,
    }
    body = None if is_url else pieces(source)
    show(app.engine.objects("POST", "/images/create", query, body=body, headers=_TAR), sys.stdout)
    return 0


LOAD = Command(
    "load",
    "",
    "Load images from a tar archive",
    _load,
    (
        text("input", "i", "Read this file instead of standard input"),
        switch("quiet", "q", "No progress"),
        text("platform", "", "Load only this platform (os/architecture)"),
    ),
    most=0,
    aliases=("image load", "load"),
)
IMPORT = Command(
    "import",
    "file|URL|- [REPOSITORY[:TAG]]",
    "Make an image of the files in a tar archive",
    _import,
    (
        many("change", "c", "Apply a Dockerfile instruction to the image"),
        text("message", "m", "Message for the history"),
        text("platform", "", "Platform of the image (os/architecture)"),
    ),
    least=1,
    aliases=("image import", "import"),
)
