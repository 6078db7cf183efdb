"""Pulling an image and showing how it goes: a line for each change, or a line for each layer that is redrawn."""

from __future__ import annotations

import os
import sys

from sealane.cli import reference
from sealane.cli.failures import Failure
from sealane.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final, TextIO

    from sealane.cli.app import App
    from sealane.client.types import JsonObject

_BAR: Final = 50
_WIDE: Final = 110  # columns from which on a bar fits beside the numbers, so that no line is wrapped


def pull(
    app: App, image: str, *, platform: str = "", quiet: bool = False, to_stderr: bool = False, all_tags: bool = False
) -> None:
    """Pull *image*, showing progress unless *quiet*. Raises Failure with the registry's refusal."""
    from sealane.client.credentials import registry_auth

    repository, tag = reference.split(image)
    query = {"fromImage": repository, "tag": None if all_tags else tag, "platform": platform or None}
    auth = registry_auth(reference.registry(repository), app.environ)
    messages = app.engine.objects("POST", "/images/create", query, headers={"X-Registry-Auth": auth} if auth else {})
    show(messages, sys.stderr if to_stderr else sys.stdout, quiet=quiet)


def show(messages: Iterable[JsonObject], out: TextIO, *, quiet: bool = False) -> None:
    """Print the messages of a pull, load or import; raises Failure when one of them tells of an error."""
    drawer = LayerLines(out) if out.isatty() else None
    for message in messages:
        if "error" in message or "errorDetail" in message:
            detail = message.get("errorDetail") or {}
            raise Failure(str(detail.get("message") or message.get("error")))
        if quiet:
            continue
        if drawer is not None:
            drawer.take(message)
        else:
            _plain(message, out)


def _plain(message: JsonObject, out: TextIO) -> None:
    """One line for each change of state; the steps of a transfer are left out."""
    if progress_text(message):
        return
    if "stream" in message:
        out.write(message["stream"])
    else:
        head = f"{message['id']}: " if message.get("id") else ""
        out.write(f"{head}{message.get('status', '')}\n")
    out.flush()


class LayerLines:
    """One line on the terminal for each layer, redrawn in place."""

    __slots__ = ("_out", "_rows", "_wide")

    def __init__(self, out: TextIO) -> None:
        self._out = out
        try:
            self._wide = os.get_terminal_size(out.fileno()).columns > _WIDE
        except OSError:
            self._wide = False
        self._rows: dict[str, int] = {}

    def take(self, message: JsonObject) -> None:
        if "stream" in message:
            self._out.write(message["stream"])
            self._out.flush()
            return
        layer = message.get("id")
        progress = progress_text(message, bar=self._wide)
        text = " ".join(filter(None, (message.get("status", ""), progress)))
        if not layer or not (progress or layer in self._rows or "layer" in text or text == "Waiting"):
            self._rows.clear()  # later layers get lines of their own below this one
            self._out.write(f"{layer + ': ' if layer else ''}{text}\n")
        else:
            self._redraw(layer, f"{layer}: {text}")
        self._out.flush()

    def _redraw(self, layer: str, line: str) -> None:
        if layer not in self._rows:
            self._rows[layer] = len(self._rows)
            self._out.write("\n")
        up = len(self._rows) - self._rows[layer]
        self._out.write(f"\x1b[{up}A\x1b[2K\r{line}\r\x1b[{up}B")


def progress_text(message: JsonObject, *, bar: bool = True) -> str:
    """``[====>     ]  1.2MB/3MB`` for a message about a transfer under way, else nothing."""
    detail = message.get("progressDetail") or {}
    current, total = detail.get("current") or 0, detail.get("total") or 0
    if current <= 0 and total <= 0:
        return ""
    if total <= 0 or current > total:
        return f"{human_size(current, 4):>8}"
    numbers = f"{human_size(current, 4):>8}/{human_size(total, 4)}"
    done = int(current / total * _BAR)
    drawn = "=" * done + (">" if done < _BAR else "")
    return f"[{drawn:<{_BAR}}] {numbers}" if bar else numbers
