"""``sealane pull``: fetch an image from a registry."""

from __future__ import annotations

from sealane.cli import reference
from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, switch, text
from sealane.cli.pulling import pull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def run(app: App, args: Args) -> int:
    name = args.operands[0]
    try:
        reference.check(name)
    except ValueError as error:
        raise Failure(str(error)) from None
    tag = reference.split(name)[1]
    everything, quiet = args.flag("all-tags"), args.flag("quiet")
    if everything and tag:
        raise Failure("tag can't be used with --all-tags/-a")
    if not tag and not everything:
        if not quiet:
            app.say("Using default tag: latest")
        name = reference.familiar(name)
    pull(app, name, platform=args.text("platform"), quiet=quiet, all_tags=everything)
    app.say(reference.full(name))
    return 0


PULL = Command(
    "pull",
    "NAME[:TAG|@DIGEST]",
    "Fetch an image from a registry",
    run,
    (
        switch("all-tags", "a", "Fetch all tags of the repository"),
        switch("disable-content-trust", "", "Accepted for Docker's sake", default=True, hidden=True),
        text("platform", "", "Platform of the image (os/architecture)"),
        switch("quiet", "q", "No progress"),
    ),
    least=1,
    most=1,
    aliases=("image pull", "pull"),
    complete="image",
)
