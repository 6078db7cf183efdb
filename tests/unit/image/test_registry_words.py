"""Challenges and endpoints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.image.reference import parse_reference
from sealane.image.registry.challenge import Challenge, parse_challenges
from sealane.image.registry.credentials import Login
from sealane.image.registry.endpoints import Endpoint, Registries


def test_a_bearer_challenge() -> None:
    header = (
        'Bearer realm="https://auth.example/token",service="a \\"b\\"",scope="repository:x/y:pull,push", error=none'
    )

    assert parse_challenges([header]) == (
        Challenge(
            "bearer",
            {
                "realm": "https://auth.example/token",
                "service": 'a "b"',
                "scope": "repository:x/y:pull,push",
                "error": "none",
            },
        ),
    )


def test_several_challenges() -> None:
    found = parse_challenges(['Basic realm="r", Bearer realm="t",service=s', "Negotiate"])

    assert [item.scheme for item in found] == ["basic", "bearer", "negotiate"]
    assert found[1].parameters == {"realm": "t", "service": "s"}


@given(st.lists(st.text(max_size=80), max_size=3))
def test_any_header_is_read(headers: list[str]) -> None:
    parse_challenges(headers)


def bases(registries: Registries, name: str) -> list[tuple[str, bool]]:
    return [(item.base, item.verify) for item in registries.endpoints(parse_reference(name))]


def test_mirrors_come_before_docker_hub_and_only_there() -> None:
    registries = Registries(mirrors=("http://127.0.0.1:5000/", "https://mirror.example/hub", "plain.example"))

    assert bases(registries, "centos") == [
        ("http://127.0.0.1:5000", False),
        ("https://mirror.example/hub", True),
        ("https://plain.example", True),
        ("https://registry-1.docker.io", True),
    ]
    assert bases(registries, "quay.io/centos") == [("https://quay.io", True)]
    assert [item.own for item in registries.endpoints(parse_reference("centos"))] == [False, False, False, True]


@pytest.mark.parametrize(
    ("host", "insecure"),
    [
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("localhost:1", True),
        ("[::1]:5000", True),
        ("10.1.2.3:5000", True),
        ("10.2.0.1", False),
        ("named.example", True),
        ("named.example:5000", True),
        ("ported.example", False),
        ("ported.example:5000", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
    ],
)
def test_who_may_be_spoken_to_without_tls(host: str, insecure: bool) -> None:
    registries = Registries(insecure=("10.1.0.0/16", "named.example", "ported.example:5000"))

    found = bases(registries, f"{host}/app")

    assert found == (
        [(f"https://{host}", False), (f"http://{host}", False)] if insecure else [(f"https://{host}", True)]
    )
    assert registries.may_be_plain(f"http://{host}/v2/") is insecure
    assert registries.may_be_plain(f"https://{host}/v2/")


@pytest.mark.parametrize("mirror", ["ftp://x", "http://", "https://user:pw@x", "https://x?y"])
def test_bad_mirrors(mirror: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid mirror"):
        Registries(mirrors=(mirror,)).endpoints(parse_reference("centos"))


def test_urls() -> None:
    assert (
        Endpoint("https://m/hub").url("library/a", "blobs", "sha256:1") == "https://m/hub/v2/library/a/blobs/sha256:1"
    )


def test_secrets_are_not_printed() -> None:
    assert "s3cret" not in repr(Login("me", "s3cret", "s3cret", "s3cret"))
