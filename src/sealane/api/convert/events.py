"""Events on their way out. Pure."""

from __future__ import annotations

from msgspec import UNSET

from sealane.api.schema import event as wire
from sealane.engine.model import Event


def event(item: Event) -> wire.Event:
    """One line of ``GET /events``."""
    old = item.kind in ("container", "image")
    return wire.Event(
        status=item.action if old else UNSET,
        id=item.actor if old else UNSET,
        from_=item.attributes.get("image", UNSET) if item.kind == "container" else UNSET,
        Type=item.kind,
        Action=item.action,
        Actor=wire.Actor(ID=item.actor, Attributes=dict(item.attributes)),
        time=item.time_ns // 1_000_000_000,
        timeNano=item.time_ns,
    )
