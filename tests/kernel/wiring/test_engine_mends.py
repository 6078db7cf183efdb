"""A running engine puts its tables back when another program takes them away."""

from __future__ import annotations

import subprocess

from support.engine import Engine
from support.poll import until


def elements(engine: Engine, name: str) -> str:
    command = ["nft", "list", "set", "inet", engine.name, name]
    return subprocess.run(command, capture_output=True, text=True).stdout


def test_a_deleted_table_comes_back_with_what_was_in_it(engine: Engine) -> None:
    network = engine.sdk().networks.create(f"{engine.name}-mended")
    try:
        bridge = f"sl-{network.id[:12]}"
        assert bridge in elements(engine, "bridges")
        subprocess.run(["nft", "delete", "table", "inet", engine.name], check=True)
        until(lambda: bridge in elements(engine, "bridges"), "the table is back")
        assert bridge in elements(engine, "masquerade4")
    finally:
        network.remove()
    assert bridge not in elements(engine, "bridges")
