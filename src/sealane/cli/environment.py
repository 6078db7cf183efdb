"""``--env``, ``--env-file``, ``--label`` and ``--label-file``: lists of ``NAME=value``. Reads the named files."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def environment(files: Iterable[str], items: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """The environment asked for: first the files, then the single items. A name without ``=`` takes its value from
    *environ*, or is left out when it is not set there. Raises ValueError, OSError."""
    result = []
    for line in [*(line for name in files for line in _lines(name)), *items]:
        name, found, _ = line.partition("=")
        if not name:
            raise ValueError(f"invalid environment variable: {line}")
        if found:
            result.append(line)
        elif name in environ:
            result.append(f"{name}={environ[name]}")
    return result


def labels(files: Iterable[str], items: Iterable[str]) -> dict[str, str]:
    """Labels by name; one without ``=`` is empty."""
    result = {}
    for line in [*(line for name in files for line in _lines(name)), *items]:
        name, _, value = line.partition("=")
        result[name] = value
    return result


def pairs(items: Iterable[str]) -> dict[str, str]:
    """``["a=b"]`` → ``{"a": "b"}``; for options such as ``--opt``, ``--sysctl``."""
    return {name: value for name, _, value in (item.partition("=") for item in items)}


def _lines(name: str) -> Iterable[str]:
    """The lines of a file of variables or labels: without comments, empty lines and leading blanks."""
    with open(name, encoding="utf-8-sig") as file:
        for number, raw in enumerate(file, 1):
            line = raw.rstrip("\n").lstrip()
            if not line or line.startswith("#"):
                continue
            variable = line.partition("=")[0]
            if not variable:
                raise ValueError(f"poorly formatted environment: no variable name on line {number} of '{name}'")
            if any(letter.isspace() for letter in variable):
                raise ValueError(f"poorly formatted environment: variable '{variable}' contains whitespaces")
            yield line
