"""How a command ends when it does not succeed."""

from __future__ import annotations

from sealane.errors import SealaneError


class UsageError(SealaneError):
    """The command line itself is wrong. ``code`` is the exit code, ``usage`` the usage line to show below."""

    def __init__(self, message: str, *, code: int = 1, usage: str = "", path: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.usage = usage
        self.path = path


class Failure(SealaneError):
    """The command failed with a message of its own (may be empty: already said) and an exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
