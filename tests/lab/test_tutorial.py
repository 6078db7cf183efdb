"""Every command of docs/tutorial.md, run for real; what it prints is what the chapter says.

With ``sealane``, and with the real ``docker`` in its place.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from support import running
from support.engine import Engine
from support.terminal import Terminal
from support.tutorial import File, Step, read, settled

CHAPTER = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
#: The chapter's subnets, with their networks; an engine on a host that uses them already takes others.
SUBNETS = {"172.17.0.": "bridge", "172.18.0.": "my-network"}


class Reader:
    """Somebody who follows the chapter with *tool* in a directory."""

    def __init__(self, engine: Engine, tool: str, folder: Path) -> None:
        self._engine = engine
        self._tool = tool
        self._folder = folder

    def follow(self, part: File | Step) -> None:
        if isinstance(part, File):
            (self._folder / part.name).write_text(part.text)
            return
        command = [self._here(word) for word in shlex.split(part.command)]
        if command[0] == "sealane":
            command[0] = self._tool
        seen = self._type(command, part) if part.typed else self._run(command)
        expected = self._here(part.output)
        if part.command.startswith("sealane compose"):  # it starts both at once: either may get the first address
            seen, expected = (re.sub(r"\d+\.\d+\.\d+\.\d+", "ADDRESS", text) for text in (seen, expected))
        assert settled(seen) == settled(expected), f"$ {part.command}"

    def _here(self, text: str) -> str:
        """With this engine's addresses in place of the chapter's."""
        return re.sub("|".join(map(re.escape, SUBNETS)), lambda found: self._prefix(SUBNETS[found[0]]), text)

    def _prefix(self, network: str) -> str:
        config = self._engine.http("GET", f"/networks/{network}").json["IPAM"]["Config"]
        return str(config[0]["Gateway"]).removesuffix("1")

    def _run(self, command: list[str]) -> str:
        done = running.run(command, env=self._engine.environ, cwd=str(self._folder), check=False)
        return done.out + done.err.removesuffix("exit status 1\n")  # what docker 28 adds when nothing was removed

    def _type(self, command: list[str], step: Step) -> str:
        with Terminal(command, env=self._engine.environ) as terminal:
            for line in step.typed:
                terminal.expect("# $")
                terminal.type(f"{self._here(line)}\n")
            terminal.wait()
            return terminal.screen


@pytest.mark.parametrize("tool", ["sealane", "docker"])
def test_the_tutorial(make_engine: Callable[[], Engine], tool: str, tmp_path: Path) -> None:
    parts = list(read(CHAPTER))
    assert len(parts) > 20, "the chapter has lost its commands"
    reader = Reader(make_engine(), tool, tmp_path)

    for part in parts:
        reader.follow(part)
