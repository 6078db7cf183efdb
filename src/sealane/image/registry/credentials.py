"""Who is pulling. Held in memory for the time of a pull, never written, never printed."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Protocol


class Credentials(Protocol):
    """``identity_token`` stands in for a password; ``registry_token`` is sent as it is."""

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def identity_token(self) -> str: ...
    @property
    def registry_token(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials whose secrets do not show in logs."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


def basic(credentials: Credentials) -> str:
    """The value of ``Authorization`` (RFC 7617)."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return "Basic " + base64.b64encode(pair).decode()
