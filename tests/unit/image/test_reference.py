"""Names of images, as Docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.image.reference import parse_reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("centos", "docker.io/library/centos:latest", "centos:latest"),
        ("centos:7.6.1810", "docker.io/library/centos:7.6.1810", "centos:7.6.1810"),
        ("library/centos:7", "docker.io/library/centos:7", "centos:7"),
        ("docker.io/centos", "docker.io/library/centos:latest", "centos:latest"),
        ("index.docker.io/library/centos", "docker.io/library/centos:latest", "centos:latest"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("localhost/app:1", "localhost/app:1", "localhost/app:1"),
        ("127.0.0.1:5000/library/app", "127.0.0.1:5000/library/app:latest", "127.0.0.1:5000/library/app:latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("quay.io/a/b/c@" + DIGEST, "quay.io/a/b/c@" + DIGEST, "quay.io/a/b/c@" + DIGEST),
        ("a__b/c-d.e:T_a-g.1", "docker.io/a__b/c-d.e:T_a-g.1", "a__b/c-d.e:T_a-g.1"),
    ],
)
def test_names_are_normalised(text: str, canonical: str, familiar: str) -> None:
    name = parse_reference(text)

    assert (str(name), name.familiar()) == (canonical, familiar)
    assert parse_reference(str(name)) == name


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", "a:b:c", "/a", "a/", "a//b", "-a", "a..b", "a:" + "t" * 129, "a@", "a@sha256:12",
     "a@md5:" + "0" * 32, "a b", "a\n", "ä", "http://a/b", "a:tag/b"],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid reference format"):
        parse_reference(text)


def test_upper_case_is_named() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_reference("UPPER")

    assert caught.value.message == "invalid reference format: repository name (library/UPPER) must be lowercase"


def test_64_hex_digits_are_an_id_and_no_name() -> None:
    with pytest.raises(InvalidArgument, match="cannot specify 64-byte hexadecimal strings"):
        parse_reference("ab" * 32)


@given(st.text(max_size=60))
def test_anything_else_is_refused_or_stable(text: str) -> None:
    try:
        name = parse_reference(text)
    except InvalidArgument:
        return
    assert parse_reference(str(name)) == name
    assert parse_reference(name.familiar()) == name
