"""Starts that fail: Docker's words, its exit codes on the record, and nothing left behind."""

from __future__ import annotations

import json
from functools import partial

import pytest

from kernel.engine.lives import Life, at_once
from support.engine import Engine


def test_a_network_that_does_not_exist(engine: Engine) -> None:
    life = Life(engine, "lost", host={"NetworkMode": "nowhere"})
    assert life.created.status == 201
    reply = life.verb("start")

    assert (reply.status, reply.message) == (404, "network nowhere not found")
    state = life.state
    assert (state["Status"], state["ExitCode"], state["Error"]) == ("created", 128, "network nowhere not found")


def test_a_network_that_is_made_later(engine: Engine) -> None:
    address = {"IPAMConfig": {"IPv4Address": "10.77.0.9"}}
    life = Life(
        engine, "early", host={"NetworkMode": "later"}, NetworkingConfig={"EndpointsConfig": {"later": address}}
    )
    pool = {"Config": [{"Subnet": "10.77.0.0/24"}]}
    assert engine.http("POST", "/networks/create", {"Name": "later", "IPAM": pool}).status == 201
    life.start()

    assert life.view["NetworkSettings"]["Networks"]["later"]["IPAddress"] == "10.77.0.9"


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [(("no-such-command",), 400, 127), (("/etc",), 400, 126), (("/etc/group",), 400, 126)],
)
def test_a_command_that_cannot_be_run(engine: Engine, command: tuple[str, ...], status: int, code: int) -> None:
    life = Life(engine, "wrong", *command)
    reply = life.verb("start")

    assert reply.status == status, reply.body
    assert (life.state["Status"], life.state["ExitCode"]) == ("created", code)
    assert life.state["Error"] == reply.message


def test_an_auto_removed_container_is_gone_when_the_start_is_refused(engine: Engine) -> None:
    for _ in range(5):
        life = Life(engine, "brief", host={"AutoRemove": True, "NetworkMode": "nowhere"})
        waited, started = at_once(partial(life.verb, "wait", condition="removed"), partial(life.verb, "start"))

        assert started.status == 404
        assert waited.status in (200, 404)
        assert not life.there


def test_the_cli_does_not_hang_on_it(engine: Engine) -> None:
    for run in (engine.cli, engine.docker):
        said = run("run", "--rm", "--network", "nowhere", "busybox", "true", check=False, timeout_s=30)
        assert said.code == 125, said
        assert "network nowhere not found" in said.err


def test_a_container_that_joins_a_renamed_one(engine: Engine) -> None:
    Life(engine, "peer").start()
    mode = {"NetworkMode": "container:peer", "PidMode": "container:peer"}
    life = Life(engine, "guest", host=mode)
    assert engine.http("POST", "/containers/peer/rename?name=host").status == 204
    life.start()

    assert life.view["HostConfig"]["NetworkMode"] == f"container:{engine.inspect('host')['Id']}"
    assert "sleep 1000" in "".join(life.processes())


def test_who_join_a_network_share_its_files(engine: Engine) -> None:
    engine.http("POST", "/networks/create", {"Name": "red"})
    peer = Life(engine, "peer").start()
    life = Life(engine, "guest", host={"NetworkMode": "container:peer"}).start()
    engine.http("POST", "/networks/red/connect", {"Container": "peer"})

    assert life.run("cat", "/etc/hosts") == peer.run("cat", "/etc/hosts")
    assert life.view["HostsPath"] == peer.view["HostsPath"]


def test_an_address_that_a_running_container_has(engine: Engine) -> None:
    pool = {"Config": [{"Subnet": "10.78.0.0/24"}]}
    engine.http("POST", "/networks/create", {"Name": "red", "IPAM": pool})
    wanted = {"NetworkingConfig": {"EndpointsConfig": {"red": {"IPAMConfig": {"IPv4Address": "10.78.0.9"}}}}}
    Life(engine, "one", host={"NetworkMode": "red"}, **wanted).start()
    two = Life(engine, "two", host={"NetworkMode": "red"}, **wanted)
    reply = two.verb("start")

    assert reply.status == 403, reply.body
    assert reply.message == "Address already in use (10.78.0.9 belongs to container one)"
    engine.http("DELETE", "/containers/one?force=1")
    two.start()
    assert two.view["NetworkSettings"]["Networks"]["red"]["IPAddress"] == "10.78.0.9"


def test_ports_of_a_stopped_container_are_free(engine: Engine) -> None:
    bound = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18471"}]}}
    one, two = (Life(engine, name, host=bound) for name in ("one", "two"))
    one.start()
    reply = two.verb("start")

    assert reply.status == 500
    assert reply.message.endswith("Bind for 127.0.0.1:18471 failed: port is already allocated (by container one)")
    assert one.verb("stop", t=0).status == 204
    two.start()
    assert two.view["NetworkSettings"]["Ports"] == json.loads(
        '{"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18471"}]}'
    )
