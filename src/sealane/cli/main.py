"""The entry of the ``sealane`` program: global options, the verb, and how errors end the process.

Exit codes, as Docker's: 125 for an unknown option or when the engine refuses ``run``, 126 and 127 when the command
cannot be executed or is not found, 1 for other failures, 130 after an interrupt, else what the command itself returns.
"""

from __future__ import annotations

import os
import sys

from sealane import VERSION
from sealane.cli import verbs
from sealane.cli.failures import Failure, UsageError, describe
from sealane.cli.global_options import GLOBAL_OPTIONS, LOG_LEVELS
from sealane.cli.grammar import Command, HelpAsked, parse
from sealane.errors import SealaneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from sealane.cli.app import App
    from sealane.cli.grammar import Args


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
    except Failure as error:
        sys.stderr.write(error.message + "\n")
        return error.code


def _dispatch(argv: list[str]) -> int:
    root = Command("", "COMMAND [ARG...]", "", _unused, GLOBAL_OPTIONS, passes_on=True)
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
    _check_globals(given)
    target, name = verbs.find(words)
    if not target:
        return _unknown(words, name)
    command = verbs.load(target)
    rest = words[name.count(" ") + 1 :]
    return _call(command, given, name, ["--", *rest] if command.verbatim else rest)


def _check_globals(given: Args) -> None:
    context = given.text("context") if given.given("context") else os.environ.get("DOCKER_CONTEXT") or "default"
    if context != "default" and not given.given("host"):
        raise Failure(
            f'Failed to initialize: context "{context}": context not found: Sealane has no contexts, '
            "use --host or DOCKER_HOST"
        )
    if given.text("log-level") not in LOG_LEVELS:
        raise Failure(f"Unable to parse logging level: {given.text('log-level')}")
    if any(given.given(option.name) for option in GLOBAL_OPTIONS if option.name.startswith("tls")):
        raise Failure("Failed to initialize: TLS is not supported, use a unix:// or tcp:// address without --tls")


def _call(command: Command, given: Args, name: str, argv: list[str]) -> int:
    from sealane.cli.app import App

    try:
        args = parse(command, argv, name)
    except HelpAsked:
        from sealane.cli.help import command_help

        sys.stdout.write(command_help(command, name))
        return 0
    for note in args.notes:
        sys.stdout.write(note + "\n")
    environ = {**os.environ, "DOCKER_CONFIG": given.text("config")} if given.given("config") else os.environ
    app = App(given.text("host") or None, environ)
    try:
        return command.run(app, args)
    except (UsageError, BrokenPipeError):
        raise
    except SealaneError as error:
        return _failure(app, command, error)
    except OSError as error:
        app.complain(_os_error_text(error))
        return command.error_code
    except Exception as error:
        if given.flag("debug"):
            raise
        app.complain(f"sealane: unexpected failure: {type(error).__name__}: {error} (--debug shows where)")
        return command.error_code


def _failure(app: App, command: Command, error: SealaneError) -> int:
    code, plain = (error.code, error.plain) if isinstance(error, Failure) else (command.error_code, False)
    message = describe(error)
    if message and command.error_code == 125 and not plain:
        message = f"sealane: {message}\n\nRun 'sealane {command.path} --help' for more information"
    if message:
        app.complain(message)
    return code


def _os_error_text(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"open {error.filename}: {reason}" if error.filename else reason


def _usage_failure(error: UsageError) -> int:
    lines = [error.message, ""]
    if error.usage:
        lines += [f"Usage:  sealane {error.usage}", ""]
    lines.append(f"{error.hint} '{' '.join(filter(None, ('sealane', error.path)))} --help' for more information")
    sys.stdout.flush()
    sys.stderr.write("\n".join(lines) + "\n")
    return error.code


def _help(words: list[str]) -> int:
    from sealane.cli.help import help_for

    sys.stdout.write(help_for(words))
    return 0


def _unknown(words: list[str], name: str) -> int:
    if words[0] in verbs.GROUPS and (len(words) == 1 or words[1].startswith("-")):
        return _lone_group(words)
    group = words[0] if words[0] in verbs.GROUPS else ""
    if words[0] in verbs.LATER:
        raise UsageError(
            f"sealane: '{words[0]}' is not there yet; use docker with DOCKER_HOST at Sealane's socket or another tool"
        )
    raise UsageError(f"sealane: unknown command: sealane {name}", usage=group, path=group)


def _lone_group(words: list[str]) -> int:
    """``sealane network``, ``sealane network --help``, ``sealane network --foo``."""
    from sealane.cli.help import help_for

    group = words[0]
    try:
        parse(Command(group, "", "", _unused, passes_on=True), words[1:])
    except HelpAsked:
        return _help([group])
    sys.stderr.write(help_for([group]))
    return 0


def _unused(app: App, args: Args) -> int:
    raise AssertionError("has no action of its own")


if __name__ == "__main__":
    main()
