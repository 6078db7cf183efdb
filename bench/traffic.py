"""What containers get from their network: names by dnsperf, bytes by iperf3, both run inside the containers' network
namespaces by nsenter, so that every engine runs the very same programs."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.lifecycle import Sample
from bench.target import Target

_SECONDS: Final = 4
_WAIT_S: Final = 10
_BRIDGE_NF: Final = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def resolver(target: Target) -> Sample:
    """A neighbour's name, asked for at 127.0.0.11: queries/s under load, and microseconds when asked one by one."""
    with target.own_network() as network, target.running(1, network) as (asker,):
        neighbour = target.create(network)
        target.start(neighbour)
        try:
            name = target.wire.call("GET", f"/containers/{neighbour}/json")["Name"].lstrip("/")
            pid = target.pid(asker)
            return {
                "resolver": _dnsperf(pid, name, "Queries per second", "-c8", "-q64"),
                "resolver latency": _dnsperf(pid, name, "Average Latency", "-c1", "-q1") * 1e6,
            }
        finally:
            target.remove(neighbour)


def _dnsperf(pid: int, name: str, figure: str, *options: str) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".queries") as questions:
        questions.write(f"{name} A\n")
        questions.flush()
        command = ["dnsperf", "-s127.0.0.11", f"-d{questions.name}", f"-l{_SECONDS}", *options]
        out = _inside(pid, *command)
    codes = re.search(r"Response codes: +(.*)", out)
    if codes is None or not codes[1].startswith("NOERROR"):
        raise RuntimeError(f"the resolver does not know {name}: {out}")
    found = re.search(rf"{figure}[^:]*: +([0-9.]+)", out)
    if found is None:
        raise RuntimeError(f"dnsperf says nothing about {figure}: {out}")
    return float(found[1])


def throughput(target: Target) -> Sample:
    """TCP between two containers of one network, Gbit/s: as the host stands, and without iptables on bridged traffic.

    Docker turns that on for every bridge of the host when it starts (net.bridge.bridge-nf-call-iptables); beside it
    Sealane's bridges pay too.
    """
    with target.own_network() as network, target.running(2, network) as (server, client):
        address = target.address_of(server, network)
        serving = ["nsenter", "-t", str(target.pid(server)), "-n", "iperf3", "-s"]
        with subprocess.Popen(serving, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as listening:
            try:
                as_found = _iperf(target.pid(client), address)
                with _without_br_netfilter():
                    return {"TCP": as_found, "TCP, bridge-nf-call off": _iperf(target.pid(client), address)}
            finally:
                listening.terminate()


@contextlib.contextmanager
def _without_br_netfilter() -> Iterator[None]:
    before = _BRIDGE_NF.read_text() if _BRIDGE_NF.exists() else "0"
    if before.strip() == "0":
        yield
        return
    _BRIDGE_NF.write_text("0")
    try:
        yield
    finally:
        _BRIDGE_NF.write_text(before)


def _iperf(pid: int, address: str) -> float:
    deadline = time.monotonic() + 3 * _WAIT_S
    while True:
        try:
            report = json.loads(_inside(pid, "iperf3", "-c", address, f"-t{_SECONDS}", "-J"))
            if "sum_received" in report["end"]:
                return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9
            trouble = report.get("error", "no result")  # it ends with 0 also when the server broke off
        except subprocess.CalledProcessError as error:
            trouble = error.stdout or error.stderr
        except subprocess.TimeoutExpired:
            trouble = "it does not end"  # iperf3 3.12 now and then waits for its server for ever
        if time.monotonic() > deadline:
            raise RuntimeError(f"iperf3: {trouble}")
        time.sleep(0.1)  # the server is not there yet


def _inside(pid: int, *command: str) -> str:
    done = subprocess.run(
        ["nsenter", "-t", str(pid), "-n", *command],
        check=True,
        capture_output=True,
        text=True,
        timeout=_SECONDS + _WAIT_S,
    )
    return done.stdout
