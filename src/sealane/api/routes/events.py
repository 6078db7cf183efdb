"""Events: the past first, then the present, until the client has heard enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from sealane.api.backend import Engine
from sealane.api.convert.events import event as shown
from sealane.api.convert.times import SECOND, parse_unix
from sealane.api.filters.events import matches
from sealane.api.filters.values import Filters
from sealane.api.http import Reply, Request, Stream, json_bytes
from sealane.api.iterating import closing
from sealane.api.router import Route
from sealane.engine.model import Event
from sealane.errors import InvalidArgument


async def events(engine: Engine, request: Request) -> Reply:
    since, until = (parse_unix(request.query.text(name), name) for name in ("since", "until"))
    if since and until and since > until:
        raise InvalidArgument(
            f"`since` time ({request.query.text('since')}) cannot be after `until` time ({request.query.text('until')})"
        )
    filters = Filters.decode(request.query.text("filters"))
    past = "since" in request.query or 0 < until <= request.now_ns
    return Stream(_lines(engine, filters, since if past else None, until, request.now_ns))


async def _lines(
    engine: Engine, filters: Filters, since_ns: int | None, until_ns: int, now_ns: int
) -> AsyncIterator[bytes]:
    """*since_ns* None: nothing of the past; *until_ns* 0: without end."""
    last = 0
    async with engine.events.subscribe() as live:
        if since_ns is not None:
            for item in engine.events.history(since_ns, until_ns or now_ns + SECOND):
                last = item.time_ns
                if matches(filters, item):
                    yield json_bytes(shown(item))
        if 0 < until_ns <= now_ns:
            return
        async with closing(_until(live, (until_ns - now_ns) / SECOND if until_ns else None)) as present:
            async for item in present:
                if item.time_ns > last and matches(filters, item):
                    yield json_bytes(shown(item))


async def _until(live: AsyncIterator[Event], seconds: float | None) -> AsyncIterator[Event]:
    """*live* for as many seconds; None for without end."""
    loop = asyncio.get_running_loop()
    deadline = None if seconds is None else loop.time() + seconds
    while True:
        left = None if deadline is None else max(deadline - loop.time(), 0)
        try:
            item = await asyncio.wait_for(anext(live, None), left)
        except TimeoutError:
            return
        if item is None:
            return
        yield item


ROUTES: Final = (Route("GET", "/events", events),)
