"""Reading tar archives as a stream: V7, ustar, PAX and GNU (tar(5), POSIX.1 pax). Pure; a state machine over ``read``.

Contract: one entry at a time, in constant memory whatever the archive says. Extended headers are capped at
``EXTENDED_MAX`` bytes. Names are bytes, exactly as archived. Every inconsistency is a TarError: a bad checksum, a
number that is none, an end in the middle of an entry. Data that the caller leaves is skipped. Global PAX headers are
read and ignored, as Docker does. Sparse files come as ordinary ones: the holes read as zeros.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

BLOCK: Final = 512
EXTENDED_MAX: Final = 1 << 20
_CHUNK: Final = 1 << 20
_XATTR: Final = b"SCHILY.xattr."


class TarError(ValueError):
    """The archive is damaged; the text says how."""


class Kind(enum.Enum):
    """What an entry is; the values are the type flags."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHAR = b"3"
    BLOCK = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member. ``size`` counts the bytes that ``TarReader.read`` will give; ``device`` is (major, minor)."""

    name: bytes
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)


class TarReader:
    """Iterate to get entries; ``read`` gives the data of the current one. *source* reads up to n bytes, b""."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._left = 0  # archived bytes of the current entry still unread
        self._padding = 0
        self._data: Iterator[bytes] | None = None  # of a sparse entry
        self._over = b""

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            yield entry

    def read(self, size: int) -> bytes:
        """Up to *size* bytes of the current entry's data; b"" when it is over."""
        if self._data is not None:
            if not self._over:
                self._over = next(self._data, b"")
            piece, self._over = self._over[:size], self._over[size:]
            return piece
        return self._archived(size)

    def drain(self) -> None:
        """Read what follows the end mark, so that whoever hashes the stream has seen all of it."""
        while self._source(_CHUNK):
            pass

    # the blocks

    def _archived(self, size: int) -> bytes:
        if not self._left:
            return b""
        piece = self._source(min(size, self._left))
        if not piece:
            raise TarError("unexpected end of the archive in the middle of an entry")
        self._left -= len(piece)
        return piece

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            piece = self._source(size)
            if not piece:
                break
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)

    def _header(self) -> bytes | None:
        """The next header block; None at the end: two blocks of zeros, or where the stream stops between entries."""
        self._data, self._over = None, b""
        while self._left:
            self._archived(_CHUNK)
        if self._padding and len(self._exactly(self._padding)) < self._padding:
            raise TarError("unexpected end of the archive in the padding of an entry")
        self._padding = 0
        block = self._exactly(BLOCK)
        if not block:
            return None
        if len(block) < BLOCK:
            raise TarError("unexpected end of the archive in a header")
        if block.count(0) < BLOCK:
            _check(block)
            return block
        second = self._exactly(BLOCK)
        if second and (len(second) < BLOCK or second.count(0) < BLOCK):
            raise TarError("invalid header: a single block of zeros")
        return None

    def _begin(self, size: int) -> None:
        if size < 0:
            raise TarError("invalid header: negative size")
        self._left, self._padding = size, -size % BLOCK

    def _extended(self, block: bytes) -> bytes:
        size = _number(block[124:136], "size")
        if size > EXTENDED_MAX:
            raise TarError(f"extended header of {size} bytes; at most {EXTENDED_MAX} are accepted")
        self._begin(size)
        data = self._exactly(size)
        if len(data) < size:
            raise TarError("unexpected end of the archive in an extended header")
        self._left = 0
        return data

    # the entries

    def _next(self) -> Entry | None:
        pax: dict[bytes, bytes] = {}
        name: bytes | None = None
        link: bytes | None = None
        while (block := self._header()) is not None:
            flag = block[156:157]
            if flag in b"xX":
                pax = _records(self._extended(block))
            elif flag == b"g":
                self._extended(block)
            elif flag == b"L":
                name = self._extended(block).split(b"\0", 1)[0]
            elif flag == b"K":
                link = self._extended(block).split(b"\0", 1)[0]
            else:
                return self._entry(block, pax, name, link)
        if pax or name is not None or link is not None:
            raise TarError("unexpected end of the archive after an extended header")
        return None

    def _entry(self, block: bytes, pax: Mapping[bytes, bytes], name: bytes | None, link: bytes | None) -> Entry:
        kind = _kind(block)
        stored = _decimal(pax, b"size", _number(block[124:136], "size"))
        if kind is not Kind.FILE:
            # Old archivers give hard links and directories a size without data behind it.
            stored = 0
        self._begin(stored)
        own = pax.get(b"GNU.sparse.name") or pax.get(b"path") or (name if name is not None else _name(block))
        size = stored
        if block[156:157] == b"S":
            size = self._open_sparse(_number(block[483:495], "real size"), self._old_map(block))
        elif any(key.startswith(b"GNU.sparse.") for key in pax):
            size = self._open_sparse(_real_size(pax), self._pax_map(pax))
        found = Entry(
            name=own,
            kind=Kind.DIRECTORY if kind is Kind.FILE and own.endswith(b"/") else kind,
            mode=_number(block[100:108], "mode") & 0o7777,
            uid=_decimal(pax, b"uid", _number(block[108:116], "uid")),
            gid=_decimal(pax, b"gid", _number(block[116:124], "gid")),
            size=size,
            mtime_ns=_time(pax[b"mtime"]) if b"mtime" in pax else _number(block[136:148], "mtime") * 1_000_000_000,
            link=pax.get(b"linkpath") or (link if link is not None else _text(block[157:257])),
            device=(_number(block[329:337], "device"), _number(block[337:345], "device"))
            if kind in (Kind.CHAR, Kind.BLOCK)
            else (0, 0),
            xattrs={key[len(_XATTR) :]: value for key, value in pax.items() if key.startswith(_XATTR)},
        )
        if b"\0" in found.name or b"\0" in found.link:
            raise TarError("invalid header: NUL in a name")
        return found

    # sparse files (GNU tar manual, "Storing Sparse Files")

    def _old_map(self, block: bytes) -> list[tuple[int, int]]:
        pairs = _pairs(block[386:482])
        more = block[482] not in b"\0 0"
        while more:
            extension = self._exactly(BLOCK)
            if len(extension) < BLOCK or len(pairs) * 24 > EXTENDED_MAX:
                raise TarError("invalid sparse map")
            pairs += _pairs(extension[:504])
            more = extension[504] not in b"\0 0"
        return pairs

    def _pax_map(self, pax: Mapping[bytes, bytes]) -> list[tuple[int, int]]:
        if b"GNU.sparse.map" in pax:
            numbers = [_digits(part, "sparse map") for part in pax[b"GNU.sparse.map"].split(b",") if part]
        elif pax.get(b"GNU.sparse.major") == b"1":
            numbers = self._stored_map()
        else:
            raise TarError("unknown format of sparse file")
        return list(zip(numbers[::2], numbers[1::2], strict=True)) if len(numbers) % 2 == 0 else _bad_map()

    def _stored_map(self) -> list[int]:
        """PAX 1.0: the map stands as lines of decimals before the data, padded to a block."""
        text = b""
        wanted = 1
        while text.count(b"\n") < wanted:
            block = b""
            while len(block) < BLOCK and (piece := self._archived(BLOCK - len(block))):
                block += piece
            if len(block) < BLOCK or len(text) > EXTENDED_MAX:
                raise TarError("invalid sparse map")
            text += block
            if wanted == 1 and b"\n" in text:
                wanted = 1 + 2 * _digits(text.split(b"\n", 1)[0], "sparse map")
        return [_digits(line, "sparse map") for line in text.split(b"\n")[1:wanted]]

    def _open_sparse(self, real: int, pairs: list[tuple[int, int]]) -> int:
        at = 0
        for offset, length in pairs:
            if offset < at or length < 0 or offset + length > real:
                _bad_map()
            at = offset + length
        if sum(length for _, length in pairs) != self._left:
            _bad_map()
        self._data = self._sparse(real, pairs)
        return real

    def _sparse(self, real: int, pairs: list[tuple[int, int]]) -> Iterator[bytes]:
        at = 0
        for offset, length in [*pairs, (real, 0)]:
            yield from _zeros(offset - at)
            left = length
            while left:
                piece = self._archived(min(left, _CHUNK))
                left -= len(piece)
                yield piece
            at = offset + length


