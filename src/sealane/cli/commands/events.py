"""``sealane events``: what happens in the engine, as it happens."""

from __future__ import annotations

import sys
import time

from sealane.cli.failures import Failure
from sealane.cli.grammar import Command, text
from sealane.cli.output import filter_option, format_option, parse_filters
from sealane.cli.units import engine_timestamp
from sealane.client.engine import filters_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject


#: All fields of an event; those without a value are left out of the JSON.
_EMPTY: Final = {
    "status": "", "id": "", "from": "", "Type": "", "Action": "", "Actor": {"ID": "", "Attributes": {}}, "scope": "",
    "time": 0, "timeNano": 0,
}  # fmt: skip


def run(app: App, args: Args) -> int:
    render = _renderer(args.text("format"))
    now = time.time()
    try:
        query = {
            "since": engine_timestamp(args.text("since"), now) or None,
            "until": engine_timestamp(args.text("until"), now) or None,
            "filters": filters_query(parse_filters(args.many("filter"))),
        }
    except ValueError as error:
        raise Failure(str(error)) from None
    for event in app.engine.objects("GET", "/events", query):
        app.write(render(event) + "\n")
        sys.stdout.flush()
    return 0


def _renderer(form: str) -> Callable[[JsonObject], str]:
    if not form:
        return event_text
    from sealane.cli.go_values import GoStruct, TemplateError, to_json
    from sealane.cli.template import compile as compile_template

    if form == "json":
        return to_json
    try:
        template = compile_template(form)
        template.render(GoStruct(_EMPTY, "*events.Message"))
    except TemplateError as error:
        raise Failure(f"Error parsing format: {error.message}", 64) from None
    return lambda event: template.render(GoStruct({**_EMPTY, **event}, "*events.Message"))


def event_text(event: JsonObject) -> str:
    """``2026-11-24T08:40:56.517985902Z container create ID (image=…, name=…)``, the time in the local zone."""
    actor = event.get("Actor") or {}
    attributes = ", ".join(f"{key}={value}" for key, value in sorted((actor.get("Attributes") or {}).items()))
    parts = [
        _stamp(event),
        event.get("Type") or "",
        event.get("Action") or event.get("status") or "",
        actor.get("ID") or "",
    ]
    return " ".join(parts) + (f" ({attributes})" if attributes else "")


def _stamp(event: JsonObject) -> str:
    nanos = event.get("timeNano") or event.get("time", 0) * 10**9
    seconds, fraction = divmod(nanos, 10**9)
    clock = time.localtime(seconds)
    zone = time.strftime("%z", clock)
    shown = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', clock)}.{fraction:09d}{shown}"


EVENTS = Command(
    "events",
    "",
    "Show what happens in the engine",
    run,
    (
        filter_option(),
        format_option(),
        text("since", "", "From this time on (a date, or 10m for the last ten minutes)"),
        text("until", "", "Up to this time"),
    ),
    most=0,
    aliases=("system events", "events"),
)
