"""Sealane: a container engine whose subject is the network between containers."""

from typing import Final

VERSION: Final = "0.1.0"
