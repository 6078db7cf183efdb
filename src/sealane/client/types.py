"""Names for decoded JSON, for type checkers only; nothing here exists at run time.

What an engine answers is shown to people as it came, fields we have never heard of included, so the client keeps it
as plain dictionaries and lists instead of typed structures.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Json: TypeAlias = Any
    JsonObject: TypeAlias = dict[str, Any]
