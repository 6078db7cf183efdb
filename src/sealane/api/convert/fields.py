"""Checks and readings of single fields of a container request that belong to no larger group. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from sealane.api.schema.container import Healthcheck, HostConfig, LogConfig, Words
from sealane.engine.model import HealthCheck
from sealane.engine.signalnames import parse_signal
from sealane.errors import InvalidArgument

CONTAINER_NAME: Final = re.compile(r"^/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
_MILLISECOND: Final = 1_000_000
_LOG_DRIVERS: Final = ("json-file", "local", "none")
_LOG_OPTIONS: Final = frozenset(
    ["max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size"]
)
_SIZE: Final = re.compile(r"^(-1|[0-9]+(\.[0-9]+)? ?([kmgtp]i?)?b?)$", re.IGNORECASE)
_RUNTIMES: Final = ("", "runc", "crun", "io.containerd.runc.v2")
_INTERFACE_SYSCTL: Final = re.compile(r"^net\.(ipv4|ipv6|mpls)\.[^.]+\.(eth[0-9]+)\.")


def container_name(text: str) -> str:
    """A container's name without its slash; "" asks for an invented one. Raises InvalidArgument."""
    if text and not CONTAINER_NAME.fullmatch(text):
        raise InvalidArgument(f"Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return text.removeprefix("/")


def words(value: Words | None) -> tuple[str, ...] | None:
    """``Cmd`` and ``Entrypoint``: None stays None, which means "the image's"."""
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def check_env(env: Iterable[str] | None) -> tuple[str, ...]:
    """``NAME=value``, or ``NAME`` alone, which removes the image's. Raises InvalidArgument."""
    for entry in env or ():
        if not entry or entry.startswith("="):
            raise InvalidArgument(f"invalid environment variable: {entry}")
    return tuple(env or ())


def check_signal(text: str) -> str:
    """A signal as people write it; "" is the default. Raises InvalidArgument in Docker's words."""
    if text:
        parse_signal(text)
    return text


def check_hostname(text: str) -> str:
    """The kernel takes at most 64 bytes (sethostname(2))."""
    if len(text.encode()) > 64 or any(character.isspace() or character == "/" for character in text):
        raise InvalidArgument(f"invalid hostname: {text!r}: it should be at most 64 bytes without blanks and slashes")
    return text


def check_working_dir(text: str) -> str:
    """Raises InvalidArgument for a relative path."""
    if text and not text.startswith("/"):
        raise InvalidArgument(f"the working directory '{text}' is invalid, it needs to be an absolute path")
    return text


def health_check(asked: Healthcheck) -> HealthCheck:
    """Raises InvalidArgument for an unknown kind of test, and for durations that are too short."""
    test = tuple(asked.Test or ())
    if test and test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidArgument(f'Unknown type "{test[0]}" in HEALTHCHECK (try CMD)')
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        value: int = getattr(asked, name)
        if value and value < _MILLISECOND:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if asked.Retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    return HealthCheck(
        test=test,
        interval_ns=asked.Interval,
        timeout_ns=asked.Timeout,
        start_period_ns=asked.StartPeriod,
        start_interval_ns=asked.StartInterval,
        retries=asked.Retries,
    )


def check_logging(asked: LogConfig) -> None:
    """Raises InvalidArgument for a driver or an option that we do not have."""
    driver = asked.Type or "json-file"
    if driver not in _LOG_DRIVERS:
        raise InvalidArgument(
            f'error looking up logging plugin {driver}: plugin "{driver}" not found'
            " (json-file, local and none are served)"
        )
    for name, value in (asked.Config or {}).items():
        if name not in _LOG_OPTIONS or driver == "none":
            raise InvalidArgument(f"unknown log opt '{name}' for {driver} log driver")
        if name == "max-size" and not _SIZE.match(value):
            raise InvalidArgument(f'invalid value for log opt max-size: "{value}"')
        if name == "max-file" and (not value.isdecimal() or int(value) < 1):
            raise InvalidArgument(f'invalid value for log opt max-file: "{value}": it should be 1 or more')


def check_dns(host: HostConfig) -> None:
    """Raises InvalidArgument for a resolver that is no address."""
    for text in host.Dns or ():
        try:
            ip_address(text)
        except ValueError:
            raise InvalidArgument(f"bad nameserver address: {text}") from None


def extra_hosts(asked: Iterable[str] | None) -> tuple[str, ...]:
    """``name:address`` or ``name:host-gateway``. Raises InvalidArgument in Docker's words."""
    found = []
    for text in asked or ():
        name, colon, address = text.partition(":")
        if not colon or not name:
            raise InvalidArgument(f'bad format for add-host: "{text}"')
        bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
        if bare != "host-gateway":
            try:
                ip_address(bare)
            except ValueError:
                raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from None
        found.append(f"{name}:{bare}")
    return tuple(found)


def links(asked: Iterable[str] | None) -> tuple[str, ...]:
    """``container`` or ``container:alias``. Raises InvalidArgument in Docker's words."""
    for text in asked or ():
        parts = text.split(":")
        if len(parts) > 2:
            raise InvalidArgument(f"bad format for links: {text}")
        if not parts[0]:
            raise InvalidArgument('could not get container for : invalid name or ID supplied: ""')
    return tuple(asked or ())


def check_sysctls(asked: dict[str, str], *, interfaces_allowed: bool) -> dict[str, str]:
    """Raises InvalidArgument for names that no container may set, and (API 1.48) for those of one interface."""
    for name in asked:
        if not interfaces_allowed and _INTERFACE_SYSCTL.match(name):
            raise InvalidArgument(
                f'interface specific sysctl setting "{name}" must be supplied using driver option '
                "'com.docker.network.endpoint.sysctls'"
            )
        if not name or name.startswith((".", "/")) or ".." in name:
            raise InvalidArgument(f'invalid sysctl: "{name}"')
    return asked


def interface_sysctls(asked: dict[str, str]) -> tuple[dict[str, str], str]:
    """Split off what is meant for eth0: the rest, and those as the endpoint option that replaced them."""
    rest, moved = {}, []
    for name, value in asked.items():
        found = _INTERFACE_SYSCTL.match(name)
        if found and found[2] == "eth0":
            moved.append(f"{name.replace('.eth0.', '.IFNAME.', 1)}={value}")
        else:
            rest[name] = value
    return rest, ",".join(moved)


def check_unsupported(host: HostConfig) -> None:
    """What Docker has and we do not is refused by name, never ignored in silence. Raises InvalidArgument."""
    if host.Runtime not in _RUNTIMES:
        raise InvalidArgument(f"unknown or invalid runtime name: {host.Runtime}")
    if host.Isolation not in ("", "default"):
        raise InvalidArgument(f"Invalid isolation: \"{host.Isolation}\" - linux only supports 'default'")
    if host.StorageOpt:
        raise InvalidArgument("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
    if host.VolumeDriver not in ("", "local"):
        raise InvalidArgument(
            f'error looking up volume plugin {host.VolumeDriver}: plugin "{host.VolumeDriver}" not found'
        )
    for device in host.DeviceRequests or ():
        wanted = " ".join(f"[{' '.join(words)}]" for words in device.Capabilities or ())
        raise InvalidArgument(f'could not select device driver "{device.Driver}" with capabilities: [{wanted}]')
    if not -1000 <= host.OomScoreAdj <= 1000:
        raise InvalidArgument(f"Invalid value {host.OomScoreAdj}, range for oom score adj is [-1000, 1000]")
    if host.ShmSize < 0:
        raise InvalidArgument("SHM size can not be less than 0")
