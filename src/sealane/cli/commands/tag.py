"""``sealane tag``: give an image a further name."""

from __future__ import annotations

from sealane.cli import reference
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command
from sealane.client.engine import path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    source, target = args.operands
    try:
        reference.check(target)
    except ValueError as error:
        raise Failure(f'Error parsing reference: "{target}" is not a valid repository/tag: {error}') from None
    if "@" in target:
        raise Failure("refusing to create a tag with a digest reference")
    repository, tag = reference.split(target)
    app.engine.call("POST", path("images", source, "tag"), {"repo": repository, "tag": tag or "latest"}).read()
    return 0


TAG = Command(
    "tag",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Give an image a further name",
    run,
    least=2,
    most=2,
    aliases=("image tag", "tag"),
    complete="image",
)
