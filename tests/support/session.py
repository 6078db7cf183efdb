"""One run of the tests: the mark that everything it puts on the host carries, so that runs side by side do not mix.

``sealane-MARK-N`` is the name of the N-th engine's bridge, nftables tables and run directory; its control groups lie
below ``/sealane/MARK-N``, its cables are ``slc-MARK-N``. The mark is in the environment of every process that the run
starts (``SEALANE_TEST``).
"""

from __future__ import annotations

import itertools
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MARK_VARIABLE: Final = "SEALANE_TEST"
#: Durable state lies on a real disk: overlayfs takes no upper layer on every file system.
STATE: Final = Path("/var/tmp")
RUN: Final = Path("/run")


@dataclass(slots=True)
class Session:
    """*mark* is four hex digits; see the module."""

    mark: str
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def here(cls) -> Session:
        """The session of this process; every process that it starts from now on carries its mark."""
        mark = f"{os.getpid() & 0xFFFF:04x}"
        os.environ[MARK_VARIABLE] = mark
        return cls(mark)

    def next_name(self) -> str:
        """``MARK-1``, ``MARK-2`` …, at most eight letters: the kernel's names of links are short."""
        return f"{self.mark}-{next(self._numbers)}"

    def folder(self, name: str) -> Path:
        """A fresh directory for durable state."""
        return Path(tempfile.mkdtemp(prefix=f"sealane-{name}-", dir=STATE))