def _bad_map() -> list[tuple[int, int]]:
    raise TarError("invalid sparse map")


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, _CHUNK))
        count -= _CHUNK


def _check(block: bytes) -> None:
    """The header's checksum; some old archivers summed signed bytes."""
    try:
        stored = _number(block[148:156], "checksum")
    except TarError:
        stored = -1
    rest = block[:148] + b" " * 8 + block[156:]
    if stored != sum(rest) and stored != sum(byte - 256 if byte > 127 else byte for byte in rest):
        raise TarError("invalid header: wrong checksum (not a tar archive, or a damaged one)")


def _kind(block: bytes) -> Kind:
    flag = block[156:157]
    if flag in (b"\0", b"7", b"S"):
        return Kind.FILE
    try:
        return Kind(flag)
    except ValueError:
        raise TarError(f"unknown type of entry {flag!r}") from None


def _text(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]


def _name(block: bytes) -> bytes:
    name, prefix = _text(block[:100]), _text(block[345:500])
    # GNU's magic is "ustar  ": what follows there is not a prefix.
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def _number(data: bytes, what: str) -> int:
    """Octal digits, or GNU's base-256 when the first bit is set."""
    if data[0] & 0x80:
        value = int.from_bytes(bytes([data[0] & 0x7F]) + data[1:], "big")
        return value - (1 << (8 * len(data) - 1)) if data[0] & 0x40 else value
    text = data.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise TarError(f"invalid header: {what} is not a number") from None


def _pairs(data: bytes) -> list[tuple[int, int]]:
    found = []
    for at in range(0, len(data) - 23, 24):
        if not data[at]:
            break
        found.append((_number(data[at : at + 12], "sparse map"), _number(data[at + 12 : at + 24], "sparse map")))
    return found


def _records(data: bytes) -> dict[bytes, bytes]:
    """``length key=value`` lines, where the length counts the whole line."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = _digits(data[at:space], "PAX record") if space > 0 else 0
        line = data[space + 1 : at + length]
        key, equals, value = line[:-1].partition(b"=")
        if length < 5 or at + length > len(data) or not line.endswith(b"\n") or not equals:
            raise TarError("invalid PAX record")
        found[key] = value
        at += length
    return found


def _digits(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 20:
        raise TarError(f"invalid {what}: {text[:40]!r} is not a number")
    return int(text)


def _decimal(pax: Mapping[bytes, bytes], key: bytes, default: int) -> int:
    return _digits(pax[key], key.decode()) if key in pax else default


def _real_size(pax: Mapping[bytes, bytes]) -> int:
    text = pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size") or b""
    return _digits(text, "sparse size")


def _time(text: bytes) -> int:
    """Seconds with a fraction, in nanoseconds."""
    whole, _, fraction = text.lstrip(b"-").partition(b".")
    value = _digits(whole, "mtime") * 1_000_000_000
    if fraction:
        value += _digits(fraction[:9].ljust(9, b"0"), "mtime")
    return -value if text.startswith(b"-") else value
