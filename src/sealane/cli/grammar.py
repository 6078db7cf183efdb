"""Docker's option grammar: the declaration of a command's options, and the parser. Pure.

Grammar: ``--name value``, ``--name=value``, ``-n value``, ``-nvalue``, ``-n=value``, clustered switches (``-it``),
switches with a value (``--rm=false``), ``--`` ends the options. Commands that pass arguments on (run, exec) stop at
the first operand; others take options anywhere. An option that may be given several times keeps the order.

The same declarations feed the help and the completion (see docs/decisions on why click's parser is not in this path).
"""

from __future__ import annotations

from sealane.cli.failures import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from sealane.cli.app import App

_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")


class Option:
    """One option. ``kind``: ``switch``, ``text``, ``number``, ``list``, ``csv`` (a list whose items commas split)."""

    __slots__ = ("check", "default", "help", "hidden", "kind", "meta", "name", "short")

    def __init__(
        self,
        name: str,
        short: str,
        kind: str,
        help: str,
        default: str = "",
        meta: str = "",
        hidden: bool = False,
        check: Callable[[str], object] | None = None,
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.help = help
        self.default = default
        self.meta = meta
        self.hidden = hidden
        self.check = check

    @property
    def label(self) -> str:
        """``-m, --memory``: how messages name the option."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


def switch(name: str, short: str, help: str, *, default: bool = False, hidden: bool = False) -> Option:
    """An option without a value (``--rm``), or with an explicit one (``--rm=false``)."""
    return Option(name, short, "switch", help, "true" if default else "", hidden=hidden)


def text(
    name: str,
    short: str,
    help: str,
    *,
    default: str = "",
    meta: str = "string",
    hidden: bool = False,
    check: Callable[[str], object] | None = None,
) -> Option:
    """An option with one value; *check* raises ValueError with what is wrong with the value."""
    return Option(name, short, "text", help, default, meta, hidden, check)


def number(name: str, short: str, help: str, *, default: str = "", meta: str = "int") -> Option:
    """An option with a whole number."""
    return Option(name, short, "number", help, default, meta, check=_whole)


def many(
    name: str,
    short: str,
    help: str,
    *,
    meta: str = "list",
    hidden: bool = False,
    check: Callable[[str], object] | None = None,
) -> Option:
    """An option that may be given several times."""
    return Option(name, short, "list", help, "", meta, hidden, check)


def csv(name: str, short: str, help: str) -> Option:
    """An option that may be given several times; a comma separates values too."""
    return Option(name, short, "csv", help, "", "strings")


def _whole(value: str) -> object:
    try:
        return int(value, 10)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None


class Command:
    """A verb: its usage line (without the program's name), how many operands it takes, its options, what it runs."""

    __slots__ = (
        "aliases",
        "complete",
        "error_code",
        "help",
        "least",
        "most",
        "options",
        "passes_on",
        "path",
        "run",
        "usage",
        "verbatim",
    )

    def __init__(
        self,
        path: str,
        operands: str,
        help: str,
        run: Callable[[App, Args], int],
        options: Sequence[Option] = (),
        *,
        least: int = 0,
        most: int | None = None,
        passes_on: bool = False,
        aliases: Sequence[str] = (),
        complete: str = "",
        error_code: int = 1,
        verbatim: bool = False,
    ) -> None:
        """*passes_on*: the first operand ends the options. *most* None: no upper limit. *complete*: what kind of name
        the operands are (container, running, image, network, volume), for completion. *error_code*: the exit code
        when the engine refuses or cannot be reached. *verbatim*: every word is an operand, options too."""
        self.path = path
        self.usage = " ".join(filter(None, (path, "[OPTIONS]" if options else "", operands)))
        self.help = help
        self.run = run
        self.options = options
        self.least = least
        self.most = most
        self.passes_on = passes_on
        self.aliases = aliases
        self.complete = complete
        self.error_code = error_code
        self.verbatim = verbatim


class Args:
    """What was given: values by option name, and the operands."""

    __slots__ = ("_declared", "_values", "operands")

    def __init__(self, options: Sequence[Option]) -> None:
        self._declared = {option.name: option for option in options}
        self._values: dict[str, list[str]] = {}
        self.operands: list[str] = []

    def given(self, name: str) -> bool:
        """Whether the option was on the command line."""
        return name in self._values

    def flag(self, name: str) -> bool:
        return (self._last(name) or "false") in _TRUE

    def text(self, name: str) -> str:
        return self._last(name)

    def number(self, name: str) -> int | None:
        """The value, else the default, else None."""
        value = self._last(name)
        return int(value) if value else None

    def many(self, name: str) -> list[str]:
        return list(self._values.get(name, ()))

    def put(self, option: Option, value: str) -> None:
        """Record a value, checked. Raises ValueError with what is wrong."""
        if option.kind == "switch" and value not in _TRUE + _FALSE:
            raise ValueError(f'strconv.ParseBool: parsing "{value}": invalid syntax')
        if option.check is not None:
            option.check(value)
        items = value.split(",") if option.kind == "csv" else [value]
        if option.kind in ("list", "csv"):
            self._values.setdefault(option.name, []).extend(items)
        else:
            self._values[option.name] = items

    def _last(self, name: str) -> str:
        values = self._values.get(name)
        return values[-1] if values else self._declared[name].default


def parse(command: Command, argv: Sequence[str]) -> Args:
    """Parse what follows the verb. Raises UsageError; ``--help`` among the options raises HelpAsked."""
    args = Args(command.options)
    words = list(argv)
    words.reverse()
    parser = _Parser(command, args)
    while words:
        word = words.pop()
        if word == "--":
            args.operands += reversed(words)
            break
        if word.startswith("--"):
            parser.long(word[2:], words)
        elif word.startswith("-") and word != "-":
            parser.shorts(word, words)
        else:
            args.operands.append(word)
            if command.passes_on:
                args.operands += reversed(words)
                break
    _check_count(command, len(args.operands))
    return args


class HelpAsked(Exception):
    """``--help`` was given."""


class _Parser:
    __slots__ = ("_args", "_command", "_long", "_short")

    def __init__(self, command: Command, args: Args) -> None:
        self._command = command
        self._args = args
        self._long = {option.name: option for option in command.options}
        self._short = {option.short: option for option in command.options if option.short}

    def long(self, word: str, rest: list[str]) -> None:
        name, equals, value = word.partition("=")
        option = self._long.get(name)
        if option is None:
            if name == "help":
                raise HelpAsked
            raise self._wrong(f"unknown flag: --{name}")
        if not equals:
            if option.kind == "switch":
                value = "true"
            elif rest:
                value = rest.pop()
            else:
                raise self._wrong(f"flag needs an argument: --{name}")
        self._put(option, value)

    def shorts(self, word: str, rest: list[str]) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self._short.get(letter)
            if option is None:
                if letter == "h":
                    raise HelpAsked
                raise self._wrong(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
            if option.kind == "switch":
                value, letters = (letters[1:], "") if letters.startswith("=") else ("true", letters)
            elif letters:
                value, letters = letters.removeprefix("="), ""
            elif rest:
                value = rest.pop()
            else:
                raise self._wrong(f"flag needs an argument: '{letter}' in {word}")
            self._put(option, value)

    def _put(self, option: Option, value: str) -> None:
        try:
            self._args.put(option, value)
        except ValueError as error:
            raise self._wrong(f'invalid argument "{value}" for "{option.label}" flag: {error}') from None

    def _wrong(self, message: str) -> UsageError:
        return UsageError(message, code=125, usage=self._command.usage, path=self._command.path)


def _check_count(command: Command, count: int) -> None:
    least, most = command.least, command.most
    if count >= least and (most is None or count <= most):
        return
    if most == 0:
        wanted = "accepts no arguments"
    elif least == most:
        wanted = f"requires {least} argument{'s' if least != 1 else ''}"
    elif count < least:
        wanted = f"requires at least {least} argument{'s' if least != 1 else ''}"
    else:
        wanted = f"accepts at most {most} argument{'s' if most != 1 else ''}"
    message = f"sealane: 'sealane {command.path}' {wanted}"
    raise UsageError(message, code=1, usage=command.usage, path=command.path)
