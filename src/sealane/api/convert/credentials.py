"""``X-Registry-Auth``: what a client sends to be shown to a registry. Pure."""

from __future__ import annotations

import base64
import binascii

from sealane.api.backend import Credentials
from sealane.api.schema.decode import decode
from sealane.api.schema.image import RegistryAuth
from sealane.errors import InvalidArgument


def credentials(header: str) -> Credentials | None:
    """Read the header (base64 of JSON, with either alphabet); None when it holds nothing.

    A header that cannot be read is passed over, as Docker does for pulls: the registry may want no credentials.
    """
    padded = header + "=" * (-len(header) % 4)
    try:
        sent = decode(base64.b64decode(padded, altchars=b"-_") or b"{}", RegistryAuth)
    except (binascii.Error, ValueError, InvalidArgument):
        return None
    found = of(sent)
    return found if found.username or found.identity_token or found.registry_token else None


def of(sent: RegistryAuth) -> Credentials:
    """What a client sent, with user and password where they belong."""
    username, password = sent.username, sent.password
    if sent.auth and not username:
        username, password = _basic(sent.auth)
    return Credentials(
        username=username,
        password=password,
        identity_token=sent.identitytoken,
        registry_token=sent.registrytoken,
        server=sent.serveraddress,
    )


def _basic(auth: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(auth).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return username, password
