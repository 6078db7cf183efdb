"""``os/architecture/variant`` as clients write it. Pure."""

from __future__ import annotations

import re
from typing import Final

from sealane.api.schema.image import ImageBlob
from sealane.errors import InvalidArgument

_PART: Final = re.compile(r"^[A-Za-z0-9_.-]+$")
_SAME: Final = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}


def check_platform(text: str) -> str:
    """The platform with the architecture under its usual name; "" for any. Raises InvalidArgument."""
    if not text:
        return ""
    parts = text.split("/")
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidArgument(f'"{text}": cannot parse platform specifier: invalid argument')
    lowered = [_SAME.get(part.lower(), part.lower()) for part in parts]
    return "/".join(lowered)


def matches_platform(platform: str, image: ImageBlob) -> bool:
    """Whether *image* is for *platform*, as far as *platform* says."""
    have = (image.os, image.architecture, image.variant)
    wanted = platform.split("/")
    if len(wanted) == 1:
        return wanted[0] in have[:2]
    return all(asked == own or not own for asked, own in zip(wanted, have, strict=False))
