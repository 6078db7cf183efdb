"""JSON from strangers: manifests, configurations, what registries answer."""

from __future__ import annotations

from typing import Final

import msgspec

#: What ``msgspec.json.decode`` raises for a document that is none: RecursionError for one that is nested too deep.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
