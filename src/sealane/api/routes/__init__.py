"""The whole table of routes: one module per kind of object, put together here."""

from __future__ import annotations

from sealane.api.router import Router
from sealane.api.routes import (
    absent,
    archive,
    container_streams,
    containers,
    events,
    execs,
    images,
    networks,
    system,
    volumes,
)


def build_router() -> Router:
    """Every route that is served or refused by name."""
    modules = (system, containers, container_streams, archive, execs, images, networks, volumes, events, absent)
    return Router(route for module in modules for route in module.ROUTES)
