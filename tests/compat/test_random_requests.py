"""Random requests at every route of a real engine: never its failure, and nothing of it stays on the host."""

from __future__ import annotations

import json
import re

from hypothesis import HealthCheck, given, settings

from sealane.api.errors import UNEXPECTED
from support import images, leaks
from support.engine import Engine
from support.poll import until
from support.registry import Registry
from support.session import Session
from unit.api.random_requests import IMAGE, Ask, answer, check, requests

BOX = {
    "Image": IMAGE,
    "Cmd": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"],
    "StopTimeout": 1,
}
#: Pulls and logins would leave the machine, and a stop with a time of its own may take that time.
LEFT_OUT = re.compile(r"/images/create|/auth|/(stop|restart)\?.*\bt=")


def test_random_requests_neither_break_the_engine_nor_leave_anything(session: Session, registry: Registry) -> None:
    before = leaks.look(session)
    with Engine(session, mirrors=[registry.url]) as engine:
        bombard(engine)
        assert "Traceback" not in engine.log.read_text(), engine.tail()
    until(lambda: not leaks.look(session).since(before), "nothing is left")


def bombard(engine: Engine) -> None:
    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(ask=requests().filter(lambda ask: not LEFT_OUT.search(ask.path)))
    def one(ask: Ask) -> None:
        prepare(engine)
        status, body = answer(engine.socket, ask, timeout_s=60)
        check(ask, status, body)
        if status == 201 and ask.pattern == "/containers/create":
            try_out(engine, ask, json.loads(body)["Id"])

    one()


def try_out(engine: Engine, ask: Ask, identifier: str) -> None:
    """Start what could be created. The machine may have reasons against it, which Docker answers with 500 too."""
    started = engine.http("POST", f"/containers/{identifier}/start")
    assert started.status == 204 or started.message != UNEXPECTED, (ask, engine.tail())
    assert engine.http("DELETE", f"/containers/{identifier}?force=1&v=1").status in (204, 404)


def prepare(engine: Engine) -> None:
    """The objects that requests name are there again, whatever the request before did to them."""
    if engine.http("GET", f"/images/{IMAGE}/json").status == 404:
        engine.cli("pull", images.CENTOS)
    if engine.http("GET", "/containers/box/json").status == 404:
        assert engine.http("POST", "/containers/create?name=box", BOX).status == 201
    if engine.http("GET", "/networks/net").status == 404:
        assert engine.http("POST", "/networks/create", {"Name": "net"}).status == 201
    engine.http("POST", "/containers/box/start")
