"""The multiplexed stream of attach, exec and logs when there is no terminal. Pure.

Each frame: one byte that names the stream (0 standard input, 1 output, 2 error, 3 the engine's own error), three zero
bytes, four bytes of length in network order, the data. Source: Docker Engine API, "Attach to a container".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_HEAD: Final = 8
STDERR: Final = 2
SYSTEM_ERROR: Final = 3


class FrameReader:
    """Takes bytes in pieces of any size and gives the data of each stream as soon as it is there."""

    __slots__ = ("_buffer", "_left", "_stream")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0
        self._stream = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(stream, data) pieces, in order; a frame may come as several pieces."""
        self._buffer += data
        out = []
        while self._buffer:
            if not self._left:
                if len(self._buffer) < _HEAD:
                    break
                self._stream = self._buffer[0]
                self._left = int.from_bytes(self._buffer[4:_HEAD], "big")
                del self._buffer[:_HEAD]
                continue
            piece = bytes(self._buffer[: self._left])
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            out.append((self._stream, piece))
        return out
