"""``sealane inspect``, and inspect of containers, images and volumes."""

from __future__ import annotations

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, switch, text
from sealane.cli.inspecting import Missing, inspect
from sealane.cli.output import inspect_format_option
from sealane.cli.platforms import platform_query
from sealane.client.engine import path
from sealane.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import Json

#: Where objects of each kind are found, in the order in which a bare name is looked for.
_PATHS: Final = {
    "container": ("containers", "json"),
    "image": ("images", "json"),
    "network": ("networks", ""),
    "volume": ("volumes", ""),
}
#: What Docker's ``--type`` takes.
_TYPES: Final = (
    "config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume",
)  # fmt: skip
_MISSING: Final = 404


def fetch(app: App, kind: str, name: str, *, size: bool = False) -> Json:
    """One object of a kind. Raises ApiError."""
    collection, tail = _PATHS[kind]
    where = path(collection, name, tail) if tail else path(collection, name)
    return app.engine.get(where, {"size": size and kind == "container"})


def _run(app: App, args: Args) -> int:
    asked = args.text("type")
    if args.given("type") and asked not in _TYPES:
        what = f'unknown type: "{asked}"' if asked else "type is empty"
        raise Failure(f"{what}: must be one of " + ", ".join(f'"{name}"' for name in _TYPES))
    if asked and asked not in _PATHS:
        raise Failure(f'cannot inspect objects of type "{asked}": there is no swarm, and there are no plugins')
    kinds = [asked] if asked else list(_PATHS)

    def one(name: str) -> Json:
        for kind in kinds:
            try:
                return fetch(app, kind, name, size=args.flag("size"))
            except ApiError as error:
                # A name that is no valid name of one kind of object may be one of the next.
                if error.status not in (_MISSING, 400) or len(kinds) == 1:
                    raise
        raise Missing(f"Error: No such object: {name}")

    return inspect(app, args.operands, one, args.text("format"))


def _image_of_platform(app: App, args: Args) -> int:
    query = {"platform": platform_query(app, args, "1.49")}

    def one(name: str) -> Json:
        return app.engine.get(path("images", name, "json"), query)

    return inspect(app, args.operands, one, args.text("format"))


def _of_kind(kind: str) -> Callable[[App, Args], int]:
    def run(app: App, args: Args) -> int:
        if kind == "image" and args.text("platform"):
            return _image_of_platform(app, args)
        size = kind == "container" and args.flag("size")
        return inspect(app, args.operands, lambda name: fetch(app, kind, name, size=size), args.text("format"))

    return run


_SIZE = switch("size", "s", "Show sizes of containers")

INSPECT = Command(
    "inspect", "NAME|ID [NAME|ID...]", "Show containers, images, networks and volumes in detail", _run,
    (inspect_format_option(), _SIZE, text("type", "", "Only objects of this kind")),
    least=1, complete="container",
)  # fmt: skip
CONTAINER_INSPECT = Command(
    "container inspect", "CONTAINER [CONTAINER...]", "Show containers in detail", _of_kind("container"),
    (inspect_format_option(), _SIZE), least=1, complete="container",
)  # fmt: skip
IMAGE_INSPECT = Command(
    "image inspect", "IMAGE [IMAGE...]", "Show images in detail", _of_kind("image"),
    (inspect_format_option(), text("platform", "", "Only this platform (os/architecture)")), least=1, complete="image",
)  # fmt: skip
VOLUME_INSPECT = Command(
    "volume inspect", "VOLUME [VOLUME...]", "Show volumes in detail", _of_kind("volume"),
    (inspect_format_option(),), least=1, complete="volume",
)  # fmt: skip
