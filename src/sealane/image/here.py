"""What this machine runs, in the words of image manifests."""

from __future__ import annotations

import platform

from sealane.image.manifest import Platform, architecture


def local_platform() -> Platform:
    return Platform("linux", architecture(platform.machine()) or platform.machine())
