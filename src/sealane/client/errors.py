"""What can go wrong on the way to an engine and back, as the commands want to tell it apart.

SealaneError
├── Unreachable   no connection: no socket, nobody behind it, or no permission
└── ApiError      the engine answered with an error status; ``message`` is the engine's own text
"""

from __future__ import annotations

from sealane.errors import SealaneError, Unavailable


class Unreachable(Unavailable):
    """No connection to the engine."""


class ApiError(SealaneError):
    """The engine refused. ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
