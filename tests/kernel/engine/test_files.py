"""/etc/hosts and /etc/resolv.conf of running containers follow their networks; what people wrote stays."""

from __future__ import annotations

import pytest

from kernel.engine.lives import Life
from support.engine import Engine


@pytest.fixture
def red(engine: Engine) -> str:
    engine.http("POST", "/networks/create", {"Name": "red"})
    return "red"


def connect(engine: Engine, network: str, *, away: bool = False) -> None:
    verb = "disconnect" if away else "connect"
    reply = engine.http("POST", f"/networks/{network}/{verb}", {"Container": "box"})
    assert reply.status == 200, reply.body


def resolver(life: Life) -> list[str]:
    return [line.split()[1] for line in life.run("cat", "/etc/resolv.conf").splitlines() if line.startswith("names")]


def test_one_of_the_default_bridge_gets_the_resolver_with_its_first_named_network(engine: Engine, red: str) -> None:
    Life(engine, "neighbour", host={"NetworkMode": red}).start()
    life = Life(engine, "box").start()
    assert resolver(life) != ["127.0.0.11"]
    connect(engine, red)

    assert resolver(life) == ["127.0.0.11"]
    assert "1 packets received" in life.run("ping", "-c1", "neighbour")
    connect(engine, red, away=True)
    assert resolver(life) != ["127.0.0.11"]


def test_its_lines_in_hosts_come_and_go(engine: Engine, red: str) -> None:
    life = Life(engine, "box", Hostname="ha", host={"ExtraHosts": ["foo:1.2.3.4"]}).start()
    before = life.run("cat", "/etc/hosts")
    life.run("sh", "-c", "echo '9.9.9.9 mine' >>/etc/hosts")
    connect(engine, red)
    address = life.view["NetworkSettings"]["Networks"]["red"]["IPAddress"]

    assert life.run("cat", "/etc/hosts") == f"{before}9.9.9.9 mine\n{address}\tha\n"
    connect(engine, red, away=True)
    assert life.run("cat", "/etc/hosts") == f"{before}9.9.9.9 mine\n"


def test_a_resolv_conf_that_was_edited_is_left_alone_until_the_next_start(engine: Engine, red: str) -> None:
    life = Life(engine, "box").start()
    fresh = life.run("cat", "/etc/resolv.conf")
    life.run("sh", "-c", "echo 'options rotate' >>/etc/resolv.conf")
    connect(engine, red)
    connect(engine, "bridge", away=True)
    assert life.run("cat", "/etc/resolv.conf") == f"{fresh}options rotate\n"
    life.verb("restart", t=0)

    assert "rotate" not in life.run("cat", "/etc/resolv.conf")
    assert resolver(life) == ["127.0.0.11"]


def test_no_shared_memory_if_none_is_wanted(engine: Engine) -> None:
    life = Life(engine, "box", host={"IpcMode": "none"}).start()

    assert "/dev/shm" not in life.run("cat", "/proc/mounts")
