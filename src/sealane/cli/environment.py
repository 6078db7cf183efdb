"""``--env``, ``--env-file``, ``--label`` and ``--label-file``: lists of ``NAME=value``. Reads the named files."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def environment(files: Iterable[str], items: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """The environment asked for: first the files, then the single items. A name without ``=`` takes its value from
    *environ*. When it is not set there, a name from a file is left out, and a single one goes to the engine as it is
    (which takes it away from what the image sets). Raises OSError, ValueError."""
    result = []
    for line in (line for name in files for line in _lines(name)):
        if "=" in line:
            result.append(line)
        elif line in environ:
            result.append(f"{line}={environ[line]}")
    for item in items:
        check_variable(item)
        result.append(f"{item}={environ[item]}" if "=" not in item and item in environ else item)
    return result


def check_variable(item: str) -> None:
    """Raise ValueError for a variable without a name."""
    if not item.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {item}")


def labels(files: Iterable[str], items: Iterable[str]) -> dict[str, str]:
    """Labels by name; one without ``=`` is empty (in a file: left out, as Docker's client does it)."""
    result = {}
    for line in [*(line for name in files for line in _lines(name) if "=" in line), *items]:
        name, _, value = line.partition("=")
        result[name] = value
    return result


def pairs(items: Iterable[str]) -> dict[str, str]:
    """``["a=b"]`` → ``{"a": "b"}``; for options such as ``--opt``, ``--sysctl``."""
    return {name: value for name, _, value in (item.partition("=") for item in items)}


def _lines(name: str) -> Iterable[str]:
    """The lines of a file of variables or labels: without comments, empty lines and leading blanks."""
    with open(name, "rb") as file:
        for number, raw in enumerate(file.read().removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
            try:
                line = raw.decode().lstrip()
            except UnicodeDecodeError:
                octets = " ".join(map(str, raw))
                raise ValueError(
                    f"invalid env file ({name}): invalid utf8 bytes at line {number}: [{octets}]"
                ) from None
            if not line or line.startswith("#"):
                continue
            variable = line.partition("=")[0]
            if not variable:
                raise ValueError(f"invalid env file ({name}): no variable name on line '{line}'")
            if any(letter.isspace() for letter in variable):
                raise ValueError(f"invalid env file ({name}): variable '{variable}' contains whitespaces")
            yield line
