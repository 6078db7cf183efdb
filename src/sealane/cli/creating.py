"""Creating a container for run and create: the request, a pull when the image is missing, warnings, the id file."""

from __future__ import annotations

import os

from sealane.cli import reference
from sealane.cli.container_body import Surroundings, build
from sealane.cli.failures import Failure
from sealane.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject

_PULL: Final = ("always", "missing", "never")


def prepare(app: App, args: Args) -> JsonObject:
    """The create request, checked. Raises Failure (125, as Docker) for options that contradict each other."""
    if args.text("pull") not in _PULL:
        raise Failure(
            f'invalid pull option: \'{args.text("pull")}\': must be one of "always", "missing" or "never"', 125
        )
    cidfile = args.text("cidfile")
    if cidfile and os.path.exists(cidfile):
        raise Failure(f"container ID file found, make sure the other container isn't running or delete {cidfile}", 125)
    try:
        body = build(args, Surroundings(os.getcwd(), app.environ))
        reference.check(args.operands[0])
    except ValueError as error:
        raise Failure(str(error), 125) from None
    except OSError as error:
        raise Failure(f"open {error.filename}: {(error.strerror or '').lower()}", 125) from None
    return body


def create(app: App, args: Args, body: JsonObject) -> str:
    """Create the container and return its id; pulls a missing image first, unless told not to."""
    image = args.operands[0]
    policy = args.text("pull")
    query = {"name": args.text("name") or None, "platform": args.text("platform") or None}
    if policy == "always":
        _pull(app, args, image)
    try:
        made = app.engine.post("/containers/create", query, body)
    except ApiError as error:
        if error.status != 404 or "no such image" not in error.message.lower() or policy != "missing":
            raise
        app.complain(f"Unable to find image '{reference.with_tag(image)}' locally")
        _pull(app, args, image)
        made = app.engine.post("/containers/create", query, body)
    for warning in made.get("Warnings") or []:
        app.complain(f"WARNING: {warning}")
    if args.text("cidfile"):
        with open(args.text("cidfile"), "x", encoding="ascii") as file:
            file.write(made["Id"])
    return str(made["Id"])


def _pull(app: App, args: Args, image: str) -> None:
    from sealane.cli.pulling import pull

    pull(app, reference.with_tag(image), platform=args.text("platform"), quiet=args.flag("quiet"), to_stderr=True)
