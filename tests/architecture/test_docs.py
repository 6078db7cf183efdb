"""What the pages say is still so: links lead somewhere, figures are the measured ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "README.ja.md"])
def test_figures_are_the_measured_ones(page: str) -> None:
    """``bench/compare --quote`` writes them; a row is cut after the ratio."""
    measured = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8").splitlines()
    shown = (ROOT / page).read_text(encoding="utf-8").partition("<!-- bench -->\n")[2].partition("<!-- /bench -->")[0]
    rows = shown.splitlines()

    assert len(rows) > 5
    assert [row for row in rows if not any(line.startswith(row) for line in measured)] == []
