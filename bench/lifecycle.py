"""How long the verbs take, and what containers and ports cost in processes and memory."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import Final

from bench import processes
from bench.target import IMAGE, LABEL, Target, milliseconds

PORTS: Final = 100
AT_ONCE: Final = 20
IDLE: Final = 10
_FIRST_PORT: Final = 21000  # below the range that the kernel hands out by itself
Sample = dict[str, float]


def verbs(target: Target) -> Sample:
    """One container's life on a network of its own, each verb timed by itself; milliseconds."""
    made: dict[str, str] = {}
    sample: Sample = {}
    sample["network create"] = milliseconds(lambda: made.update(first=target.network()))
    second = target.network()
    sample["create"] = milliseconds(lambda: made.update(box=target.create(made["first"])))
    box = made["box"]
    sample["start"] = milliseconds(lambda: target.start(box))
    body = {"Container": box}
    sample["connect"] = milliseconds(lambda: target.wire.call("POST", f"/networks/{second}/connect", body))
    sample["disconnect"] = milliseconds(lambda: target.wire.call("POST", f"/networks/{second}/disconnect", body))
    sample["exec"] = milliseconds(lambda: target.execute(box, "true"))
    sample["rm -f"] = milliseconds(lambda: target.remove(box))
    sample["network rm"] = milliseconds(lambda: target.remove_network(made["first"]))
    target.remove_network(second)
    return sample


def run_and_remove(target: Target) -> Sample:
    """``run --rm IMAGE true`` as the command line does it: attach, wait for the removal, start; milliseconds."""
    with target.another() as streams, target.another() as waiting:

        def work() -> None:
            box = target.create("bridge", "true", host={"AutoRemove": True}, AttachStdout=True, AttachStderr=True)
            streams.take_over("POST", f"/containers/{box}/attach?stream=1&stdout=1&stderr=1")
            waiting.send("POST", f"/containers/{box}/wait?condition=removed")
            target.start(box)
            streams.read_to_end()
            waiting.answer("POST", "wait")

        return {"run --rm": milliseconds(work)}


def _environment() -> dict[str, str]:
    """As people have it: Python keeps what it has compiled."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def many_ports(target: Target) -> Sample:
    """Start with 100 published ports; what these ports cost in processes and memory beside a container without any."""
    ports = range(_FIRST_PORT, _FIRST_PORT + PORTS)
    bound = {f"{number}/tcp": [{"HostPort": str(number)}] for number in ports}
    plain = target.create()
    _, without = _started(target, plain)
    box = target.create(host={"PortBindings": bound}, ExposedPorts={key: {} for key in bound})
    took, new = _started(target, box)
    sample = {
        "start, 100 ports": took,
        "processes for 100 ports": float(len(new) - len(without)),
        "memory for 100 ports": (processes.memory(new) - processes.memory(without)) / 1e6,
    }
    target.remove(plain)
    sample["rm -f, 100 ports"] = milliseconds(lambda: target.remove(box))
    return sample


def _started(target: Target, box: str) -> tuple[float, set[int]]:
    """Milliseconds, and the processes that the engine has more than before."""
    before = processes.engine(target.address)
    took = milliseconds(lambda: target.start(box))
    return took, processes.engine(target.address) - before


def at_once(target: Target) -> Sample:
    """20 containers, made before, started at the same time: until the last has started; milliseconds."""
    boxes = [target.create() for _ in range(AT_ONCE)]
    connections = [target.another() for _ in boxes]
    starters = [
        threading.Thread(target=connection.call, args=("POST", f"/containers/{box}/start"))
        for connection, box in zip(connections, boxes, strict=True)
    ]

    def work() -> None:
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()

    took = milliseconds(work)
    running = [box for box in boxes if target.pid(box)]
    if len(running) != AT_ONCE:
        raise RuntimeError(f"{target.name}: only {len(running)} of {AT_ONCE} containers have started")
    for connection in connections:
        connection.sock.close()
    for box in boxes:
        target.remove(box)
    return {"20 starts at once": took}


def memory(target: Target) -> Sample:
    """Megabytes of PSS: what watches an idle container, and the engine itself with ten of them."""
    with target.own_network() as network, target.running(IDLE, network) as boxes:
        own = processes.engine(target.address)
        watchers = processes.watching(boxes)
        return {
            "memory per idle container": processes.memory(watchers) / IDLE / 1e6,
            "memory of the engine": processes.memory(own) / 1e6,
        }


def commands(target: Target) -> Sample:
    """Whole processes of the command line, from fork to exit; milliseconds."""

    def run(*arguments: str) -> float:
        command = [*target.cli, *arguments]
        return milliseconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment()))

    with target.running(1):
        sample = {"`network ls`": run("network", "ls"), "`ps`": run("ps")}
    sample["`run -d`"] = run("run", "-d", "--label", f"{LABEL}=1", IMAGE, "sleep", "100000")
    target.clean()
    return sample
