"""Configuration blobs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.image.config import ImageConfig, format_time, parse_config, parse_time


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
        ("9999-12-31T23:59:59-23:00", 0),
        ("0001-01-01T00:00:00+23:00", 0),
    ],
)
def test_times(text: str | None, wanted: int) -> None:
    assert parse_time(text) == wanted


@given(st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()))
def test_every_time_can_be_written_again(text: str) -> None:
    assert parse_time(format_time(parse_time(text))) == parse_time(text)


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
    [b"", b"[]", b"{", b'{"config": {"Env": "x"}}', b'{"config": {"Tty": "yes"}}',
     b'{"config": {"Healthcheck": {"Test": ["CMD"], "Interval": 9223372036854775808}}}',
     b'{"config": {"Env": ["A=\\u0000"]}}', b'{"container_config": {"Labels": {"\\u0000": ""}}}',
     b'{"container_config": {"Cmd": 5}}', b'{"comment": []}',
     b'{"rootfs": {"diff_ids": ["sha256:../../x"]}}', b"\xff\xfe",
     json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64] * 501}}).encode(),
     pytest.param(b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep"),
     pytest.param(b'{"config": {"Volumes": {"v": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}}", id="deep volume")],
)  # fmt: skip
def test_what_is_no_configuration(raw: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_config(raw)


_NULLS = st.fixed_dictionaries(
    {},
    optional={
        name: st.none()
        for name in ("Env", "Cmd", "Entrypoint", "ExposedPorts", "Volumes", "Labels", "OnBuild", "Shell", "Healthcheck",
                     "User", "WorkingDir", "StopSignal", "Hostname", "Tty", "StopTimeout", "ArgsEscaped")
    },
)  # fmt: skip


@given(_NULLS)
def test_null_is_nothing(settings: dict[str, None]) -> None:
    raw = json.dumps({"config": settings, "created": None, "os": None, "rootfs": None, "history": None}).encode()

    assert replace(parse_config(raw), raw=b"") == ImageConfig(raw=b"")
