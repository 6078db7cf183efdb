"""Dockerfile instructions that change an image's configuration: ``import --change``. Pure.

The grammar, defaults and error texts are Docker's (measured against Docker Engine 26.1): word lists with quotes and
backslashes, ``KEY=value`` and the old ``KEY value``, JSON arrays or shell form.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sealane.errors import InvalidArgument

#: The ``config`` object of an image, as in JSON.
Settings = dict[str, Any]

_SHELL: Final = ("/bin/sh", "-c")
_VARIABLE: Final = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:[-+])([^}]*))?\})")
_PORT: Final = re.compile(r"^([0-9]+)(?:-([0-9]+))?$")
_DURATION: Final = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|ms|s|m|h)")
_UNITS: Final = (
    ("ns", 1), ("us", 10**3), ("µs", 10**3), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9), ("h", 3600 * 10**9),
)  # fmt: skip
_SIGNAL: Final = re.compile(
    r"^(SIG)?(ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|"
    r"TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(\+([0-9]|1[0-5]))?|RTMAX(-([0-9]|1[0-4]))?)$"
)


def apply_changes(changes: Sequence[str]) -> Settings:
    """The settings that *changes*, one or more instructions each, make of nothing. Raises InvalidArgument."""
    settings: Settings = {}
    for text in changes:
        for line in _lines(text):
            word, _, rest = line.partition(" ") if " " in line else line.partition("\t")
            change = _INSTRUCTIONS.get(word.upper())
            if change is None:
                raise InvalidArgument(f"{word.upper()} is not a valid change command")
            change(settings, rest.strip())
    return settings


def _lines(text: str) -> list[str]:
    joined = re.sub(r"\\[ \t]*\r?\n", "", text)
    lines = [line.strip() for line in joined.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found and text.strip():
        raise InvalidArgument("file with no instructions")
    return found


# words


def _words(text: str) -> list[str]:
    """Split at blanks outside quotes; quotes and backslashes stay."""
    words, word, quote, at = [], "", "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'" and at + 1 < len(text):
            word += text[at : at + 2]
            at += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            if word:
                words.append(word)
            word, at = "", at + 1
            continue
        word += char
        at += 1
    return [*words, word] if word else words


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Take quotes and backslashes away and put variables in."""
    out, at, quote = "", 0, ""
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'" and at + 1 < len(text):
            following = text[at + 1]
            out += following if not quote or following in '"$\\' else char + following
            at += 2
        elif char in "'\"" and quote in ("", char):
            quote = "" if quote else char
            at += 1
        elif char == "$" and quote != "'" and (found := _VARIABLE.match(text, at)) is not None:
            out += _value(found, environment)
            at = found.end()
        else:
            out += char
            at += 1
    return out


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    value = environment.get(found[1] or found[2], "")
    if found[3] == ":-":
        return value or _expand(found[4], environment)
    if found[3] == ":+":
        return _expand(found[4], environment) if value else ""
    return value


def _environment(settings: Settings) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in settings.get("Env", ()))


def _pairs(instruction: str, rest: str, settings: Settings) -> list[tuple[str, str]]:
    """``KEY=value …`` or ``KEY the rest of the line``."""
    words = _words(rest)
    if not words:
        raise InvalidArgument(f"{instruction} requires at least one argument")
    environment = _environment(settings)
    if "=" not in words[0]:
        key, _, value = rest.partition(words[0])[2].strip().partition("\0")
        if not key:
            raise InvalidArgument(f"{instruction} must have two arguments")
        return [(_expand(words[0], environment), _expand(key + value, environment))]
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgument(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        if not key:
            raise InvalidArgument(f"{instruction} names can not be blank")
        found.append((_expand(key, environment), _expand(value, environment)))
    return found


def _array(rest: str) -> list[str] | None:
    """The JSON form; None when it is not JSON."""
    if not rest.startswith("["):
        return None
    try:
        found = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in found):
        raise InvalidArgument("when using JSON array syntax, arrays must be comprised of strings only")
    return list(found)


def _count(text: str) -> int:
    """A plain number that fits in 32 bits; -1 for anything else."""
    found = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else -1
    return found if found < 1 << 31 else -1


def _one(instruction: str, rest: str, settings: Settings) -> str:
    if not rest:
        raise InvalidArgument(f"{instruction} requires exactly one argument")
    return _expand(rest, _environment(settings))


# instructions


def _cmd(settings: Settings, rest: str) -> None:
    found = _array(rest)
    words = found if found is not None else [*_SHELL, rest] if rest else list(_SHELL)
    _put(settings, "Cmd", words)


def _entrypoint(settings: Settings, rest: str) -> None:
    found = _array(rest)
    words = found if found is not None else [*_SHELL, rest] if rest else []
    _put(settings, "Entrypoint", words)


