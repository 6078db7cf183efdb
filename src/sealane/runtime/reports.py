"""What conmon tells its parent through the sync pipe: JSON lines, one value and perhaps a message each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import msgspec

from sealane.runtime.readiness import readable

_CHUNK: Final = 1 << 14


class Report(msgspec.Struct, frozen=True):
    """``data`` is a pid or an exit code; negative when something failed, and then ``message`` says what."""

    data: int
    message: str = ""


@dataclass(slots=True)
class ReportPipe:
    """The reading end of one conmon's sync pipe. Owns the fd; ``close`` is idempotent."""

    fd: int
    _buffer: bytes = b""

    async def next(self) -> Report | None:
        """The next report, or None when conmon has closed its end."""
        while b"\n" not in self._buffer:
            chunk = await self._read()
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return msgspec.json.decode(line, type=Report, strict=False)

    async def _read(self) -> bytes:
        if self.fd < 0:
            return b""
        await readable(self.fd)
        return os.read(self.fd, _CHUNK)

    def close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)
