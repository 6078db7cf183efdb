"""An image as the rest of the engine sees it."""

from __future__ import annotations

from dataclasses import dataclass

from sealane.image.config import ImageConfig
from sealane.image.layers import Layer
from sealane.values import Digest, ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A snapshot; later tagging does not change it. ``tags`` and ``repo_digests`` are familiar names (``centos:7``).

    ``layers`` are lowest first; ``size`` is the sum of their files in bytes; ``tagged_ns`` is when somebody gave it a
    name here, 0 for never.
    """

    id: ImageId
    config: ImageConfig
    tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    size: int
    parent: ImageId | None
    layers: tuple[Layer, ...]
    created_ns: int
    tagged_ns: int = 0


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of ``docker history``, newest first. ``id`` is "" where no image stands for the step."""

    id: str
    created_ns: int
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageUse:
    """A container that was made from an image."""

    container: str
    running: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of ``rmi``: a name that is gone, or an image or layer that is."""

    untagged: str = ""
    deleted: Digest | str = ""


def history_of(image: Image) -> tuple[HistoryLine, ...]:
    """The steps that made *image*. Steps without a layer have size 0; layers without a step stand for themselves."""
    lines: list[HistoryLine] = []
    layers = iter(image.layers)
    for step in image.config.history:
        layer = None if step.empty else next(layers, None)
        lines.append(
            HistoryLine("", step.created_ns, step.created_by, step.comment, layer.size if layer is not None else 0)
        )
    lines += [HistoryLine("", image.created_ns, "", "", layer.size) for layer in layers]
    lines.reverse()
    if lines:
        top = lines[0]
        lines[0] = HistoryLine(image.id, top.created_ns, top.created_by, top.comment, top.size, image.tags)
    return tuple(lines)
