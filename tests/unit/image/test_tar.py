"""The tar reader, against archives of Python's tarfile and of GNU tar."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealane.image.tar import EXTENDED_MAX, Entry, Kind, TarError, TarReader
from support.registry import tar_of


def read(archive: bytes, step: int = 1000) -> list[tuple[Entry, bytes]]:
    reader = TarReader(io.BytesIO(archive).read)
    return [(entry, b"".join(iter(lambda: reader.read(step), b""))) for entry in reader]


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=120).filter(
    lambda name: name.strip(".")
)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            _NAMES, st.binary(max_size=1500), st.integers(0, 0o7777), st.integers(0, 2**32), st.integers(0, 2**33)
        ),
        max_size=5,
    ),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_files_come_back(files: list[tuple[str, bytes, int, int, int]], form: int) -> None:
    members = [member(n, data, mode=mode, uid=uid, mtime=mtime) for n, data, mode, uid, mtime in files]

    found = read(tar_of(*members, format=form))

    assert [(e.name, data, e.mode, e.uid, e.mtime_ns) for e, data in found] == [
        (name.encode(), data, mode, uid, mtime * 10**9) for name, data, mode, uid, mtime in files
    ]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_kind(form: int) -> None:
    long = "d/" + "x" * 60 + "/" + "y" * 60
    found = read(
        tar_of(
            member("dir", type=tarfile.DIRTYPE, mode=0o1777),
            member("link", type=tarfile.SYMTYPE, linkname="../x"),
            member("hard", type=tarfile.LNKTYPE, linkname="file"),
            member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
            member("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=1),
            member("pipe", type=tarfile.FIFOTYPE),
            member(long, b"z", mtime=-5 if form != tarfile.USTAR_FORMAT else 5),
            format=form,
        )
    )

    kinds = [entry.kind for entry, _ in found]
    assert kinds == [Kind.DIRECTORY, Kind.SYMLINK, Kind.HARD_LINK, Kind.CHAR, Kind.BLOCK, Kind.FIFO, Kind.FILE]
    assert [found[1][0].link, found[2][0].link, found[3][0].device, found[4][0].device] == [
        b"../x", b"file", (1, 3), (8, 1),
    ]  # fmt: skip
    assert found[6][0].name == long.encode()
    assert found[6][1] == b"z"


def test_pax_attributes_and_fractions() -> None:
    value = "\x01\x00\x00\x02\n=é"
    headers = {"SCHILY.xattr.security.capability": value, "mtime": "12.25", "SCHILY.xattr.user.a": "b"}

    ((entry, _),) = read(tar_of(member("f", b"x", pax_headers=headers)))

    assert entry.xattrs == {b"security.capability": value.encode(), b"user.a": b"b"}
    assert entry.mtime_ns == 12_250_000_000


def test_sparse_files_of_gnu_tar(tmp_path: Path) -> None:
    holey = tmp_path / "holey"
    with holey.open("wb") as file:
        for index in range(8):
            file.seek(index * 1_000_000)
            file.write(b"data%d" % index)
        file.truncate(9_000_000)
    for form in (["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))):
        made = subprocess.run(
            ["tar", "-c", "--sparse", *form, "-C", tmp_path, "holey"], stdout=subprocess.PIPE, check=False
        )
        if form[-1] == "--sparse-version=0.0":  # its records repeat one key; GNU tar gave it up in 2005
            with pytest.raises(TarError, match="unknown format of sparse file"):
                read(made.stdout)
            continue
        ((entry, data),) = read(made.stdout, 1 << 20)
        assert (entry.name, entry.size) == (b"holey", 9_000_000), form
        assert data == holey.read_bytes(), form


def test_an_archive_may_end_without_its_mark() -> None:
    archive = tar_of(member("a", b"1"))

    assert [entry.name for entry, _ in read(archive[:1024])] == [b"a"]
    assert read(b"") == []


@pytest.mark.parametrize("cut", [100, 511, 513, 600, 1023])
def test_an_archive_that_is_cut_short(cut: int) -> None:
    with pytest.raises(TarError, match="unexpected end"):
        read(tar_of(member("a", b"1" * 400))[:cut])


def test_garbage_is_no_archive() -> None:
    with pytest.raises(TarError, match="not a tar archive"):
        read(b"garbage " * 200)


def test_garbage_behind_an_entry_is_not_the_end() -> None:
    with pytest.raises(TarError, match="checksum"):
        read(tar_of(member("a", b"1"))[:1024] + b"x" * 1024)


def test_headers_are_bounded() -> None:
    huge = member("x", type=tarfile.XHDTYPE)[0]
    huge.size = EXTENDED_MAX + 1

    with pytest.raises(TarError, match="extended header"):
        read(huge.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


def test_nul_in_a_name_is_refused() -> None:
    with pytest.raises(TarError, match="NUL"):
        read(tar_of(member("x", pax_headers={"path": "a\0b"})))


@settings(max_examples=300)
@given(st.data())
def test_damage_is_an_error_or_harmless(data: st.DataObject) -> None:
    archive = bytearray(
        tar_of(
            member("é" * 60, b"x" * 700, pax_headers={"SCHILY.xattr.user.a": "b"}),
            member("s", type=tarfile.SYMTYPE, linkname="t"),
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))

    try:
        read(bytes(archive))
    except TarError:
        pass


def test_memory_does_not_grow_with_the_archive() -> None:
    """A gigabyte of data through pieces of one megabyte."""
    info = tarfile.TarInfo("big")
    info.size = 1 << 30
    head = info.tobuf(tarfile.GNU_FORMAT)
    zeros = bytes(1 << 20)
    sent = 0

    def source(size: int) -> bytes:
        nonlocal sent
        piece = (head if sent == 0 else zeros)[:size]
        sent += len(piece)
        return piece if sent <= len(head) + info.size else b""

    reader = TarReader(source)
    (entry,) = [
        entry for entry in reader if all(len(piece) <= 1 << 20 for piece in iter(lambda: reader.read(1 << 20), b""))
    ]

    assert entry.size == 1 << 30
