"""How a command ends when it does not succeed."""

from __future__ import annotations

from sealane.client.errors import ApiError
from sealane.errors import SealaneError


class UsageError(SealaneError):
    """The command line itself is wrong. ``code`` is the exit code, ``usage`` the usage line to show below.

    ``hint`` is the word before "'sealane … --help' for more information".
    """

    def __init__(self, message: str, *, code: int = 1, usage: str = "", path: str = "", hint: str = "Run") -> None:
        super().__init__(message)
        self.code = code
        self.usage = usage
        self.path = path
        self.hint = hint


class Failure(SealaneError):
    """The command failed with a message of its own (may be empty: already said) and an exit code.

    ``plain``: nothing is added to the message (``run`` else puts the program's name before it and a hint below).
    """

    def __init__(self, message: str, code: int = 1, *, plain: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.plain = plain


def describe(error: SealaneError) -> str:
    """The line that tells of *error*: the engine's refusals are marked as such, as Docker's client marks them."""
    return f"Error response from daemon: {error.message}" if isinstance(error, ApiError) else error.message
