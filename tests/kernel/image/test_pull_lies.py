"""Pulling from registries that lie, and onto full disks: nothing stays of what is not as it should be."""

from __future__ import annotations

import gzip
import random
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from kernel.image.fake import FakeRegistry
from kernel.image.lab import Stores, run
from sealane.errors import Internal, InvalidArgument, SealaneError, Unavailable
from sealane.linux import mounts
from sealane.values import short
from support.registry import (
    BuiltImage,
    Registry,
    build_image,
    layer,
    sha256,
    tar_of,
)

BASE = layer({"bin/sh": b"shell" * 1000, "etc/release": b"7"})
TOP = layer({"etc/.wh.release": b"", "app": b"app"})
#: Does not compress, so that there is something to interrupt.
BIG = layer({"big": random.Random(7).randbytes(3_000_000)})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


def layers_of(image: BuiltImage) -> list[str]:
    return [digest for digest in image.blobs if digest != image.id]


def failing(stores: Stores, fake: FakeRegistry, **how: Any) -> SealaneError:
    """Pull library/app:1 and expect an error and an empty store."""

    async def scene() -> SealaneError:
        async with fake.serving():
            store = stores.open()
            with pytest.raises(SealaneError) as caught:
                await stores.puller(store).pull(f"{fake.host}/library/app:1", **how)
            assert store.all() == []
        return caught.value

    error = run(scene())
    assert "\n" not in error.message
    return error


def test_a_blob_with_wrong_content(stores: Stores) -> None:
    image = build_image([BASE, TOP])
    victim = layers_of(image)[1]
    fake = FakeRegistry()
    fake.add("library/app", "1", image)
    fake.blobs[victim] = bytes(len(image.blobs[victim]))

    error = failing(stores, fake)

    assert isinstance(error, Internal)
    assert error.message == f"filesystem layer verification failed for digest {victim}"
    assert stores.empty


@pytest.mark.parametrize("extra", [b"more", bytes(5_000_000)])
def test_a_blob_that_is_too_long(stores: Stores, extra: bytes) -> None:
    image = build_image([BASE])
    (victim,) = layers_of(image)
    fake = FakeRegistry()
    fake.add("library/app", "1", image)
    fake.blobs[victim] += extra

    assert "is longer than the" in failing(stores, fake).message
    assert stores.empty


def test_a_truncated_blob(stores: Stores) -> None:
    image = build_image([BASE])
    (victim,) = layers_of(image)
    fake = FakeRegistry()
    fake.add("library/app", "1", image)
    fake.blobs[victim] = fake.blobs[victim][:-10]

    error = failing(stores, fake)

    assert isinstance(error, Unavailable)
    assert short(victim) in error.message


def test_a_manifest_that_is_not_what_the_registry_says(stores: Stores) -> None:
    fake = FakeRegistry(content_digest="sha256:" + "0" * 64)
    fake.add("library/app", "1", build_image([BASE]))

    assert failing(stores, fake).message.startswith(f"manifest verification failed for digest sha256:{'0' * 64}")
    assert stores.empty


def test_a_digest_that_leads_to_another_manifest(stores: Stores) -> None:
    image, other = build_image([BASE]), build_image([TOP])

    async def scene() -> None:
        fake = FakeRegistry(content_digest=image.digest)
        fake.add("library/app", "1", image)
        fake.manifests[f"library/app/{image.digest}"] = (other.manifest, other.media_type)
        async with fake.serving():
            with pytest.raises(Internal, match=f"manifest verification failed for digest {image.digest}"):
                await stores.puller(stores.open()).pull(f"{fake.host}/library/app@{image.digest}")

    run(scene())
    assert stores.empty


def test_a_configuration_that_names_other_layers(stores: Stores) -> None:
    image = build_image([BASE], rootfs={"type": "layers", "diff_ids": [sha256(TOP)]})
    fake = FakeRegistry()
    fake.add("library/app", "1", image)

    error = failing(stores, fake)

    assert isinstance(error, InvalidArgument)
    assert "layer has the wrong content" in error.message
    assert stores.empty


@pytest.mark.parametrize(
    ("plain", "packed", "words"),
    [
        (tar_of((tarfile.TarInfo("../evil"), b"x")), None, r"\.\./evil is outside of the root"),
        (b"garbage " * 200, None, "not a tar archive"),
        (BASE, lambda plain: gzip.compress(plain)[:-20], "unexpected end of the gzip stream"),
        (BASE, lambda plain: b"\x1f\x8b" + bytes(100), "invalid gzip stream"),
        (BASE, lambda plain: zstandard.compress(plain)[:-20], "wrong content|unexpected end|invalid zstd"),
        (BASE[:-3000], None, "unexpected end of the archive"),
    ],
)
def test_hostile_layers(stores: Stores, plain: bytes, packed: Any, words: str) -> None:
    fake = FakeRegistry()
    image = build_image([TOP, plain], **({"compress": packed} if packed else {}))
    fake.add("library/app", "1", image)

    error = failing(stores, fake)

    assert isinstance(error, InvalidArgument)
    assert error.message.startswith("failed to register layer ")
    assert re.search(words, error.message)
    assert stores.empty


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (b"{", "application/json"),
        (b"x" * (5 << 20), "application/json"),
        (b"[]", "application/json"),
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    ],
)
def test_manifests_that_are_none(stores: Stores, raw: bytes, media_type: str) -> None:
    fake = FakeRegistry(manifests={"library/app/1": (raw, media_type)})

    failing(stores, fake)
    assert stores.empty


def test_too_many_requests(stores: Stores) -> None:
    error = failing(stores, FakeRegistry(status=429))

    assert isinstance(error, Unavailable)
    assert error.message == "toomanyrequests: slow down"


@pytest.mark.parametrize("room_kib", [1500, 3600])
def test_a_full_disk(stores: Stores, room_kib: int) -> None:
    """Once the archive does not fit, once what is in it."""
    stores.root.mkdir()
    mounts.tmpfs(stores.root, size=room_kib << 10)
    try:
        fake = FakeRegistry()
        fake.add("library/app", "1", build_image([BASE, BIG]))
        error = failing(stores, fake)
        assert isinstance(error, Internal)
        assert "no space left on device" in error.message
        assert stores.empty
    finally:
        mounts.umount(stores.root)


def test_a_full_disk_can_be_pulled_to_again(stores: Stores, tmp_path: Path) -> None:
    stores.root.mkdir()
    mounts.tmpfs(stores.root, size=3600 << 10)
    try:
        fake = FakeRegistry()
        fake.add("library/app", "1", build_image([BASE, BIG]))
        failing(stores, fake)
        mounts.mount("none", stores.root, "tmpfs", mounts.MS_REMOUNT, f"size={20 << 20}")

        async def scene() -> None:
            async with fake.serving():
                await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1")

        run(scene())
        assert stores.files()["tmp"] == 0
    finally:
        mounts.umount(stores.root)
