"""The one place that knows which error is which HTTP status.

Besides Sealane's own tree it holds the few errors that only HTTP knows. Docker answers a wrong method on a known path
with 404 as well, so there is no 405.
"""

from __future__ import annotations

from typing import Final

from sealane.errors import (
    Conflict,
    Forbidden,
    Internal,
    InvalidArgument,
    NotFound,
    NotModified,
    SealaneError,
    Unauthorized,
    Unavailable,
    Unsupported,
)


class BodyTooLarge(InvalidArgument):
    """A body that should have been small."""


class HeadTooLarge(InvalidArgument):
    """Request line and headers beyond the limit."""


class TooSlow(SealaneError):
    """The head of a request did not come in time."""


#: Subclasses before their bases: the first that fits decides.
STATUSES: Final[tuple[tuple[type[SealaneError], int], ...]] = (
    (BodyTooLarge, 413),
    (HeadTooLarge, 431),
    (TooSlow, 408),
    (NotModified, 304),
    (InvalidArgument, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unsupported, 501),
    (Unavailable, 503),
    (Internal, 500),
    (SealaneError, 500),
)

#: What a client is told of a failure that nobody foresaw; the cause is in the engine's log.
UNEXPECTED: Final = "internal error in the engine; its log has the details"


def status_of(error: SealaneError) -> int:
    """The HTTP status of *error*."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def page_not_found() -> NotFound:
    """No route for this method and path."""
    return NotFound("page not found")
