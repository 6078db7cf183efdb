"""The small parts of the client: addresses, frames of output, versions, the user's configuration, credentials."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.client import user_config
from sealane.client.address import DEFAULT_SOCKET, choose, parse
from sealane.client.credentials import registry_auth
from sealane.client.frames import FrameReader
from sealane.errors import InvalidArgument, Unsupported


@pytest.mark.parametrize(
    ("text", "path", "host", "port"),
    [
        ("unix:///run/x.sock", "/run/x.sock", "", 0),
        ("/run/x.sock", "/run/x.sock", "", 0),
        ("tcp://10.0.0.1:2375", "", "10.0.0.1", 2375),
        ("tcp://10.0.0.1", "", "10.0.0.1", 2375),
        ("tcp://:99", "", "127.0.0.1", 99),
        ("tcp://[::1]:99/", "", "::1", 99),
        ("box:99", "", "box", 99),
    ],
)
def test_addresses(text: str, path: str, host: str, port: int) -> None:
    address = parse(text)

    assert (address.path, address.host, address.port) == (path, host, port)


@pytest.mark.parametrize("text", ["foo://bar", "unix://", "tcp://x:y"])
def test_bad_addresses_are_named(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)

    assert text in caught.value.message


@pytest.mark.parametrize("text", ["ssh://box", "https://box:2376"])
def test_other_transports_are_refused_by_name(text: str) -> None:
    with pytest.raises(Unsupported, match=text.partition(":")[0]):
        parse(text)


def test_whose_address_wins() -> None:
    both = {"SEALANE_HOST": "unix:///s", "DOCKER_HOST": "unix:///d"}

    assert choose("unix:///asked", both).path == "/asked"
    assert choose(None, both).path == "/s"
    assert choose(None, {"DOCKER_HOST": "unix:///d"}).path == "/d"
    assert choose(None, {}).path == DEFAULT_SOCKET


@given(
    frames=st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=60)), max_size=6),
    size=st.integers(1, 40),
)
def test_frames_cut_anywhere(frames: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(bytes([number, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for number, text in frames)
    reader = FrameReader()
    out = [pair for at in range(0, len(data), size) for pair in reader.feed(data[at : at + size])]

    for stream in range(4):
        wanted = b"".join(text for number, text in frames if number == stream)
        assert b"".join(text for number, text in out if number == stream) == wanted


def home(folder: Path, config: object) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder)}


def test_settings_of_the_user(tmp_path: Path) -> None:
    environ = home(tmp_path, {"psFormat": "table {{.ID}}", "imagesFormat": 7})

    assert user_config.text(environ, "psFormat") == "table {{.ID}}"
    assert user_config.text(environ, "imagesFormat") == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_a_broken_configuration_counts_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)

    assert user_config.read({"DOCKER_CONFIG": str(tmp_path)}) == {}
    assert user_config.read({"DOCKER_CONFIG": str(tmp_path / "missing")}) == {}


def test_proxies_for_containers() -> None:
    config = {"proxies": {"default": {"httpProxy": "http://p", "noProxy": "x"}, "unix:///a": {"ftpProxy": "f"}}}

    assert user_config.proxy_variables(config, "unix:///b", ["http_proxy=mine", "A"]) == [
        "HTTP_PROXY=http://p",
        "NO_PROXY=x",
        "no_proxy=x",
    ]
    assert user_config.proxy_variables(config, "unix:///a", []) == ["FTP_PROXY=f", "ftp_proxy=f"]
    assert user_config.proxy_variables({}, "unix:///a", []) == []


def decoded(header: str) -> object:
    return json.loads(base64.urlsafe_b64decode(header)) if header else None


def test_credentials_of_a_registry(tmp_path: Path) -> None:
    secret = base64.b64encode(b"me:pass:word").decode()
    auths = {"https://index.docker.io/v1/": {"auth": secret}, "reg:5000": {"identitytoken": "t"}}
    environ = home(tmp_path, {"auths": auths})

    assert decoded(registry_auth("docker.io", environ)) == {
        "username": "me",
        "password": "pass:word",
        "serveraddress": "https://index.docker.io/v1/",
    }
    assert decoded(registry_auth("reg:5000", environ)) == {"identitytoken": "t", "serveraddress": "reg:5000"}
    assert registry_auth("other", environ) == ""


def test_credentials_from_a_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-mine"
    program.write_text('#!/bin/sh\nread host\necho "{\\"Username\\":\\"u\\",\\"Secret\\":\\"s-$host\\"}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    environ = home(tmp_path, {"credHelpers": {"reg": "mine", "gone": "missing"}})

    assert decoded(registry_auth("reg", environ)) == {"username": "u", "password": "s-reg", "serveraddress": "reg"}
    assert registry_auth("gone", environ) == ""
