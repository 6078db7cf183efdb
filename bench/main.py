"""Measures engines side by side, each through its own socket by the same client, and prints a table of medians.

bench/compare --engine docker=unix:///run/docker.sock --engine sealane=unix:///run/sealane/sealane.sock
bench/compare … --rounds 10 --only verbs,resolver
bench/compare … --out bench/RESULTS.md --quote README.md README.ja.md

The first engine is what the others are compared with. Engines take turns in every round, so that a slow moment of the
machine hits all. The command line measured is `sealane` for an engine of that name, else `docker`; --cli NAME=PROGRAM
says otherwise. Needs root, dnsperf, iperf3 and the images of scripts/make-images; leaves nothing behind.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench import lifecycle, report, traffic
from bench.lifecycle import Sample
from bench.target import IMAGE, Target
from bench.wire import Connection

from support import images

HERE = Path(__file__).resolve().parents[1]
#: (name, measure, share of --rounds)
MEASURES: tuple[tuple[str, Callable[[Target], Sample], float], ...] = (
    ("verbs", lifecycle.verbs, 1),
    ("run", lifecycle.run_and_remove, 1),
    ("commands", lifecycle.commands, 1),
    ("memory", lifecycle.memory, 0.15),
    ("at-once", lifecycle.at_once, 0.25),
    ("resolver", traffic.resolver, 0.15),
    ("tcp", traffic.throughput, 0.25),
    ("ports", lifecycle.many_ports, 0.15),
)


def main() -> int:
    options = arguments()
    made = dict(images.make().all())
    archive = images.archive({IMAGE: made[images.BUSYBOX]})
    programs = dict(item.split("=", 1) for item in options.cli)
    with contextlib.ExitStack() as stack:
        targets = [target(item, programs, stack) for item in options.engine]
        for engine in targets:
            stack.callback(engine.forget)
            engine.prepare(archive)
        load = report.load()
        text = document(targets, measured(targets, options), options.rounds, load)
    print(text)
    if options.out:
        options.out.write_text(text)
    for page in options.quote:
        page.write_text(report.quoted(page.read_text(), text))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", metavar="NAME=unix://PATH", action="append", required=True)
    parser.add_argument("--cli", metavar="NAME=PROGRAM", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="measures, with commas: " + ", ".join(name for name, *_ in MEASURES))
    parser.add_argument("--out", metavar="FILE", type=Path)
    parser.add_argument(
        "--quote", metavar="PAGE", type=Path, nargs="+", default=[], help="pages that show a part of it"
    )
    return parser.parse_args()


def target(item: str, programs: dict[str, str], stack: contextlib.ExitStack) -> Target:
    name, _, address = item.partition("=")
    program = programs.get(name) or (str(HERE / ".venv/bin/sealane") if name == "sealane" else "docker")
    if shutil.which(program) is None:
        raise SystemExit(f"compare: there is no program {program}")
    wire = stack.enter_context(Connection.to(address))
    return Target(name, address, [program, "--host", address], wire)


def measured(targets: list[Target], options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Every sample, by engine and measure."""
    found: dict[str, dict[str, list[float]]] = {engine.name: {} for engine in targets}
    wanted = {name for name in options.only.split(",") if name}
    for name, measure, share in MEASURES:
        if wanted and name not in wanted:
            continue
        for number in range(max(1, round(options.rounds * share))):
            print(f"{name} {number + 1}", end="\r", file=sys.stderr, flush=True)
            for engine in targets:
                for row, value in measure(engine).items():
                    found[engine.name].setdefault(row, []).append(value)
    return found


def document(targets: list[Target], found: dict[str, dict[str, list[float]]], rounds: int, load: float) -> str:
    command = shlex.join(["bench/compare", *sys.argv[1:]]).replace(os.path.expanduser("~"), "~")
    versions = "\n".join(f"- {engine.name}: {engine.version}" for engine in targets)
    return f"""# Side by side

Made by `{command}`
on {report.now()}, {report.machine()}.

{versions}

Medians of {rounds} rounds (fewer where one takes seconds); engines take turns. A ratio below 1 is faster or smaller.
The machine's load before it began: {load:.2f}.

{report.table(found)}
"""


if __name__ == "__main__":
    raise SystemExit(main())
