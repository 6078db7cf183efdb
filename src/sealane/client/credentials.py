"""Credentials for registries from Docker's configuration file, in the form of the X-Registry-Auth header.

Reads ``auths``, ``credHelpers`` and ``credsStore`` of the user's file. A missing entry means no credentials; a
helper that fails counts as a missing entry (the pull then says what is wrong).
"""

from __future__ import annotations

from sealane.client import user_config
from sealane.client.jsons import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from sealane.client.types import JsonObject

_HUB: Final = "https://index.docker.io/v1/"


def registry_auth(host: str, environ: Mapping[str, str]) -> str:
    """The header's value for the registry *host* (``docker.io``, ``127.0.0.1:5000``); empty without credentials."""
    config = user_config.read(environ)
    key = _HUB if host == "docker.io" else host
    found = _from_helper(config, key) or _from_file(config, key)
    if not found:
        return ""
    import base64

    return base64.urlsafe_b64encode(dumps({**found, "serveraddress": key}).encode()).decode()


def _from_file(config: JsonObject, key: str) -> JsonObject:
    auths = config.get("auths") or {}
    entry = auths.get(key) or auths.get(f"https://{key}") or auths.get(f"https://{key}/v1/") or {}
    if entry.get("identitytoken"):
        return {"identitytoken": entry["identitytoken"]}
    if entry.get("auth"):
        import base64

        user, _, password = base64.b64decode(entry["auth"]).decode("utf-8", "replace").partition(":")
        return {"username": user, "password": password}
    if entry.get("username"):
        return {"username": entry["username"], "password": entry.get("password", "")}
    return {}


def _from_helper(config: JsonObject, key: str) -> JsonObject:
    helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
    if not helper:
        return {}
    import subprocess

    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"], input=key.encode(), capture_output=True, timeout=30, check=True
        )
        answer = loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    if answer.get("Username") == "<token>":
        return {"identitytoken": answer.get("Secret", "")}
    return {"username": answer.get("Username", ""), "password": answer.get("Secret", "")}
