"""Configuration blobs."""

from __future__ import annotations

import json

import pytest

from sealane.errors import InvalidArgument
from sealane.image.config import format_time, parse_config, parse_time


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T01:00:00.5+01:00", 500_000_000),
        ("1970-01-01T00:00:00.1234567891Z", 123_456_789),
        ("0001-01-01T00:00:00Z", -62135596800 * 10**9),
        ("yesterday", 0),
        ("", 0),
        (None, 0),
        ("2020-13-40T00:00:00Z", 0),
    ],
)
def test_times(text: str | None, wanted: int) -> None:
    assert parse_time(text) == wanted


def test_times_come_back() -> None:
    assert format_time(parse_time("2018-12-05T21:20:32.123456789Z")) == "2018-12-05T21:20:32.123456789Z"


def test_everything_that_containers_inherit() -> None:
    raw = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "User": "1000",
                "ExposedPorts": {"80/tcp": {}},
                "Env": ["A=b"],
                "Entrypoint": ["/e"],
                "Cmd": None,
                "Volumes": {"/data": {}},
                "WorkingDir": "/w",
                "Labels": {"x": "y"},
                "StopSignal": "SIGINT",
                "OnBuild": ["RUN x"],
                "Shell": ["/bin/bash", "-c"],
                "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000_000, "Retries": 2},
                "ArgsEscaped": True,
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
        }
    ).encode()

    found = parse_config(raw)

    assert (found.user, found.exposed_ports, found.env, found.entrypoint) == ("1000", ("80/tcp",), ("A=b",), ("/e",))
    assert (found.cmd, found.volumes, found.working_dir, found.labels) == (None, ("/data",), "/w", {"x": "y"})
    assert (found.stop_signal, found.onbuild, found.shell) == ("SIGINT", ("RUN x",), ("/bin/bash", "-c"))
    assert found.healthcheck is not None
    assert (found.healthcheck.test, found.healthcheck.interval_ns) == (("CMD", "x"), 5_000_000_000)
    assert found.raw == raw


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b'{"config": {"Env": "x"}}', b'{"rootfs": {"diff_ids": ["sha256:../../x"]}}', b"\xff\xfe",
     json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64] * 501}}).encode(),
     pytest.param(b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep"),
     pytest.param(b'{"config": {"Volumes": {"v": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}}", id="deep volume")],
)  # fmt: skip
def test_what_is_no_configuration(raw: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_config(raw)
