"""Docker's multiplexed stream: each piece of output behind eight bytes that say which stream and how long. Pure.

Layout (api "Attach to a container", stream format): one byte stream type (0 stdin, 1 stdout, 2 stderr), three zero
bytes, the length as a big-endian 32-bit number.
"""

from __future__ import annotations

import struct
from typing import Final

STDOUT: Final = 1
STDERR: Final = 2
RAW_STREAM: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM: Final = "application/vnd.docker.multiplexed-stream"

_HEAD = struct.Struct(">BxxxL")


def frame(stream: int, data: bytes) -> bytes:
    """*data* as one frame of *stream*."""
    return _HEAD.pack(stream, len(data)) + data
