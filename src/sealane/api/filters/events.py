"""Which events a listener wants to hear. Unknown filters are passed over, as Docker does. Pure."""

from __future__ import annotations

from typing import Final

from sealane.api.filters.values import Filters
from sealane.engine.model import Event

_KINDS: Final = ("container", "network", "volume", "daemon", "plugin", "service", "node", "secret", "config", "builder")


def matches(filters: Filters, event: Event) -> bool:
    """Every filter holds."""
    name = event.attributes.get("name", "")
    return (
        filters.exact("type", event.kind)
        and filters.exact("event", event.action, event.action.partition(":")[0])
        and filters.exact("scope", "local")
        and filters.labels(event.attributes)
        and _image(filters, event)
        and all(
            kind not in filters or (event.kind == kind and filters.prefix(kind, event.actor, name)) for kind in _KINDS
        )
    )


def _image(filters: Filters, event: Event) -> bool:
    """The image itself, or a container made of it."""
    if "image" not in filters:
        return True
    if event.kind not in ("image", "container"):
        return False
    full = event.attributes.get("name" if event.kind == "image" else "image", "")
    return filters.exact("image", full, full.partition("@")[0].rpartition(":")[0], event.actor)
