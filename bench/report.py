"""The table: medians, ratios and, for Sealane beside Docker, what we aim at."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

Samples = Mapping[str, Sequence[float]]  # by measure


@dataclass(frozen=True, slots=True)
class Row:
    """One measure. *aim* is the most (or, where more is better, the least) ratio of Sealane to Docker; *most* is the
    most in the measure's own unit."""

    name: str
    unit: str
    aim: float | None = None
    most: float | None = None
    more_is_better: bool = False

    def wanted(self) -> str:
        sign = "≥" if self.more_is_better else "≤"
        if self.aim is not None:
            return f"{sign} {self.aim:.3g}×"
        return f"≤ {self.most:.3g} {self.unit}".rstrip() if self.most is not None else ""

    def met(self, value: float, ratio: float) -> str:
        if self.aim is not None:
            good = ratio >= self.aim if self.more_is_better else ratio <= self.aim
        elif self.most is not None:
            good = value <= self.most
        else:
            return ""
        return "yes" if good else "**no**"


ROWS: Final = (
    Row("network create", "ms", 1 / 20),
    Row("network rm", "ms", 1 / 40),
    Row("create", "ms"),
    Row("start", "ms", 1 / 5),
    Row("connect", "ms", 1 / 5),
    Row("disconnect", "ms"),
    Row("exec", "ms", 1 / 2),
    Row("rm -f", "ms"),
    Row("run --rm", "ms", 1 / 4),
    Row("start, 100 ports", "ms", 1 / 50),
    Row("rm -f, 100 ports", "ms"),
    Row("processes for 100 ports", "", most=1),
    Row("memory for 100 ports", "MB"),
    Row("20 starts at once", "ms"),
    Row("resolver", "queries/s", 5, more_is_better=True),
    Row("resolver latency", "µs"),
    Row("TCP", "Gbit/s", 1.15, more_is_better=True),
    Row("TCP, bridge-nf-call off", "Gbit/s"),
    Row("memory per idle container", "MB", most=2.5),
    Row("memory of the engine", "MB", most=80),
    Row("`network ls`", "ms"),
    Row("`ps`", "ms"),
    Row("`run -d`", "ms", 1 / 2.5),
)


def table(found: Mapping[str, Samples]) -> str:
    """Markdown. *found* is by engine; the first is what the others are compared with."""
    base, *others = found
    judged = base == "docker" and "sealane" in others
    head = ["", base, *(name for other in others for name in (other, f"{other} : {base}"))]
    head += ["aim", "met"] if judged else []
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for row in ROWS:
        if row.name not in found[base]:
            continue
        values = {name: median(samples[row.name]) for name, samples in found.items()}
        cells = [row.name, f"{_number(values[base])} {row.unit}".rstrip()]
        for other in others:
            cells += [f"{_number(values[other])} {row.unit}".rstrip(), _ratio(values[other], values[base])]
        if judged:
            ratio = values["sealane"] / values[base] if values[base] else 1.0
            cells += [row.wanted(), row.met(values["sealane"], ratio)]
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _ratio(value: float, base: float) -> str:
    if not base or not value:
        return "–"
    ratio = value / base
    return f"{ratio:.2f}×" if ratio >= 0.1 else f"1/{1 / ratio:.0f}"


def machine() -> str:
    """What this ran on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    total = int(Path("/proc/meminfo").read_text().split()[1]) / 1e6
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    return f"{os.cpu_count()} × {cpu}, {total:.0f} GB, {system}, Linux {platform.release()}"


def load() -> float:
    """Processes that wanted a processor in the last minute, on average."""
    return os.getloadavg()[0]


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


#: What the README shows of the table.
_SHOWN: Final = (
    "network create", "network rm", "start", "connect", "exec", "run --rm", "start, 100 ports",
    "processes for 100 ports", "20 starts at once", "resolver", "TCP", "memory per idle container",
    "memory of the engine", "`run -d`",
)  # fmt: skip
_PLACE: Final = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)


def quoted(document: str, markdown: str) -> str:
    """*document* with the rows for readers of *markdown* (a table) between its marks, up to the ratio's column."""
    head, rule, *rows = (line for line in markdown.splitlines() if line.startswith("|"))
    shown = [row for row in rows if row.split("|")[1].strip() in _SHOWN]
    lines = ("|".join(line.split("|")[:5]) + "|\n" for line in (head, rule, *shown))
    return _PLACE.sub("".join(lines), document)
