"""The whole error tree of Sealane: few errors, named by what the caller can do about them.

    SealaneError
    ├── InvalidArgument   the request itself is wrong; change it                      (HTTP 400)
    ├── Unauthorized      credentials are missing or refused                          (401)
    ├── Forbidden         understood, but against a rule of the present state         (403)
    ├── NotFound          the named object does not exist                             (404)
    ├── Conflict          a name, port, address or state is taken by another object   (409)
    ├── NotModified       the object is already in the state that was asked for       (304)
    ├── Unsupported       known, and deliberately not served                          (501)
    ├── Unavailable       cannot be done now; the same request may succeed later      (503)
    └── Internal          something of ours, or below us, failed                      (500)

The statuses stand here for the reader; only ``api/errors.py`` knows them in code. A subclass is added only when
somebody catches it. A message says what could not be done, to which object, and why; where Docker's clients read
Docker's text, the message is Docker's. The cause travels along by ``raise ... from``.
"""


class SealaneError(Exception):
    """Base of every error that Sealane raises on purpose. ``message`` is fit to be shown to a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(SealaneError):
    """The request is wrong in itself."""


class Unauthorized(SealaneError):
    """Credentials are missing or were refused (image registries)."""


class Forbidden(SealaneError):
    """The request is understood and refused by a rule of the present state."""


class NotFound(SealaneError):
    """The named object does not exist."""


class Conflict(SealaneError):
    """Something that the request needs is held by another object; the message names the holder."""


class NotModified(SealaneError):
    """The object is already as asked."""


class Unsupported(SealaneError):
    """A known feature that Sealane deliberately does not serve; the message says so by name."""


class Unavailable(SealaneError):
    """Not possible at the moment."""


class Internal(SealaneError):
    """A failure of ours or of something below us."""
