"""Docker's option grammar: what is read, and the words in which the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.cli import verbs
from sealane.cli.failures import UsageError
from sealane.cli.global_options import GLOBAL_OPTIONS
from sealane.cli.grammar import Args, Command, HelpAsked, csv, go_integer, go_uint16, many, number, parse, switch, text

OPTIONS = (
    switch("interactive", "i", ""),
    switch("tty", "t", ""),
    switch("rm", "", "", default=True),
    text("name", "", "", default="none"),
    many("publish", "p", ""),
    many("net", "", "", into="network"),
    many("network", "", ""),
    csv("alias", "", ""),
    number("last", "n", "", default="-1"),
    number("time", "", "", deprecated="use --timeout instead"),
)


def unused(*_: object) -> int:
    raise AssertionError


RUN = Command("run", "IMAGE [ARG...]", "", unused, OPTIONS, least=1, passes_on=True)
PS = Command("ps", "[NAME]", "", unused, OPTIONS, most=1)


def read(line: str, command: Command = PS) -> Args:
    return parse(command, line.split(" ") if line else [])


def refusal(line: str, command: Command = PS, path: str = "") -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse(command, line.split(" ") if line else [], path)
    return caught.value


@pytest.mark.parametrize("line", ["-p 8:80", "-p8:80", "-p=8:80", "--publish 8:80", "--publish=8:80", "-itp 8:80"])
def test_all_spellings_of_a_value(line: str) -> None:
    assert read(line).many("publish") == ["8:80"]


def test_switches() -> None:
    args = read("-it --rm=false")

    assert (args.flag("interactive"), args.flag("tty"), args.flag("rm")) == (True, True, False)
    assert (read("-it=false").flag("interactive"), read("-it=false").flag("tty")) == (True, False)
    assert (read("").flag("rm"), read("").given("rm")) == (True, False)


def test_the_last_value_counts_and_lists_keep_their_order() -> None:
    assert read("--name a --name b").text("name") == "b"
    assert read("-p 2 -p 1 -p 2").many("publish") == ["2", "1", "2"]
    assert read("--alias a,b --alias c").many("alias") == ["a", "b", "c"]
    assert read("--net a --network b").many("network") == ["a", "b"]


def test_options_may_stand_anywhere_but_before_a_command_that_is_passed_on() -> None:
    assert read("x --name a").text("name") == "a"
    assert read("busybox --name a", RUN).operands == ["busybox", "--name", "a"]
    assert read("--name a -- -x", RUN).operands == ["-x"]
    assert read("-- --name").operands == ["--name"]
    assert read("-").operands == ["-"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--foo", "unknown flag: --foo"),
        ("-x", "unknown shorthand flag: 'x' in -x"),
        ("-ixy", "unknown shorthand flag: 'x' in -xy"),
        ("--name", "flag needs an argument: --name"),
        ("-itp", "flag needs an argument: 'p' in -p"),
        ("--rm=maybe", 'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
        ("-n x", 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax'),
    ],
)
def test_what_is_wrong_with_an_option(line: str, message: str) -> None:
    error = refusal(line)

    assert (error.message, error.code, error.usage, error.path, error.hint) == (
        message,
        125,
        "ps [OPTIONS] [NAME]",
        "ps",
        "Run",
    )


@pytest.mark.parametrize(
    ("least", "most", "given", "wanted", "hint"),
    [
        (0, 0, 1, "accepts no arguments", "Run"),
        (1, 1, 0, "requires 1 argument", "Run"),
        (2, 2, 3, "requires 2 arguments", "Run"),
        (1, None, 0, "requires at least 1 argument", "See"),
        (0, 1, 2, "requires at most 1 argument", "Run"),
        (1, 2, 0, "requires at least 1 and at most 2 arguments", "Run"),
    ],
)
def test_the_number_of_operands(least: int, most: int | None, given: int, wanted: str, hint: str) -> None:
    command = Command("v", "X", "", unused, least=least, most=most)
    with pytest.raises(UsageError) as caught:
        parse(command, ["x"] * given, "group verb")

    assert caught.value.message == f"sealane: 'sealane group verb' {wanted}"
    assert (caught.value.code, caught.value.usage, caught.value.hint) == (1, "group verb X", hint)


def test_help_may_be_asked_for() -> None:
    for line in ("--help", "-h", "--name a --help"):
        with pytest.raises(HelpAsked):
            read(line)


def test_an_old_option_says_so_once() -> None:
    args = read("--time 5 --time 6")

    assert (args.number("time"), args.notes) == (6, ["Flag --time has been deprecated, use --timeout instead"])


@pytest.mark.parametrize(("text", "value"), [("12", 12), ("-1", -1), ("+3", 3), ("0x10", 16), ("010", 8), ("0", 0)])
def test_numbers_as_go_reads_them(text: str, value: int) -> None:
    assert go_integer(text) == value


@pytest.mark.parametrize("text", ["", "1.5", "x", "08", "--1"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        go_integer(text)


def test_numbers_that_are_too_large() -> None:
    with pytest.raises(ValueError, match=r"ParseInt: parsing .* value out of range"):
        go_integer("9223372036854775808")
    with pytest.raises(ValueError, match=r"ParseUint: parsing .* value out of range"):
        go_uint16("65536")
    with pytest.raises(ValueError, match=r"ParseUint: parsing .* invalid syntax"):
        go_uint16("-5")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        parse(RUN, words)
    except (UsageError, HelpAsked):
        pass


TARGETS = sorted({*verbs.VERBS.values(), *(target for table in verbs.GROUPS.values() for target in table.values())})


@pytest.mark.parametrize("target", TARGETS)
def test_every_command_loads_and_its_options_do_not_clash(target: str) -> None:
    command = verbs.load(target)
    names = [option.name for option in command.options]
    shorts = [option.short for option in command.options if option.short]

    assert isinstance(command, Command)
    assert command.help
    assert (len(set(names)), len(set(shorts))) == (len(names), len(shorts))
    assert all(option.into in names for option in command.options)
    assert all(option.help or option.hidden for option in command.options)


def test_verbs_are_found_under_all_their_names() -> None:
    assert verbs.find(["ps"]) == ("ps:PS", "ps")
    assert verbs.find(["container", "list", "-a"]) == ("ps:PS", "container ls")
    assert verbs.find(["image", "remove", "x"]) == ("rmi:RMI", "image rm")
    assert verbs.find(["network"]) == ("", "network")
    assert verbs.find(["network", "-x"]) == ("", "network")
    assert verbs.find(["network", "foo"]) == ("", "network foo")
    assert verbs.find(["foo"]) == ("", "foo")


def test_global_options_have_no_clash_either() -> None:
    shorts = [option.short for option in GLOBAL_OPTIONS if option.short]

    assert len(set(shorts)) == len(shorts)