def _put(settings: Settings, key: str, words: list[str]) -> None:
    if words:
        settings[key] = words
    else:
        settings.pop(key, None)


def _env(settings: Settings, rest: str) -> None:
    environment = list(settings.get("Env", ()))
    for key, value in _pairs("ENV", rest, settings):
        kept = [item for item in environment if item.partition("=")[0] != key]
        if len(kept) == len(environment):
            environment.append(f"{key}={value}")
        else:
            environment = [f"{key}={value}" if item.partition("=")[0] == key else item for item in environment]
    settings["Env"] = environment


def _label(settings: Settings, rest: str) -> None:
    settings.setdefault("Labels", {}).update(_pairs("LABEL", rest, settings))


def _expose(settings: Settings, rest: str) -> None:
    words = _words(_expand(rest, _environment(settings)))
    if not words:
        raise InvalidArgument("EXPOSE requires at least one argument")
    ports: set[str] = set(settings.get("ExposedPorts", ()))
    for word in words:
        numbers, _, transport = word.partition("/")
        transport = transport.lower() or "tcp"
        if transport not in ("tcp", "udp", "sctp"):
            raise InvalidArgument(f"Invalid proto: {transport}")
        found = _PORT.fullmatch(numbers)
        first, last = (_count(found[1]), _count(found[2] or found[1])) if found else (0, 0)
        if not 0 < first <= last <= 65535:
            raise InvalidArgument(f"Invalid containerPort: {numbers}")
        ports.update(f"{port}/{transport}" for port in range(first, last + 1))
    settings["ExposedPorts"] = {port: {} for port in sorted(ports)}


def _workdir(settings: Settings, rest: str) -> None:
    path = _one("WORKDIR", rest, settings)
    settings["WorkingDir"] = posixpath.normpath(posixpath.join("/", settings.get("WorkingDir", ""), path))


def _user(settings: Settings, rest: str) -> None:
    settings["User"] = _one("USER", rest, settings)


def _volume(settings: Settings, rest: str) -> None:
    found = _array(rest)
    words = found if found is not None else [_expand(word, _environment(settings)) for word in _words(rest)]
    if not words:
        raise InvalidArgument("VOLUME requires at least one argument")
    if any(not word.strip() for word in words):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    settings.setdefault("Volumes", {}).update({word.strip(): {} for word in words})


def _onbuild(settings: Settings, rest: str) -> None:
    if not rest:
        raise InvalidArgument("ONBUILD requires at least one argument")
    trigger = rest.split()[0].upper()
    if trigger == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    settings.setdefault("OnBuild", []).append(rest)


def _stopsignal(settings: Settings, rest: str) -> None:
    signal = _one("STOPSIGNAL", rest, settings)
    if not _SIGNAL.fullmatch(signal.upper()) and not 0 < _count(signal) <= 64:
        raise InvalidArgument(f"invalid signal: {signal}")
    settings["StopSignal"] = signal


def _healthcheck(settings: Settings, rest: str) -> None:
    found: Settings = {}
    while (option := re.match(r"--([a-z-]+)=(\S*)\s*", rest)) is not None:
        _health_option(found, option[1], option[2])
        rest = rest[option.end() :]
    kind, _, command = rest.partition(" ")
    if kind.upper() == "NONE":
        found["Test"] = ["NONE"]
    elif kind.upper() == "CMD":
        array = _array(command.strip())
        if not command.strip():
            raise InvalidArgument("Missing command after HEALTHCHECK CMD")
        found["Test"] = ["CMD", *array] if array is not None else ["CMD-SHELL", command.strip()]
    elif not kind:
        raise InvalidArgument("HEALTHCHECK requires at least one argument")
    else:
        raise InvalidArgument(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    settings["Healthcheck"] = found


def _health_option(found: Settings, name: str, value: str) -> None:
    fields = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}
    if name == "retries":
        if _count(value) < 0:
            raise InvalidArgument(f"--retries must be at least 1 (not {value})")
        found["Retries"] = _count(value)
    elif name == "start-interval":
        found["StartInterval"] = _duration(name, value)
    elif name in fields:
        found[fields[name]] = _duration(name, value)
    else:
        raise InvalidArgument(f"unknown flag: --{name}")


def _duration(name: str, text: str) -> int:
    """Go's durations, in nanoseconds."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidArgument(f'invalid duration of --{name}: "{text}"')
    units = dict(_UNITS)
    total = sum(float(number) * units[unit] for number, unit in parts)
    if total >= 1 << 63:
        raise InvalidArgument(f'invalid duration of --{name}: "{text}"')
    return round(total)


_INSTRUCTIONS: Final[Mapping[str, Callable[[Settings, str], None]]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
