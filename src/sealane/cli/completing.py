"""Completion in shells, by click, from the same declarations as the parser and the help.

Imported only while a shell asks (the variable ``_SEALANE_COMPLETE``) or when a script is printed. A command is imported
only once its name is complete, and the engine is asked for names only where one stands.
"""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    shell_complete,
)

from sealane.cli import verbs
from sealane.cli.global_options import GLOBAL_OPTIONS
from sealane.cli.verbs import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from sealane.cli.grammar import Command, Option

VARIABLE: Final = "_SEALANE_COMPLETE"


class _Bash(BashComplete):
    """click's script, without asking for bash's version each time (any bash since 4.4 will do)."""

    @staticmethod
    def _check_version() -> None:
        return


_SHELLS: Final[Mapping[str, type[ShellComplete]]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


def script(shell: str) -> str:
    """The script for a shell, to be evaluated by it."""
    return _SHELLS[shell](click.Group("sealane"), {}, "sealane", VARIABLE).source() + "\n"


def complete(instruction: str) -> int:
    """Answer the shell; *instruction* is such as ``bash_complete``."""
    tree = _Table("sealane", {**verbs.VERBS, **dict.fromkeys(verbs.GROUPS, "")}, "", GLOBAL_OPTIONS)
    return shell_complete(tree, {}, "sealane", VARIABLE, instruction)


class _Table(click.Group):
    """A group whose commands are looked up in a table of verbs."""

    def __init__(self, name: str, table: Mapping[str, str], help: str, options: tuple[Option, ...]) -> None:
        super().__init__(name, params=[_option(option) for option in options if not option.hidden], help=help)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in verbs.GROUPS and self.name == "sealane":
            return _Table(cmd_name, verbs.GROUPS[cmd_name], verbs.GROUP_HELP[cmd_name], ())
        target = self._table.get(cmd_name)
        return _command(cmd_name, load(target)) if target else None


def _command(name: str, command: Command) -> click.Command:
    params: list[click.Parameter] = [_option(option) for option in command.options if not option.hidden]
    params.append(_Operand(command))
    settings = {"allow_interspersed_args": not command.passes_on, "ignore_unknown_options": True}
    return click.Command(name, params=params, help=command.help, context_settings=settings, add_help_option=False)


def _option(option: Option) -> click.Option:
    names = [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]
    is_flag = option.kind == "switch"
    multiple = option.kind in ("list", "csv")
    return click.Option(
        names, is_flag=is_flag, multiple=multiple, help=option.help, type=None if is_flag else _Value(option)
    )


class _Value(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in new versions only
    """The value of an option: names of networks, volumes or containers where those are meant, else files."""

    name = "text"
    _KINDS: Final = {"network": "network", "volumes-from": "container", "link": "container"}

    def __init__(self, option: Option) -> None:
        self._option = option

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        kind = self._KINDS.get(self._option.name)
        if kind:
            return _items(kind, incomplete)
        return [CompletionItem(incomplete, type="file")]


class _Operand(click.Argument):
    """Operands of any number; completed with names of the kind that the command declares for the place."""

    def __init__(self, command: Command) -> None:
        super().__init__(["operands"], nargs=-1)
        self._kinds = command.complete.split()
        self._repeats = command.most is None and not command.passes_on

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        place = len(ctx.params.get(self.name or "") or ())
        if self._repeats:
            place = min(place, len(self._kinds) - 1)
        kind = self._kinds[place] if 0 <= place < len(self._kinds) else ""
        found = _items(kind, incomplete) if kind else []
        return found or [CompletionItem(incomplete, type="file")]


def _items(kind: str, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in _names(kind) if name.startswith(incomplete)]


def _names(kind: str) -> list[str]:
    """Names that the engine knows; none when it does not answer (a shell is no place for errors)."""
    from sealane.cli.app import App
    from sealane.errors import SealaneError

    engine = App(None, os.environ).engine
    try:
        if kind in ("container", "running"):
            found = engine.get("/containers/json", {"all": kind == "container"})
            return [name.removeprefix("/") for item in found for name in item["Names"] if "/" not in name[1:]]
        if kind == "image":
            return [tag for item in engine.get("/images/json") for tag in item["RepoTags"] or ()]
        if kind == "network":
            return [item["Name"] for item in engine.get("/networks")]
        return [item["Name"] for item in engine.get("/volumes")["Volumes"] or ()]
    except (SealaneError, OSError) as error:
        if os.environ.get("SEALANE_COMPLETE_DEBUG"):
            sys.stderr.write(f"{error}\n")
        return []
