"""The entry of the ``sealane`` program: global options, the verb, and how errors end the process.

Exit codes, as Docker's: 125 for an unknown option or when the engine refuses ``run``, 126 and 127 when the command
cannot be executed or is not found, 1 for other failures, 130 after an interrupt, else what the command itself returns.
"""

from __future__ import annotations

import os
import sys

from sealane import VERSION
from sealane.cli import verbs
from sealane.cli.failures import Failure, UsageError
from sealane.cli.grammar import Command, HelpAsked, Option, parse, switch, text
from sealane.client.errors import ApiError
from sealane.errors import SealaneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, NoReturn

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

GLOBAL_OPTIONS: Final[tuple[Option, ...]] = (
    text("config", "", "Where the client's configuration lies (credentials for registries)"),
    text("context", "c", "Only the context named default exists", default="default"),
    switch("debug", "D", "Show a traceback when something unexpected fails"),
    text("host", "H", "Address of the engine: unix:///path or tcp://host:port"),
    text("log-level", "l", "Accepted and without effect", default="info"),
    switch("version", "v", "Print the version and quit"),
)


def main() -> NoReturn:
    """Run the program and leave the process; flushes, and spares the interpreter's slow shutdown."""
    code = _complete() if "_SEALANE_COMPLETE" in os.environ else run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or 1
    sys.stderr.flush()
    os._exit(code)


def _complete() -> int:
    from sealane.cli.completing import VARIABLE, complete

    return complete(os.environ[VARIABLE])


def run(argv: Sequence[str]) -> int:
    """Run one command line; returns the exit code."""
    try:
        return _dispatch(list(argv))
    except UsageError as error:
        return _usage_failure(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130


def _dispatch(argv: list[str]) -> int:
    root = Command(
        "", "COMMAND", "A container engine whose subject is the network", _unused, GLOBAL_OPTIONS, passes_on=True
    )
    try:
        given = parse(root, argv)
    except HelpAsked:
        return _help([])
    words = given.operands
    if given.flag("version"):
        sys.stdout.write(f"Sealane version {VERSION}\n")
        return 0
    if not words or words[0] == "help":
        return _help(words[1:])
    if given.text("context") != "default":
        raise Failure(
            f'context "{given.text("context")}": not found; Sealane has no contexts, use --host or DOCKER_HOST'
        )
    target, count = verbs.find(words)
    if not target:
        return _unknown(words, count)
    command = load(target)
    return _call(command, given, ["--", *words[count:]] if command.verbatim else words[count:])


def load(target: str) -> Command:
    """Import the command that a ``module:ATTRIBUTE`` of the table names."""
    module, _, attribute = target.partition(":")
    # importlib.import_module would do the same, and importing importlib costs half a millisecond.
    command = getattr(__import__(f"sealane.cli.commands.{module}", fromlist=[attribute]), attribute)
    assert isinstance(command, Command)
    return command


def _call(command: Command, given: Args, argv: list[str]) -> int:
    from sealane.cli.app import App

    try:
        args = parse(command, argv)
    except HelpAsked:
        from sealane.cli.help import command_help

        sys.stdout.write(command_help(command))
        return 0
    app = App(given.text("host") or None, os.environ)
    try:
        return command.run(app, args)
    except (UsageError, BrokenPipeError):
        raise
    except SealaneError as error:
        return _failure(app, command, error)
    except OSError as error:
        app.complain(_os_error_text(error))
        return command.error_code


def _failure(app: App, command: Command, error: SealaneError) -> int:
    code = error.code if isinstance(error, Failure) else command.error_code
    message = describe(error)
    if message and command.error_code == 125 and not getattr(error, "plain", False):
        message = f"sealane: {message}\n\nRun 'sealane {command.path} --help' for more information"
    if message:
        app.complain(message)
    return code


def describe(error: SealaneError) -> str:
    """The line that tells of *error*: the engine's refusals are marked as such, as Docker's client marks them."""
    return f"Error response from daemon: {error.message}" if isinstance(error, ApiError) else error.message


def _os_error_text(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


def _usage_failure(error: UsageError) -> int:
    lines = [error.message, ""]
    if error.usage:
        lines += [f"Usage:  sealane {error.usage}", ""]
    lines.append(f"Run '{' '.join(filter(None, ('sealane', error.path)))} --help' for more information")
    sys.stdout.flush()
    sys.stderr.write("\n".join(lines) + "\n")
    return error.code


def _help(words: list[str]) -> int:
    from sealane.cli.help import help_for

    sys.stdout.write(help_for(words))
    return 0


def _unknown(words: list[str], count: int) -> int:
    group = words[0] if words[0] in verbs.GROUPS else ""
    if group and (len(words) == 1 or words[1] in ("--help", "-h")):
        if len(words) > 1:
            return _help([group])
        from sealane.cli.help import help_for

        sys.stderr.write(help_for([group]))
        return 0
    if group and words[1].startswith("-"):
        raise UsageError(f"unknown flag: {words[1]}", code=125, usage=f"{group} COMMAND", path=group)
    if words[0] in verbs.LATER:
        raise UsageError(
            f"sealane: '{words[0]}' is not there yet; use docker with DOCKER_HOST at Sealane's socket or another tool"
        )
    name = " ".join(words[:count])
    raise UsageError(f"sealane: unknown command: sealane {name}", usage=group, path=group)


def _unused(app: App, args: Args) -> int:
    raise AssertionError("the root has no action of its own")


if __name__ == "__main__":
    main()
