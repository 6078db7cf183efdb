"""The relay starts when it is needed, outlives the engine, is replaced when it dies, and goes when it is idle."""

from __future__ import annotations

import os
import signal

import pytest

from kernel.relay.lab import RelayLab, listener, wait_for
from sealane.errors import Unavailable
from sealane.relay.publisher import RelayPublisher


def test_no_process_until_something_is_put(lab: RelayLab) -> None:
    lab.run(lab.publisher.connect())
    assert lab.run(lab.publisher.held()) == {}
    assert lab.pid() == 0


def test_it_goes_when_it_has_held_nothing_for_a_while_and_comes_back(lab: RelayLab) -> None:
    lab.configure(linger_s=0.1)
    for _ in range(2):
        lab.run(lab.publisher.put("p", listener("::1", 8080, None)))
        assert lab.pid()
        lab.run(lab.publisher.drop("p"))
        lab.run(lab.until(lambda: lab.pid() == 0))


def test_the_engine_goes_and_its_successor_finds_everything(lab: RelayLab) -> None:
    server, target = lab.server("127.0.0.1")
    wanted = listener("::1", 8080, target)
    lab.run(lab.publisher.put("p", wanted))
    lab.run(lab.publisher.close())
    client = lab.client("::1", 8080)
    server.accept()[0].close()
    assert client.recv(1) == b""
    successor = RelayPublisher(lab.process)
    lab.run(successor.connect())
    assert lab.run(successor.held()) == {"p": wanted}
    lab.run(successor.put("q", listener("::1", 8081, target)))
    lab.run(successor.put("p", wanted))
    lab.run(successor.prune())
    assert set(lab.run(successor.held())) == {"p", "q"}
    lab.run(successor.drop("p"))
    lab.run(successor.close())
    third = RelayPublisher(lab.process)
    lab.run(third.connect())
    lab.run(third.prune())
    assert lab.run(third.held()) == {}
    lab.run(third.close())


def test_a_killed_relay_is_replaced(lab: RelayLab) -> None:
    lost: list[int] = []
    lab.publisher = RelayPublisher(lab.process, lambda: lost.append(1))
    server, target = lab.server("127.0.0.1")
    wanted = {"p": listener("::1", 8080, target), "q": listener("0.0.0.0", 8081, None)}
    for key, each in wanted.items():
        lab.run(lab.publisher.put(key, each))
    killed = lab.pid()
    os.kill(killed, signal.SIGKILL)
    lab.run(lab.until(lambda: lab.pid() not in (0, killed) and bool(lost)))
    lab.run(lab.publisher.put("p", wanted["p"]))
    assert lab.run(lab.publisher.held()) == wanted
    lab.client("::1", 8080)
    server.accept()[0].close()


def test_a_put_in_the_moment_of_death(lab: RelayLab) -> None:
    lab.run(lab.publisher.put("p", listener("::1", 8080, None)))
    os.kill(lab.pid(), signal.SIGKILL)
    lab.run(lab.publisher.put("q", listener("::1", 8081, None)))
    assert set(lab.run(lab.publisher.held())) == {"p", "q"}


def test_a_clean_end(lab: RelayLab) -> None:
    lab.run(lab.publisher.put("p", listener("::1", 8080, None)))
    lab.run(lab.publisher.close())
    os.kill(lab.pid(), signal.SIGTERM)
    wait_for(lambda: lab.pid() == 0)
    assert not lab.process.socket.exists()


def test_there_is_one_process_per_socket(lab: RelayLab) -> None:
    lab.run(lab.publisher.put("p", listener("::1", 8080, None)))
    pid = lab.pid()
    assert lab.process.start() is False
    assert lab.pid() == pid


def test_a_relay_that_cannot_start_says_so(lab: RelayLab) -> None:
    lab.process.log.mkdir()
    try:
        with pytest.raises(Unavailable, match="cannot start the relay"):
            lab.run(lab.publisher.put("p", listener("::1", 8080, None)))
    finally:
        lab.process.log.rmdir()
