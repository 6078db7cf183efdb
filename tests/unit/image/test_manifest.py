"""Manifests, indexes and platforms."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument, NotFound, SealaneError, Unsupported
from sealane.image.manifest import Index, Manifest, Platform, choose, parse_manifest, parse_platform
from support.registry import build_image, build_index, layer

HERE = Platform("linux", "amd64")


@pytest.mark.parametrize("oci", [False, True])
def test_a_manifest(oci: bool) -> None:
    image = build_image([layer({"a": b"1"}), layer({"b": b"2"})], oci=oci)

    found = parse_manifest(image.manifest, image.media_type)

    assert isinstance(found, Manifest)
    assert found.config.digest == image.id
    assert [item.digest for item in found.layers] == [digest for digest in image.blobs if digest != image.id]


@pytest.mark.parametrize("oci", [False, True])
def test_the_index_leads_to_the_platform(oci: bool) -> None:
    images = {name: build_image([layer({"a": name.encode()})], architecture=name) for name in ("amd64", "arm64", "arm")}
    platforms = [
        {"os": "windows", "architecture": "amd64"},
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "linux", "architecture": "arm", "variant": "v6"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
        {"os": "unknown", "architecture": "unknown"},
    ]
    entries = [(item, images.get(item["architecture"], images["amd64"])) for item in platforms]
    index = parse_manifest(build_index(entries, oci=oci))
    assert isinstance(index, Index)

    assert choose(index.entries, HERE).digest == images["amd64"].digest
    assert choose(index.entries, Platform("linux", "arm64")).digest == images["arm64"].digest
    assert choose(index.entries, Platform("linux", "arm", "v6")).digest == images["arm"].digest
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x in the manifest list entries"):
        choose(index.entries, Platform("linux", "s390x"))
    with pytest.raises(NotFound, match="linux/arm/v5"):
        choose(index.entries, Platform("linux", "arm", "v5"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("linux/arm64", Platform("linux", "arm64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("linux/x86_64", HERE),
        ("linux", HERE),
        ("aarch64", Platform("linux", "arm64")),
    ],
)
def test_platforms_are_read(text: str, wanted: Platform) -> None:
    assert parse_platform(text, HERE) == wanted


@pytest.mark.parametrize("text", ["foo", "linux/foo", "a/b/c/d", "plan9/amd64", "/", "linux/arm/v7/x"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f'"{text}": unknown operating system or architecture: invalid argument'):
        parse_platform(text, HERE)


def test_a_document_with_two_meanings_is_refused() -> None:
    image = build_image([layer({"a": b"1"})])
    both = json.loads(image.manifest) | {"manifests": []}

    with pytest.raises(InvalidArgument, match="an index and a manifest at once"):
        parse_manifest(json.dumps(both).encode())


def test_schema_1_is_named() -> None:
    with pytest.raises(Unsupported, match="schema 1"):
        parse_manifest(b'{"schemaVersion": 1}')


def test_a_layer_that_is_no_archive_is_refused() -> None:
    image = build_image([layer({"a": b"1"})], oci=True, kind="sif")
    artifact = image.manifest.replace(b"image.layer.v1.tar+sif", b"helm.chart")

    with pytest.raises(Unsupported, match=r"vnd\.oci\.helm\.chart"):
        parse_manifest(artifact)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schemaVersion", "config", "layers", "manifests", "digest", "size", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    try:
        parse_manifest(json.dumps(document).encode())
    except SealaneError:
        pass
