"""A language for lives of containers, spoken to the Engine API: what is asked, what it became, what was told of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from support.engine import Engine, Reply
from support.poll import until

#: Ends with the exit code 3 when it is asked to.
POLITE = ("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done")
SLEEP = ("sleep", "1000")


class Life:
    """One container of *engine*, by its name."""

    def __init__(
        self, engine: Engine, name: str, *command: str, host: dict[str, Any] | None = None, **config: Any
    ) -> None:
        self.engine = engine
        self.name = name
        body = {"Image": "busybox", "Cmd": list(command or SLEEP), "HostConfig": host or {}, **config}
        self.created = engine.http("POST", f"/containers/create?name={name}", body)
        if self.created.status == 201:
            self.id = str(self.created.json["Id"])

    def verb(self, verb: str, **query: Any) -> Reply:
        """``POST /containers/NAME/VERB``."""
        return self.engine.http("POST", f"/containers/{self.name}/{verb}?{urlencode(query)}")

    def start(self) -> Life:
        assert self.verb("start").status == 204, self.engine.tail()
        return self

    def remove(self, **query: Any) -> Reply:
        return self.engine.http("DELETE", f"/containers/{self.name}?{urlencode(query)}")

    @property
    def there(self) -> bool:
        return self.engine.http("GET", f"/containers/{self.name}/json").status == 200

    @property
    def view(self) -> dict[str, Any]:
        return self.engine.inspect(self.name)

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.view["State"])

    @property
    def status(self) -> str:
        return str(self.state["Status"])

    def becomes(self, status: str) -> Life:
        until(lambda: self.status == status, f"{self.name} is {status}")
        return self

    def processes(self) -> list[str]:
        """The command lines of all that runs in it."""
        table = self.engine.http("GET", f"/containers/{self.name}/top").json
        return [row[-1] for row in table["Processes"]]

    def run(self, *command: str) -> str:
        return self.engine.cli("exec", self.name, *command).out


def events(engine: Engine, since: float, **filters: str) -> list[dict[str, Any]]:
    """What was told since *since* (seconds), oldest first."""
    query = {"since": f"{since:.9f}", "until": f"{time.time():.9f}"}
    if filters:
        query["filters"] = json.dumps({key: [value] for key, value in filters.items()})
    reply = engine.http("GET", f"/events?{urlencode(query)}")
    return [json.loads(line) for line in reply.body.splitlines()]


def actions(engine: Engine, since: float, life: Life) -> list[str]:
    """What was told of one container, and of networks and volumes on its account, in order."""
    return [
        f"{event['Type']} {event['Action']}"
        for event in events(engine, since)
        if life.id in (event["Actor"]["ID"], event["Actor"]["Attributes"].get("container"))
    ]


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Do *work* in a thread beside the block; its result is there, or its error raised, at the end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield future
        future.result(timeout=60)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do all of it at the same time; the results in the order of *works*."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(work) for work in works]]


def named_volumes(engine: Engine) -> set[str]:
    return {volume["Name"] for volume in engine.http("GET", "/volumes").json["Volumes"] or ()}


def quoted(filters: dict[str, list[str]]) -> str:
    return quote(json.dumps(filters))
