"""What the user keeps in Docker's configuration file: formats, detach keys, proxies for containers, credentials.

Reads ``$DOCKER_CONFIG/config.json`` (default ``~/.docker``). A file that is missing or broken counts as empty, since
nothing in it is needed to talk to an engine.
"""

from __future__ import annotations

import os

from sealane.client.jsons import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from sealane.client.types import JsonObject

_PROXIES: Final = (
    ("httpProxy", "HTTP_PROXY"),
    ("httpsProxy", "HTTPS_PROXY"),
    ("noProxy", "NO_PROXY"),
    ("ftpProxy", "FTP_PROXY"),
    ("allProxy", "ALL_PROXY"),
)


def folder(environ: Mapping[str, str]) -> str:
    return environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", "/root"), ".docker")


def read(environ: Mapping[str, str]) -> JsonObject:
    """The whole file."""
    try:
        fd = os.open(os.path.join(folder(environ), "config.json"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        found = loads(os.read(fd, os.fstat(fd).st_size + 1))
    except (OSError, ValueError):
        return {}
    finally:
        os.close(fd)
    return found if isinstance(found, dict) else {}


def text(environ: Mapping[str, str], key: str) -> str:
    """One setting that is a text; empty when it is not there."""
    value = read(environ).get(key)
    return value if isinstance(value, str) else ""


def proxy_variables(config: JsonObject, address: str, given: list[str]) -> list[str]:
    """The variables for proxies that a container gets, in both spellings, but for those that *given* names already.

    ``proxies`` of the file holds settings by engine *address*, else under ``default``.
    """
    proxies = config.get("proxies") or {}
    chosen = proxies.get(address) or proxies.get("default") or {}
    names = {item.partition("=")[0] for item in given}
    return [
        f"{name}={chosen[key]}"
        for key, upper in _PROXIES
        if chosen.get(key)
        for name in (upper, upper.lower())
        if name not in names
    ]
