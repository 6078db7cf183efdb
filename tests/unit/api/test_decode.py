import pytest

from sealane.api.schema.container import CreateBody
from sealane.api.schema.decode import decode
from sealane.errors import InvalidArgument


def test_null_leaves_a_field_alone() -> None:
    body = decode(b'{"Image":"x","Tty":null,"Env":null,"HostConfig":{"Memory":null,"RestartPolicy":null}}', CreateBody)
    assert body.Image == "x"
    assert body.Tty is False
    assert body.Env is None
    assert body.HostConfig is not None
    assert body.HostConfig.RestartPolicy.Name == ""


def test_null_as_an_entry_is_the_zero_value() -> None:
    raw = b"""{"Labels":{"a":null},"ExposedPorts":{"80/tcp":null},"Env":[null],
        "HostConfig":{"PortBindings":{"80/tcp":null,"81/tcp":[null]}},
        "NetworkingConfig":{"EndpointsConfig":{"net":null}}}"""
    body = decode(raw, CreateBody)
    assert body.Labels == {"a": ""}
    assert body.ExposedPorts == {"80/tcp": {}}
    assert body.Env == [""]
    assert body.HostConfig is not None
    bindings = body.HostConfig.PortBindings
    assert bindings is not None
    assert bindings["80/tcp"] is None
    assert bindings["81/tcp"] is not None
    assert bindings["81/tcp"][0].HostPort == ""
    assert body.NetworkingConfig is not None
    assert body.NetworkingConfig.EndpointsConfig == {"net": None}


def test_names_are_compared_without_case_and_unknown_ones_ignored() -> None:
    body = decode(b'{"image":"x","hostconfig":{"networkMODE":"host"},"Surprise":{"a":[1]}}', CreateBody)
    assert body.Image == "x"
    assert body.HostConfig is not None
    assert body.HostConfig.NetworkMode == "host"


def test_the_order_of_networks_is_kept() -> None:
    body = decode(b'{"NetworkingConfig":{"EndpointsConfig":{"z":{},"a":{},"m":{}}}}', CreateBody)
    assert body.NetworkingConfig is not None
    assert list(body.NetworkingConfig.EndpointsConfig or ()) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"Image":1}', "Image"),
        (b'{"Env":"x"}', "Env"),
        (b'{"Cmd":5}', "Cmd"),
        (b'{"Tty":"yes"}', "Tty"),
        (b'{"HostConfig":{"Memory":"x"}}', "HostConfig.Memory"),
        (b'{"HostConfig":{"Memory":1e30}}', "HostConfig.Memory"),
        (b'{"HostConfig":{"Memory":99999999999999999999}}', "HostConfig.Memory"),
        (b'{"HostConfig":{"PortBindings":{"80":[{"HostPort":80}]}}}', "HostPort"),
        (b'{"NetworkingConfig":{"EndpointsConfig":{"a":{"IPAMConfig":5}}}}', "IPAMConfig"),
        (b"[]", "expected object"),
        (b'"x"', "expected object"),
    ],
)
def test_wrong_types_are_refused_by_name(raw: bytes, words: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid JSON: ") as caught:
        decode(raw, CreateBody)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "invalid JSON: unexpected EOF"),
        (b"{} {}", "unexpected content after JSON"),
        (b'{"Image":"\\u0000"}', "invalid JSON: Image: it contains a NUL character"),
        (b'{"Labels":{"a\\u0000":"b"}}', "invalid JSON: Labels: it contains a NUL character"),
    ],
)
def test_broken_json_is_refused_in_dockers_words(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode(raw, CreateBody)
    assert caught.value.message == message


@pytest.mark.parametrize("raw", [b"\xff", b"[" * 100_000, b'{"a":' * 5000, b'"\\ud800"', b"{,}", b"nul"])
def test_no_bytes_break_the_decoder(raw: bytes) -> None:
    with pytest.raises(InvalidArgument):
        decode(raw, CreateBody)
