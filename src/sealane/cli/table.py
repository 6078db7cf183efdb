"""Aligned columns as Docker prints them: at least ten wide, three blanks between, nothing after the last. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def align(rows: Iterable[Sequence[str]], *, least: int = 10, gap: int = 3) -> str:
    """The rows as lines of text; every row has as many cells as the widest, or fewer."""
    grid = [list(row) for row in rows]
    columns = max(map(len, grid), default=0)
    widths = [max(least, gap + max(len(row[at]) for row in grid if at < len(row) - 1)) for at in range(columns - 1)]
    lines = []
    for row in grid:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("".join(padded) + (row[-1] if row else ""))
    return "".join(line + "\n" for line in lines)


def align_text(text: str, *, least: int = 10, gap: int = 3) -> str:
    """Like :func:`align` for lines whose cells tabs separate."""
    return align((line.split("\t") for line in text.splitlines()), least=least, gap=gap)


def ellipsis(text: str, width: int) -> str:
    """*text* cut to *width* characters, the last of them an ellipsis when something was cut off."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…" if width > 1 else text[:width]
