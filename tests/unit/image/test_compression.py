"""Archives as they travel."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sealane.image.compression import Compressor, DamagedStream, Peeked, decoder, is_compressed

DATA = b"the quick brown fox " * 50_000 + bytes(300_000)
PACKED = {
    "plain": DATA,
    "gzip": gzip.compress(DATA),
    "zstd": zstandard.compress(DATA),
    "bzip2": bz2.compress(DATA),
    "xz": lzma.compress(DATA),
}


def read_all(packed: bytes, size: int = 70_000) -> bytes:
    read = decoder(Peeked(io.BytesIO(packed).read))
    return b"".join(iter(lambda: read(size), b""))


@pytest.mark.parametrize("name", PACKED)
def test_every_kind_is_told_by_its_first_bytes(name: str) -> None:
    assert read_all(PACKED[name]) == DATA
    assert is_compressed(PACKED[name][:6]) is (name != "plain")


@pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
def test_several_members_are_one_stream(name: str) -> None:
    assert read_all(PACKED[name] * 2) == DATA * 2


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_zeros_after_the_end_are_padding(name: str) -> None:
    assert read_all(PACKED[name] + bytes(1000)) == DATA


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_a_stream_that_is_cut_short(name: str) -> None:
    with pytest.raises(DamagedStream, match=f"unexpected end of the {name} stream"):
        read_all(PACKED[name][:-9])


@pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
def test_a_stream_with_wrong_bytes(name: str) -> None:
    damaged = bytearray(PACKED[name])
    damaged[len(damaged) // 2] ^= 0xFF

    with pytest.raises(DamagedStream):
        read_all(bytes(damaged))


def test_a_bomb_is_read_in_small_pieces() -> None:
    read = decoder(Peeked(io.BytesIO(gzip.compress(bytes(50 << 20))).read))

    assert max(len(piece) for piece in iter(lambda: read(1 << 16), b"")) <= 1 << 16


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=2000), max_size=20))
def test_what_was_compressed_comes_back(pieces: list[bytes]) -> None:
    out = io.BytesIO()
    compressor = Compressor(out.write)
    for piece in pieces:
        compressor.feed(piece)
    compressor.close()

    assert read_all(out.getvalue()) == b"".join(pieces)
