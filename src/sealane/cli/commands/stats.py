"""``sealane stats``: what containers use, once or continuously.

One thread for each container reads its stream and keeps the newest sample; the main thread draws.
"""

from __future__ import annotations

import sys
import threading
import time

from sealane.cli.failures import describe
from sealane.cli.grammar import Command, switch
from sealane.cli.output import Listing, format_option
from sealane.cli.usage import usage_of
from sealane.client import user_config
from sealane.client.engine import path
from sealane.errors import SealaneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.cli.output import Columns
    from sealane.client.engine import EngineClient
    from sealane.client.types import JsonObject

_INTERVAL: Final = 0.5  # seconds between two drawings


class Reader:
    """The stream of one container. ``newest`` is None before the first sample."""

    __slots__ = ("_engine", "first", "newest", "over", "problem", "reference", "thread")

    def __init__(self, engine: EngineClient, reference: str, *, follow: bool) -> None:
        self._engine = engine
        self.reference = reference
        self.newest: JsonObject | None = None
        self.problem = ""
        self.over = False
        self.first = threading.Event()  # set with the first sample, or when there will be none
        self.thread = threading.Thread(target=self._read, args=(follow,), daemon=True)
        self.thread.start()

    def _read(self, follow: bool) -> None:
        try:
            for sample in self._engine.objects(
                "GET", path("containers", self.reference, "stats"), {"stream": "1" if follow else "0"}
            ):
                self.newest = sample
                self.first.set()
        except (SealaneError, OSError) as error:
            self.problem = describe(error) if isinstance(error, SealaneError) else str(error)
        self.over = True
        self.first.set()


def run(app: App, args: Args) -> int:
    listing = _listing(whole=args.flag("no-trunc"))
    form = args.text("format") or user_config.text(app.environ, "statsFormat")
    names = args.operands or _all_names(app, everything=args.flag("all"))
    follow = not args.flag("no-stream")
    if not follow:
        return _once(app, form, listing, names)
    readers: dict[str, Reader] = {}
    while True:
        for name in names:
            if name not in readers:
                readers[name] = Reader(app.new_engine(), name, follow=True)
        for reader in readers.values():
            reader.first.wait()
        problem = next((reader.problem for reader in readers.values() if reader.problem and args.operands), "")
        if problem:
            app.complain(problem)
            return 1
        shown = [reader for reader in readers.values() if not (reader.over and not args.operands)]
        _draw(app, listing, shown, form)
        if args.operands and all(reader.over for reader in readers.values()):
            return 0
        time.sleep(_INTERVAL)
        if not args.operands:
            names = _all_names(app, everything=args.flag("all"))


def _once(app: App, form: str, listing: Listing, names: list[str]) -> int:
    readers = [Reader(app.new_engine(), name, follow=False) for name in names]
    for reader in readers:
        reader.thread.join()
    problems = [reader.problem for reader in readers if reader.problem]
    rows = [_row(reader) for reader in readers if reader.newest]
    if rows or not problems:
        app.write(listing.show(rows, form))
    for problem in problems:
        app.complain(problem)
    return 1 if problems else 0


def _draw(app: App, listing: Listing, readers: list[Reader], form: str) -> None:
    text = listing.show([_row(reader) for reader in readers], form)
    # Painted over what stands there: each line is cleared to its end, and then everything below.
    app.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in text.splitlines()) + "\x1b[J")
    sys.stdout.flush()


def _row(reader: Reader) -> JsonObject:
    return {"container": reader.reference, **usage_of(reader.newest)}


def _all_names(app: App, *, everything: bool) -> list[str]:
    return [container["Id"][:12] for container in app.engine.get("/containers/json", {"all": everything})]


def _listing(*, whole: bool) -> Listing:
    columns: Columns = {
        "Container": ("CONTAINER", lambda source: source["container"]),
        "ID": ("CONTAINER ID", lambda source: source["id"] if whole else source["id"][:12]),
        "Name": ("NAME", lambda source: source["name"]),
        "CPUPerc": ("CPU %", lambda source: source["cpu"]),
        "MemUsage": ("MEM USAGE / LIMIT", lambda source: source["memory"]),
        "MemPerc": ("MEM %", lambda source: source["memory_percent"]),
        "NetIO": ("NET I/O", lambda source: source["network"]),
        "BlockIO": ("BLOCK I/O", lambda source: source["block"]),
        "PIDs": ("PIDS", lambda source: source["pids"]),
    }
    shown = [name for name in columns if name != "Container"]
    return Listing("*container.statsContext", columns, shown)


STATS = Command(
    "stats",
    "[CONTAINER...]",
    "Show what containers use",
    run,
    (
        switch("all", "a", "Stopped containers too"),
        format_option(),
        switch("no-stream", "", "Only once"),
        switch("no-trunc", "", "Cut nothing short"),
    ),
    aliases=("container stats", "stats"),
    complete="running",
)
