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

    __slots__ = ("check", "default", "deprecated", "help", "hidden", "into", "kind", "meta", "name", "short")

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
        deprecated: str = "",
        into: str = "",
    ) -> None:
        """*check* raises ValueError with what is wrong with a value; *deprecated* says what to use instead; values go
        *into* the option of that name (an older spelling of it)."""
        self.name = name
        self.short = short
        self.kind = kind
        self.help = help
        self.default = default
        self.meta = meta
        self.hidden = hidden
        self.check = check
        self.deprecated = deprecated
        self.into = into or name

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


def number(
    name: str,
    short: str,
    help: str,
    *,
    default: str = "",
    meta: str = "int",
    hidden: bool = False,
    check: Callable[[str], object] | None = None,
    deprecated: str = "",
) -> Option:
    """An option with a whole number; a *deprecated* one says so when it is used."""
    hidden = hidden or bool(deprecated)
    return Option(name, short, "number", help, default, meta, hidden, check or go_integer, deprecated)


def many(
    name: str,
    short: str,
    help: str,
    *,
    meta: str = "list",
    check: Callable[[str], object] | None = None,
    into: str = "",
) -> Option:
    """An option that may be given several times; one that goes *into* another is hidden."""
    return Option(name, short, "list", help, "", meta, bool(into), check, into=into)


def csv(name: str, short: str, help: str) -> Option:
    """An option that may be given several times; a comma separates values too."""
    return Option(name, short, "csv", help, "", "strings")


def go_integer(text: str) -> int:
    """A whole number of 64 bits as Go reads it: ``12``, ``-1``, ``0x10``, ``010`` is eight. Raises ValueError."""
    return _integer(text, "ParseInt", -(1 << 63), (1 << 63) - 1)


def go_uint16(text: str) -> int:
    """A whole number of 16 bits without a sign. Raises ValueError."""
    if text.startswith(("+", "-")):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return _integer(text, "ParseUint", 0, 0xFFFF)


def _integer(text: str, function: str, least: int, most: int) -> int:
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    try:
        value = int(text, 8 if octal else 0)
    except ValueError:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax') from None
    if not least <= value <= most:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return value


class Command:
    """A verb: its usage line (without the program's name), how many operands it takes, its options, what it runs."""

    __slots__ = (
        "aliases",
        "complete",
        "error_code",
        "help",
        "least",
        "most",
        "operands",
        "options",
        "passes_on",
        "path",
        "run",
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
        each operand is (container, running, image, network, volume), for completion; the last repeats. *error_code*:
        the exit code when the engine refuses or cannot be reached. *verbatim*: all words are operands."""
        self.path = path
        self.operands = operands
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

    def usage(self, path: str) -> str:
        """The usage line under the name *path* that was typed (``container ls`` and ``ps`` are one command)."""
        shown = any(not option.hidden for option in self.options)
        head = f"{path} [OPTIONS]".lstrip() if shown else path
        return "\n\tsealane ".join(f"{head} {form}".rstrip() for form in self.operands.split("\n"))


class Args:
    """What was given: values by option name, and the operands."""

    __slots__ = ("_declared", "_values", "notes", "operands")

    def __init__(self, options: Sequence[Option]) -> None:
        self._declared = {option.name: option for option in options}
        self._values: dict[str, list[str]] = {}
        self.operands: list[str] = []
        self.notes: list[str] = []  # what to tell about options that were given, for instance old ones

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
        return go_integer(value) if value else None

    def many(self, name: str) -> list[str]:
        return list(self._values.get(name, ()))

    def put(self, option: Option, value: str) -> None:
        """Record a value, checked. Raises ValueError with what is wrong."""
        if option.kind == "switch" and value not in _TRUE + _FALSE:
            raise ValueError(f'strconv.ParseBool: parsing "{value}": invalid syntax')
        if option.deprecated and option.name not in self._values:
            self.notes.append(f"Flag --{option.name} has been deprecated, {option.deprecated}")
        if option.check is not None:
            option.check(value)
        items = value.split(",") if option.kind == "csv" else [value]
        if option.kind in ("list", "csv"):
            self._values.setdefault(option.into, []).extend(items)
        else:
            self._values[option.into] = items

    def _last(self, name: str) -> str:
        values = self._values.get(name)
        return values[-1] if values else self._declared[name].default


def parse(command: Command, argv: Sequence[str], path: str = "") -> Args:
    """Parse what follows the verb, which was typed as *path* (default: the command's own).

    Raises UsageError; ``--help`` among the options raises HelpAsked.
    """
    path = path or command.path
    args = Args(command.options)
    words = list(argv)
    words.reverse()
    parser = _Parser(command, args, path)
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
    _check_count(command, len(args.operands), path)
    return args


class HelpAsked(Exception):
    """``--help`` was given."""


class _Parser:
    __slots__ = ("_args", "_command", "_long", "_path", "_short")

    def __init__(self, command: Command, args: Args, path: str) -> None:
        self._command = command
        self._path = path
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
                raise self._wrong(f"flag needs an argument: '{letter}' in -{letter}")
            self._put(option, value)

    def _put(self, option: Option, value: str) -> None:
        try:
            self._args.put(option, value)
        except ValueError as error:
            raise self._wrong(f'invalid argument "{value}" for "{option.label}" flag: {error}') from None

    def _wrong(self, message: str) -> UsageError:
        return UsageError(message, code=125, usage=self._command.usage(self._path), path=self._path)


def _check_count(command: Command, count: int, path: str) -> None:
    least, most = command.least, command.most
    if count >= least and (most is None or count <= most):
        return
    hint = "Run"
    if most == 0:
        wanted = "accepts no arguments"
    elif least == most:
        wanted = f"requires {_arguments(least)}"
    elif most is None:
        wanted, hint = f"requires at least {_arguments(least)}", "See"  # Docker's word in this one case
    elif least == 0:
        wanted = f"requires at most {_arguments(most)}"
    else:
        wanted = f"requires at least {least} and at most {_arguments(most)}"
    message = f"sealane: 'sealane {path}' {wanted}"
    raise UsageError(message, code=1, usage=command.usage(path), path=path, hint=hint)


def _arguments(count: int) -> str:
    return f"{count} argument{'s' if count != 1 else ''}"
