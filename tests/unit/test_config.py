"""The configuration file: the shipped one documents every key with its default; anything else is refused by name."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from sealane.config import Config, parse_config
from sealane.errors import InvalidArgument

SHIPPED = (Path(__file__).parents[2] / "packaging" / "sealane.toml").read_text(encoding="utf-8")


def test_the_shipped_file_says_the_defaults() -> None:
    assert parse_config(SHIPPED, "sealane.toml") == Config()


def test_the_shipped_file_has_every_key_with_a_comment() -> None:
    keys = [key for table in tomllib.loads(SHIPPED).values() for key in table]
    lines = SHIPPED.splitlines()

    assert len(keys) == len(fields(Config))
    for key in keys:
        number = next(n for n, line in enumerate(lines) if line.startswith(f"{key} = "))
        before = lines[number - 1]
        assert before.startswith("# ") or before.partition(" = ")[0] in keys, f"{key} is not explained"


def test_a_value_replaces_the_default() -> None:
    text = '[network]\nbridge-subnet = "10.1.0.0/16"\npools = [{ base = "10.9.0.0/16", size = 24 }]\n[dns]\nttl = 3\n'
    config = parse_config(text, "x")

    assert (config.bridge_subnet, config.dns_ttl) == (ip_network("10.1.0.0/16"), 3)
    assert config.pools == ((ip_network("10.9.0.0/16"), 24),)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[engine\n", "x: not valid TOML"),
        ("[motor]\n", "x: unknown key 'motor'"),
        ("root = 1\n", "x: unknown key 'root'"),
        ('[engine]\nroots = "/x"\n', "x: unknown key engine.roots"),
        ('[engine]\nroot = "here"\n', "x: bad value of engine.root: it should be an absolute path"),
        ("[engine]\nroot = 1\n", "x: bad value of engine.root: it should be a string"),
        ('[engine]\nlog-level = "loud"\n', "x: bad value of engine.log-level: it should be one of debug"),
        ("[containers]\nshm-size = -1\n", "x: bad value of containers.shm-size"),
        ("[containers]\nstop-timeout = true\n", "x: bad value of containers.stop-timeout"),
        ("[network]\nbridge-ipv6 = 1\n", "x: bad value of network.bridge-ipv6: it should be true or false"),
        ('[network]\nbridge-subnet = "10.0.0.5/24"\n', "x: bad value of network.bridge-subnet"),
        ('[network]\npools = [{ base = "10.0.0.0/16", size = 8 }]\n', "size 8 does not lie within 10.0.0.0/16"),
        ('[dns]\nservers = ["nowhere"]\n', "x: bad value of dns.servers"),
        ("[registries]\nmirrors = [5]\n", "x: bad value of registries.mirrors: it should be a list of strings"),
    ],
)
def test_an_error_names_the_key_and_the_reason(text: str, named: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_config(text, "x")

    assert named in str(caught.value)


def test_a_second_engine_has_names_of_its_own() -> None:
    first, second, third = Config(), Config(run_dir=Path("/run/other")), Config(run_dir=Path("/run/third"))

    assert (first.bridge, first.table) == ("sealane0", "sealane")
    assert len({first.bridge, second.bridge, third.bridge}) == 3
    assert len({first.table, second.table, third.table}) == 3
    assert all(len(config.bridge) <= 15 for config in (first, second, third))
