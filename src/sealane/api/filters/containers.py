"""Which containers ``docker ps`` and its prune want to see. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sealane.api.filters.values import Filters
from sealane.engine.model import ContainerView, Status
from sealane.errors import InvalidArgument

ACCEPTED: Final = (
    "ancestor",
    "before",
    "exited",
    "id",
    "isolation",
    "label",
    "name",
    "status",
    "health",
    "since",
    "volume",
    "network",
    "is-task",
    "publish",
    "expose",
)
PRUNE_ACCEPTED: Final = ("label", "label!", "until")
_HEALTHS: Final = ("starting", "healthy", "unhealthy", "none")
_PORTS: Final = re.compile(r"^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?$")
_UP: Final = (Status.RUNNING, Status.PAUSED, Status.RESTARTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One ``GET /containers/json``. ``limit`` 0 or less is no limit; ``ancestors`` are ids of the images asked for."""

    filters: Filters
    all: bool = False
    limit: int = 0
    before: ContainerView | None = None
    since: ContainerView | None = None
    ancestors: frozenset[str] = frozenset()

    def choose(self, views: Iterable[ContainerView]) -> list[ContainerView]:
        """Those of *views* (newest first) that are wanted, in their order."""
        chosen = [view for view in views if self._wanted(view)]
        return chosen[: self.limit] if self.limit > 0 else chosen

    def _wanted(self, view: ContainerView) -> bool:
        everything = self.all or self.limit > 0 or "status" in self.filters or self.before or self.since
        if view.state.status not in _UP and not everything:
            return False
        if self.before is not None and view.created_ns >= self.before.created_ns:
            return False
        if self.since is not None and view.created_ns <= self.since.created_ns:
            return False
        return matches(self.filters, view, self.ancestors)


def check(filters: Filters) -> None:
    """Raises InvalidArgument for values that no container can have, in Docker's words."""
    for status in filters.get("status"):
        if status not in {known.value for known in Status}:
            raise InvalidArgument(f"invalid filter 'status={status}'")
    for code in filters.get("exited"):
        if not re.fullmatch(r"-?[0-9]{1,10}", code):
            raise InvalidArgument(f"invalid filter 'exited={code}': parsing \"{code}\": invalid syntax")
    for health in filters.get("health"):
        if health not in _HEALTHS:
            raise InvalidArgument(f"unrecognized filter value for health: {health}")
    for name in ("publish", "expose"):
        for ports in filters.get(name):
            if not _PORTS.match(ports):
                raise InvalidArgument(f"error while looking up for {name} {ports}: invalid port")
    filters.flag("is-task")


def matches(filters: Filters, view: ContainerView, ancestors: frozenset[str] = frozenset()) -> bool:
    """Every filter that looks at one container alone. The values were checked."""
    state = view.state
    health = state.health.status if state.health else "none"
    mounts = [text for mount in view.mounts for text in (mount.name or mount.source, mount.destination)]
    return (
        filters.pattern("id", view.id)
        and filters.pattern("name", view.name, f"/{view.name}")
        and filters.exact("status", state.status.value)
        and filters.exact("health", health)
        and filters.labels(view.labels)
        and filters.exact("volume", *mounts)
        and filters.any("exited", lambda code: _exited(view, int(code)))
        and filters.any("ancestor", lambda image: view.image_id in ancestors or view.image_ref == image)
        and filters.any("network", lambda network: _on_network(view, network))
        and filters.any("publish", lambda ports: _has_port(ports, _published(view)))
        and filters.any("expose", lambda ports: _has_port(ports, _exposed(view)))
        and filters.flag("is-task") is not True
    )


def keep_from_prune(filters: Filters, now_ns: int) -> Callable[[ContainerView], bool]:
    """What a prune must leave alone. Raises InvalidArgument."""
    until = filters.until(now_ns)

    def keep(view: ContainerView) -> bool:
        if until is not None and view.created_ns > until:
            return True
        return not filters.labels(view.labels) or not filters.without_labels(view.labels)

    return keep


def _exited(view: ContainerView, code: int) -> bool:
    return view.state.status not in _UP and view.state.started_ns > 0 and view.state.exit_code == code


def _on_network(view: ContainerView, network: str) -> bool:
    return any(
        endpoint.network_name == network or (endpoint.network_id or "").startswith(network)
        for endpoint in view.endpoints
    )


def _published(view: ContainerView) -> set[tuple[int, str]]:
    inside = {(port.container_port.number, port.container_port.transport.value) for port in view.ports}
    return inside | {(port.host_port, port.container_port.transport.value) for port in view.ports}


def _exposed(view: ContainerView) -> set[tuple[int, str]]:
    return {(port.number, port.transport.value) for port in view.exposed_ports}


def _has_port(wanted: str, present: set[tuple[int, str]]) -> bool:
    found = _PORTS.match(wanted)
    if found is None:
        return False
    first, last, transport = int(found[1]), int(found[2] or found[1]), found[3] or "tcp"
    return any(first <= number <= last and kind == transport for number, kind in present)
