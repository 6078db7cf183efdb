"""Several problems of one request, told at once."""

from __future__ import annotations

from collections.abc import Sequence


def joined(problems: Sequence[str]) -> str:
    """Problems in lines, with bullets when there are several, as Docker joins them."""
    return problems[0] if len(problems) == 1 else "\n".join(f"* {problem}" for problem in problems)
