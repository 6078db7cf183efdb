"""nftables through libnftables, in this process (libnftables(3)). One context talks to one network namespace."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from pathlib import Path
from typing import Final, Self

from sealane.linux.namespaces import run_in

_JSON_OUTPUT: Final = 1 << 4


class Nft:
    """A libnftables context of the namespace in which it was opened. Thread-safe; ``close`` is idempotent."""

    def __init__(self, library: ctypes.CDLL, context: int) -> None:
        self._library = library
        self._context: int | None = context
        self._lock = threading.Lock()

    @classmethod
    def open(cls) -> Self:
        """A context in the calling thread's namespace. Raises OSError ENOENT when the library is missing."""
        try:
            library = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise OSError(errno.ENOENT, f"libnftables.so.1 (Debian package libnftables1): {error}") from error
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        context = library.nft_ctx_new(0)
        if not context:
            raise OSError(errno.ENOMEM, "libnftables: cannot make a context")
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        return cls(library, context)

    @classmethod
    def open_in(cls, ns: Path | int) -> Self:
        return run_in(ns, cls.open)

    def close(self) -> None:
        with self._lock:
            if self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._context = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def run(self, text: str) -> None:
        """Carry out all of *text* in one transaction, or nothing of it. Raises OSError with nft's words."""
        self._run(text, 0)

    def query_json(self, text: str) -> str:
        """The answer to ``list …`` as JSON (libnftables-json(5))."""
        return self._run(text, _JSON_OUTPUT)

    def query(self, text: str) -> str:
        """The answer to ``list …`` as nft prints it."""
        return self._run(text, 0)

    def _run(self, text: str, flags: int) -> str:
        with self._lock:
            if self._context is None:
                raise OSError(errno.EBADF, "nft: the context is closed")
            self._library.nft_ctx_output_set_flags(self._context, flags)
            result = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
            output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
            complaint: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if result != 0:
            words = _reason(complaint.decode(errors="replace"))
            raise OSError(_errno_of(words), f"nft: {words}")
        return output.decode()


def _reason(complaint: str) -> str:
    """What nft complains of, without the text that it repeats each time (ours may be long)."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    said = [line for line in lines if "Error:" in line] or lines[:1]
    return "; ".join(dict.fromkeys(said)) or "refused without a reason"


def _errno_of(words: str) -> int:
    """nft tells no number; its texts end in strerror's."""
    for number in (errno.EEXIST, errno.ENOENT, errno.EPERM, errno.EBUSY, errno.EOPNOTSUPP):
        if os.strerror(number) in words:
            return number
    return errno.EINVAL
