"""What ``rmi`` may take away: Docker's rules and words (``daemon/images/image_delete.go`` tells them). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sealane.errors import Conflict
from sealane.image.image import ImageUse
from sealane.image.reference import Reference
from sealane.values import ImageId, short


@dataclass(frozen=True, slots=True)
class Holders:
    """What stands between an image and its removal. ``names`` are sorted; ``children`` says that images build on it."""

    image: ImageId
    names: tuple[Reference, ...]
    uses: tuple[ImageUse, ...]
    children: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Names to take away, and whether the image goes too."""

    untag: tuple[Reference, ...]
    delete: bool


def decide_by_name(held: Holders, name: Reference, asked: str, force: bool) -> Decision:
    """*name* was asked to be removed, written as *asked*. Raises Conflict."""
    if not force and held.uses and _single(held.names):
        raise Conflict(
            f'conflict: unable to remove repository reference "{asked}" (must force) - container '
            f"{short(held.uses[0].container)} is using its referenced image {short(held.image)}"
        )
    gone = [name]
    rest = [item for item in held.names if item != name]
    if name.digest is None and not any(item.tag and item.repository == name.repository for item in rest):
        # The last tag of a repository takes the digests of that repository with it.
        gone += [item for item in rest if item.repository == name.repository]
        rest = [item for item in rest if item.repository != name.repository]
    left = Holders(held.image, tuple(rest), held.uses, held.children)
    return Decision(tuple(gone), delete=not rest and _conflict(left, force) is None)


def decide_by_id(held: Holders, force: bool) -> Decision:
    """The image was asked to be removed by its id. Raises Conflict."""
    single = _single(held.names)
    names = () if single else held.names
    if (conflict := _conflict(Holders(held.image, names, held.uses, held.children), force)) is not None:
        raise conflict
    return Decision(held.names, delete=True)


def _conflict(held: Holders, force: bool) -> Conflict | None:
    running = next((use for use in held.uses if use.running), None)
    if held.children:
        return _refusal(held.image, "cannot be forced", "image has dependent child images")
    if running is not None:
        return _refusal(
            held.image, "cannot be forced", f"image is being used by running container {short(running.container)}"
        )
    if force:
        return None
    if held.names:
        return _refusal(held.image, "must be forced", "image is referenced in multiple repositories")
    if held.uses:
        return _refusal(
            held.image, "must be forced", f"image is being used by stopped container {short(held.uses[0].container)}"
        )
    return None


def _refusal(image: ImageId, how: str, why: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {short(image)} ({how}) - {why}")


def _single(names: Sequence[Reference]) -> bool:
    """All names are of one repository, and at most one is a tag."""
    if len(names) <= 1:
        return True
    tags = [name for name in names if name.digest is None]
    digests = {name.repository for name in names if name.digest is not None}
    return len(tags) <= 1 and len(digests) == 1 and (tags[0] if tags else names[0]).repository in digests
