"""Which networks ``docker network ls`` and its prune want to see. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sealane.api.convert.times import parse_stamp
from sealane.api.filters.values import Filters
from sealane.engine.model import NetworkView
from sealane.errors import InvalidArgument
from sealane.network.spec import NetworkSpec

ACCEPTED: Final = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE_ACCEPTED: Final = ("label", "label!", "until")


def check(filters: Filters) -> None:
    """Raises InvalidArgument for values that mean nothing, in Docker's words."""
    for kind in filters.get("type"):
        if kind not in ("custom", "builtin"):
            raise InvalidArgument(f"invalid filter: 'type'='{kind}'")
    dangling = filters.get("dangling")
    if len(dangling) > 1:
        raise InvalidArgument('got more than one value for filter key "dangling"')
    if dangling and dangling[0] not in ("true", "1", "false", "0"):
        raise InvalidArgument('invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")')


def matches(filters: Filters, view: NetworkView) -> bool:
    """Every filter holds. The values were checked."""
    spec = view.spec
    unused = not view.endpoints and not spec.predefined
    driver = "null" if spec.driver == "none" else spec.driver
    return (
        filters.exact("driver", driver)
        and filters.pattern("id", spec.id)
        and filters.pattern("name", spec.name)
        and filters.labels(spec.labels)
        and filters.exact("scope", "local")
        and filters.exact("type", "builtin" if spec.predefined else "custom")
        and filters.flag("dangling") in (None, unused)
    )


def keep_from_prune(filters: Filters, now_ns: int) -> Callable[[NetworkSpec], bool]:
    """What a prune must leave alone. Raises InvalidArgument."""
    until = filters.until(now_ns)

    def keep(spec: NetworkSpec) -> bool:
        if until is not None and (parse_stamp(spec.created) or 0) > until:
            return True
        return not filters.labels(spec.labels) or not filters.without_labels(spec.labels)

    return keep
