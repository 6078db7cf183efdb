"""``--security-opt``: what each option means, unknown ones refused by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sealane.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """``profile`` is the JSON text of an own seccomp profile; ``open_paths`` unmasks /proc and /sys."""

    no_new_privileges: bool = False
    unconfined: bool = False
    profile: str = ""
    apparmor: str = ""
    open_paths: bool = False


def parse_security(options: Iterable[str]) -> SecurityOptions:
    """Raises InvalidArgument in Docker's words for an option that is not known."""
    settled = SecurityOptions()
    for option in options:
        key, _, value = option.replace(":", "=", 1).partition("=") if "=" not in option else option.partition("=")
        settled = _apply(settled, key, value, option)
    return settled


def _apply(settled: SecurityOptions, key: str, value: str, option: str) -> SecurityOptions:
    if key == "no-new-privileges":
        if value not in ("", "true", "false"):
            raise InvalidArgument(f'invalid --security-opt: "{option}"')
        return replace(settled, no_new_privileges=value != "false")
    if key == "seccomp":
        if value in ("unconfined", "builtin", ""):
            return replace(settled, unconfined=value == "unconfined")
        return replace(settled, profile=value)
    if key == "apparmor":
        return replace(settled, apparmor="" if value == "unconfined" else value)
    if key == "systempaths" and value == "unconfined":
        return replace(settled, open_paths=True)
    if key == "label":
        return settled  # SELinux labels are accepted; hosts without SELinux have no use for them
    raise InvalidArgument(f'invalid --security-opt: "{option}"')
