"""Creating a container for run and create: the request, a pull when the image is missing, warnings, the id file."""

from __future__ import annotations

import os

from sealane.cli import checks, reference
from sealane.cli.container_body import Surroundings, build
from sealane.cli.failures import Failure
from sealane.client import user_config
from sealane.client.errors import ApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject

_PULL: Final = ("always", "missing", "never", "")
_LOOPBACK: Final = ("127.", "::1")


def prepare(app: App, args: Args) -> JsonObject:
    """The create request, checked. Raises Failure (125, as Docker) for options that contradict each other."""
    if args.text("pull") not in _PULL:
        raise Failure(
            f'invalid pull option: \'{args.text("pull")}\': must be one of "always", "missing" or "never"', 125
        )
    try:
        body = build(args, Surroundings(os.getcwd(), app.environ))
    except ValueError as error:
        raise Failure(str(error), 125) from None
    except OSError as error:
        raise Failure(f"open {error.filename}: {(error.strerror or '').lower()}", 125) from None
    body["Env"] += user_config.proxy_variables(user_config.read(app.environ), app.address.text, body["Env"])
    return body


def create(app: App, args: Args, body: JsonObject) -> str:
    """Create the container and return its id; pulls a missing image first, unless told not to.

    Raises Failure or ApiError; nothing of ours is left behind then.
    """
    _warn(app, body)
    with _IdFile(args.text("cidfile")) as id_file:
        try:
            reference.check(args.operands[0])
            if args.text("platform"):
                checks.platform(args.text("platform"))
        except ValueError as error:
            raise Failure(str(error)) from None
        made = _create(app, args, body)
        for warning in made.get("Warnings") or []:
            app.complain(f"WARNING: {warning}")
        id_file.write(made["Id"])
    return str(made["Id"])


def _warn(app: App, body: JsonObject) -> None:
    for server in body["HostConfig"].get("Dns") or ():
        if server.startswith(_LOOPBACK):
            app.complain(f"WARNING: Localhost DNS ({server}) may fail in containers.")
            break


def _create(app: App, args: Args, body: JsonObject) -> JsonObject:
    image, policy = args.operands[0], args.text("pull")
    query = {"name": args.text("name") or None, "platform": args.text("platform") or None}
    if policy == "always":
        _pull(app, args, image)
    try:
        made = app.engine.post("/containers/create", query, body)
    except ApiError as error:
        if policy != "missing" or not _image_is_missing(error):
            raise
        if not args.flag("quiet"):
            app.complain(f"Unable to find image '{reference.familiar(image)}' locally")
        _pull(app, args, image)
        made = app.engine.post("/containers/create", query, body)
    assert isinstance(made, dict)
    return made


def _image_is_missing(error: ApiError) -> bool:
    """Also when the image is there for another platform only."""
    message = error.message.lower()
    return error.status == 404 and ("no such image" in message or "image with reference" in message)


def _pull(app: App, args: Args, image: str) -> None:
    from sealane.cli.pulling import pull

    pull(app, reference.familiar(image), platform=args.text("platform"), quiet=args.flag("quiet"), to_stderr=True)


class _IdFile:
    """The file for the container's id: it must not be there yet, and it goes again when there is no container."""

    __slots__ = ("_fd", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> _IdFile:
        if not self._path:
            return self
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            raise Failure(
                f"container ID file found, make sure the other container isn't running or delete {self._path}"
            ) from None
        except OSError as error:
            reason = f"open {self._path}: {(error.strerror or '').lower()}"
            raise Failure(f"failed to create the container ID file: {reason}") from None
        return self

    def write(self, identifier: str) -> None:
        if self._fd >= 0:
            os.write(self._fd, identifier.encode())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            if error is not None:
                os.unlink(self._path)
