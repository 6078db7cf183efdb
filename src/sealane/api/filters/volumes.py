"""Which volumes ``docker volume ls`` and its prune want to see. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sealane.api.filters.values import Filters
from sealane.engine.model import VolumeView

ACCEPTED: Final = ("dangling", "driver", "label", "name")
PRUNE_ACCEPTED: Final = ("all", "label", "label!")


def matches(filters: Filters, view: VolumeView) -> bool:
    """Every filter holds. Raises InvalidArgument for a ``dangling`` that is neither true nor false."""
    return (
        filters.flag("dangling") in (None, not view.used_by)
        and filters.exact("driver", view.driver)
        and filters.labels(view.labels)
        and filters.pattern("name", view.name)
    )


def keep_from_prune(filters: Filters, named_too: bool) -> Callable[[VolumeView], bool]:
    """What a prune must leave alone: volumes with names, unless *named_too* or the filter ``all`` wants them gone."""
    everything = bool(filters.flag("all")) or named_too

    def keep(view: VolumeView) -> bool:
        if not everything and not view.anonymous:
            return True
        return not filters.labels(view.labels) or not filters.without_labels(view.labels)

    return keep
