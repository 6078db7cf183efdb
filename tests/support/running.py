"""Running programs in tests: what they printed, and a failure that shows it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """A program that ended: its exit code and what it wrote."""

    command: str
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The only line of the output."""
        lines = self.out.splitlines()
        assert len(lines) == 1, f"{self.command}: not one line: {self.out!r}"
        return lines[0]

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.out}{self.err}[exit code {self.code}]"


def run(
    command: Sequence[str],
    *,
    input: str | bytes | None = None,
    check: bool = True,
    timeout_s: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> Result:
    """Run *command* to its end. Raises AssertionError with its output when *check* and the exit code is not 0."""
    data = input.encode() if isinstance(input, str) else input
    done = subprocess.run(
        list(command),
        input=data,
        stdin=subprocess.DEVNULL if data is None else None,
        capture_output=True,
        timeout=timeout_s,
        env=None if env is None else dict(env),
        cwd=cwd,
        preexec_fn=default_signals,
    )
    out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    result = Result(shlex.join(command), done.returncode, out, err)
    assert not check or result.code == 0, str(result)
    return result


def default_signals() -> None:
    """A shell in the background gives its children ignored interrupts, and Compose waits for one to end."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
