"""Reads a chapter (Markdown) as steps that can be run, and compares what came with what the chapter says.

* A block ``console`` holds commands after ``$ `` (a backslash continues the line) and what they print.
* After a command that opens a shell in a container, lines with its prompt (``root@HOST:/# ``) are typed into it.
* A block ``yaml title=FILE`` is a file.

Two outputs are the same when they agree after `settled`: ids, times and hardware addresses are never the same twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_BLOCK: Final = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT: Final = re.compile(r"^root@\w+:/# (.*)$")
_CHANGING: Final = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "MAC"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)"), "TIME"),
    (re.compile(r"Less than a second|About a minute|\d+ (?:second|minute)s?"), "MOMENT"),
    (re.compile(r"time=[0-9.]+ ms"), "time=MS"),
    (re.compile(r"time \d+ms"), "time MS"),
    (re.compile(r"^rtt min.*$", re.MULTILINE), "RTT"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the chapter."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A command, what is typed into it, and everything that the screen shows of both."""

    command: str
    typed: tuple[str, ...]
    output: str


def read(chapter: str) -> Iterator[File | Step]:
    for kind, title, body in _BLOCK.findall(chapter):
        if title:
            yield File(title, body)
        elif kind == "console":
            yield from _steps(body)


def _steps(body: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", " ").partition("\n")
        typed = tuple(found[1] for line in output.splitlines() if (found := _PROMPT.match(line)))
        yield Step(" ".join(command.split()), typed, output.strip("\n"))


def settled(text: str) -> list[str]:
    """The lines without what changes from run to run; progress that comes in any order is put into one."""
    text = _in_order(text)
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    lines = text.strip("\n").splitlines()
    progress = [line for line in lines if re.match(r" (?:Container|Network) ", line)]
    return sorted(progress) + [line for line in lines if line not in progress]


def _in_order(text: str) -> str:
    """An inspected network lists its containers by their ids, which are drawn by lot: here by name."""
    if not text.startswith("[\n"):
        return text
    found = json.loads(text)
    for item in found:
        members = sorted(item.get("Containers", {}).items(), key=lambda member: str(member[1]["Name"]))
        item["Containers"] = dict(members)
    return json.dumps(found, indent=4)
