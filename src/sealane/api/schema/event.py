"""Events. Pure."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from sealane.api.schema.base import Int, Wire


class Actor(Wire):
    ID: str
    Attributes: dict[str, str]


class Event(Wire, kw_only=True, rename={"from_": "from"}):
    """One line of ``GET /events``. The first three repeat the rest for old clients (containers and images only)."""

    status: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    from_: str | UnsetType = UNSET
    Type: str
    Action: str
    Actor: Actor
    scope: str = "local"
    time: Int
    timeNano: Int
