"""What all wire types share. Field names are Docker's own, so that no table of names is needed. Pure.

``None`` is Go's nil: it is sent as ``null``. ``UNSET`` is Go's ``omitempty``: it is not sent at all.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

#: A Go int64.
Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
#: Go's map[string]struct{}.
Set = dict[str, dict[str, str]]


class Wire(msgspec.Struct):
    """Base of all wire types."""
