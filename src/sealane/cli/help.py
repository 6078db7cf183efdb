"""The help pages, written from the declarations that the parser uses. Imported only when help is asked for."""

from __future__ import annotations

import shutil
import textwrap

from sealane.cli import verbs
from sealane.cli.failures import Failure
from sealane.cli.global_options import GLOBAL_OPTIONS
from sealane.cli.verbs import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sealane.cli.grammar import Command, Option


def command_help(command: Command, name: str) -> str:
    """The page of one command that was typed as *name*."""
    parts = [f"Usage:  sealane {command.usage(name)}", command.help]
    if command.aliases:
        parts.append("Aliases:\n  " + ", ".join(f"sealane {alias}" for alias in command.aliases))
    if command.options:
        parts.append("Options:\n" + options_text(command.options))
    return "\n\n".join(parts) + "\n"


def help_for(words: list[str]) -> str:
    """The page for ``sealane help WORDS``: a command's, a group's, or the first page. Raises Failure."""
    if not words:
        return _root_help()
    target, name = verbs.find(words)
    rest = words[name.count(" ") + 1 :]
    if target and not rest:
        return command_help(load(target), name)
    if words == [name] and name in verbs.GROUPS:
        return _group_help(name)
    raise Failure(f"unknown help topic: {(rest or words[-1:])[0]}")


def options_text(options: Sequence[Option]) -> str:
    """The options, aligned and wrapped to the terminal."""
    shown = sorted((option for option in options if not option.hidden), key=lambda option: option.name)
    heads = [_head(option) for option in shown]
    width = max(map(len, heads), default=0) + 3
    room = max(24, min(shutil.get_terminal_size().columns, 100) - width)
    lines = []
    for head, option in zip(heads, shown, strict=True):
        wrapped = textwrap.wrap(_described(option), room) or [""]
        lines.append(head.ljust(width) + wrapped[0])
        lines += [" " * width + line for line in wrapped[1:]]
    return "\n".join(lines)


def _head(option: Option) -> str:
    short = f"-{option.short}, " if option.short else "    "
    return f"  {short}--{option.name}{' ' + option.meta if option.meta else ''}"


def _described(option: Option) -> str:
    if not option.default:
        return option.help
    shown = option.default if option.kind != "text" else f'"{option.default}"'
    return f"{option.help} (default {shown})"


def _group_help(group: str) -> str:
    commands = _listing(verbs.GROUPS[group])
    return (
        f"Usage:  sealane {group} COMMAND\n\n{verbs.GROUP_HELP[group]}\n\nCommands:\n{commands}\n\n"
        f"Run 'sealane {group} COMMAND --help' for more information on a command.\n"
    )


def _root_help() -> str:
    groups = "\n".join(f"  {name:<12}{text}" for name, text in sorted(verbs.GROUP_HELP.items()))
    return (
        "Usage:  sealane [OPTIONS] COMMAND\n\nA container engine whose subject is the network between containers\n\n"
        f"Groups of commands:\n{groups}\n\nCommands:\n{_listing(verbs.VERBS)}\n\n"
        f"Global options:\n{options_text(GLOBAL_OPTIONS)}\n\n"
        "Run 'sealane COMMAND --help' for more information on a command.\n"
    )


def _listing(table: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<12}{load(target).help.splitlines()[0]}" for name, target in sorted(table.items()))
