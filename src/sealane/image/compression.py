"""Archives as they travel: plain, gzip, zstd, bzip2 or xz, told apart by their first bytes, unpacked in bounded memory.

A decoder is a function of "read up to n bytes" to the same; b"" is the end. A stream that stops early raises
DamagedStream; so does one that was never compressed that way.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Final, Protocol, cast

Read = Callable[[int], bytes]

CHUNK: Final = 1 << 18
#: zstd windows above this are refused: a frame may ask for gigabytes.
_ZSTD_WINDOW_MAX: Final = 1 << 27
_ZSTD_LEVEL: Final = 1
#: The same for xz's dictionary.
_XZ_MEMORY_MAX: Final = 1 << 28
MAGIC_LENGTH: Final = 6


class DamagedStream(ValueError):
    """The compressed stream is cut short or not what it claims to be."""


class _Codec(Protocol):
    """What ``zlib``, ``bz2`` and ``lzma`` decompressors share, after `_Zlib` has evened them out."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the interface of the two others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class _Members:
    """Reads one compressed member after the other; zeros after the last are padding."""

    def __init__(self, read: Read, make: Callable[[], _Codec], name: str) -> None:
        self._read, self._make, self._name = read, make, name
        self._codec = make()
        self._fresh = True  # at the start of a member
        self._first = True
        self._ahead = b""

    def __call__(self, size: int) -> bytes:
        while True:
            if self._codec.eof:
                self._ahead = self._codec.unused_data + self._ahead
                self._codec, self._fresh, self._first = self._make(), True, False
            data = b""
            if self._codec.needs_input:
                data, self._ahead = self._ahead or self._read(CHUNK), b""
                if not self._first and self._fresh:
                    data = data.lstrip(b"\0")
                    if not data and (data := self._read(CHUNK).lstrip(b"\0")) == b"":
                        return b""
                if not data:
                    raise DamagedStream(f"unexpected end of the {self._name} stream")
                self._fresh = False
            try:
                piece = self._codec.decompress(data, size)
            except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                raise DamagedStream(f"invalid {self._name} stream: {error}") from error
            if piece:
                return piece


def _zstd(read: Read) -> Read:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX).stream_reader(
        cast(IO[bytes], _File(read)), read_size=CHUNK, read_across_frames=True
    )

    def decode(size: int) -> bytes:
        try:
            return reader.read(size)
        except zstandard.ZstdError as error:
            raise DamagedStream(f"invalid zstd stream: {error}") from error

    return decode


class _File:
    """The little of a file that zstandard needs."""

    def __init__(self, read: Read) -> None:
        self.read = read


class Peeked:
    """A source whose first bytes were looked at."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        while len(self._ahead) < size and (piece := self._read(CHUNK)):
            self._ahead += piece
        return self._ahead[:size]

    def __call__(self, size: int) -> bytes:
        if not self._ahead:
            return self._read(size)
        piece, self._ahead = self._ahead[:size], self._ahead[size:]
        return piece


_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\0"


def is_compressed(head: bytes) -> bool:
    """Does a stream that begins with *head* (MAGIC_LENGTH bytes) need decoding?"""
    return head.startswith((_GZIP, *_ZSTD, _BZIP2, _XZ))


def decoder(source: Peeked) -> Read:
    """A reader of what *source* holds when it is uncompressed."""
    head = source.peek(MAGIC_LENGTH)
    if head.startswith(_GZIP):
        return _Members(source, _Zlib, "gzip")
    if head.startswith(_ZSTD):
        return _zstd(source)
    if head.startswith(_BZIP2):
        return _Members(source, bz2.BZ2Decompressor, "bzip2")
    if head.startswith(_XZ):
        return _Members(source, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_MAX), "xz")
    return source


class Compressor:
    """Plain bytes in, zstd out to *write*. Fast rather than small: the archive is kept for ``save``, not sent."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        import zstandard

        self._write = write
        self._inner = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()

    def feed(self, data: bytes) -> None:
        if piece := self._inner.compress(data):
            self._write(piece)

    def close(self) -> None:
        self._write(self._inner.flush())
