"""Which images ``docker images`` and its prune want to see. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sealane.api.backend import Image
from sealane.api.convert.images import created_ns
from sealane.api.filters.values import Filters
from sealane.errors import InvalidArgument

ACCEPTED: Final = ("dangling", "label", "label!", "before", "since", "reference", "until")
PRUNE_ACCEPTED: Final = ("dangling", "label", "label!", "until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One ``GET /images/json``."""

    filters: Filters
    now_ns: int
    before: Image | None = None
    since: Image | None = None

    def wanted(self, image: Image) -> bool:
        """Every filter but ``reference`` holds. Raises InvalidArgument."""
        filters = self.filters
        dangling = filters.flag("dangling")
        if dangling is not None and dangling == bool(image.tags):
            return False
        if not filters.labels(image.config.labels) or not filters.without_labels(image.config.labels):
            return False
        if self.before is None and self.since is None and "until" not in filters:
            return True
        created, until = created_ns(image), filters.until(self.now_ns)
        return (
            (self.before is None or created < created_ns(self.before))
            and (self.since is None or created > created_ns(self.since))
            and (until is None or created < until)
        )

    def names(self, image: Image) -> tuple[list[str], list[str]] | None:
        """The tags and digests that ``reference`` leaves; None when it leaves none."""
        patterns = [_pattern(text) for text in self.filters.get("reference")]
        if not patterns:
            return list(image.tags), list(image.repo_digests)
        tags = [tag for tag in image.tags if _named(tag, ":", patterns)]
        digests = [digest for digest in image.repo_digests if _named(digest, "@", patterns)]
        return (tags, digests) if tags or digests else None


def keep_from_prune(filters: Filters, now_ns: int) -> Callable[[Image], bool]:
    """What a prune must leave alone. Raises InvalidArgument."""
    until = filters.until(now_ns)

    def keep(image: Image) -> bool:
        if until is not None and created_ns(image) > until:
            return True
        return not filters.labels(image.config.labels) or not filters.without_labels(image.config.labels)

    return keep


def _named(reference: str, separator: str, patterns: list[re.Pattern[str]]) -> bool:
    name = reference.rpartition(separator)[0]
    return any(pattern.fullmatch(reference) or pattern.fullmatch(name) for pattern in patterns)


def _pattern(text: str) -> re.Pattern[str]:
    """Go's path.Match: ``*`` and ``?`` do not cross a slash. Raises InvalidArgument."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[" and (end := text.find("]", at + 2)) > 0:
            inside = text[at + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{inside}]")
            at = end
        else:
            parts.append(re.escape(char))
        at += 1
    try:
        return re.compile("".join(parts))
    except re.error:
        raise InvalidArgument(f"invalid filter 'reference={text}'") from None
