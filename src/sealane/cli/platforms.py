"""``--platform`` of the commands on images: which platform of an image with several is meant."""

from __future__ import annotations

from sealane.cli import checks
from sealane.cli.failures import Failure
from sealane.client.jsons import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args


def platform_query(app: App, args: Args, since: str) -> str | None:
    """The query's value, None without the option. Raises Failure when the engine is older than *since*."""
    if not args.text("platform"):
        return None
    app.require(since, "--platform")
    return dumps(parse_platform(args.text("platform")))


def parse_platform(text: str) -> dict[str, str]:
    """``linux/arm/v7`` in the parts that the API takes. Raises Failure."""
    try:
        checks.platform(text)
    except ValueError as error:
        raise Failure(f"invalid platform: {error}") from None
    parts = text.split("/")
    names = ("os", "architecture", "variant") if len(parts) > 1 or parts[0] == "linux" else ("architecture",)
    return dict(zip(names, parts, strict=False))
