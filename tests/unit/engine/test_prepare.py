"""A request and an image's configuration, merged as Docker does (its answers were taken from Docker Engine 26.1)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.engine.model import ContainerRequest, HealthCheck, MountKind, MountPoint, MountRequest, PortBinding
from sealane.engine.prepare import (
    check_name,
    clean_target,
    merge_env,
    merge_health,
    merge_process,
    process_env,
    settle_mounts,
)
from sealane.engine.records import MountRecord, ProcessRecord
from sealane.errors import InvalidArgument
from sealane.values import ContainerId, ContainerPort
from unit.engine.making import identifier, process

Words = tuple[str, ...]


@dataclass(frozen=True)
class Image:
    entrypoint: Words | None = None
    cmd: Words | None = None
    env: Words = ()
    working_dir: str = ""
    user: str = ""
    exposed_ports: Words = ()
    volumes: Words = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""


def merged(image: Image | None = None, shared: str = "", **request: Any) -> ProcessRecord:
    asked = ContainerRequest(image="bb", **request)
    return merge_process(asked, image or Image(cmd=("sh",)), ContainerId(identifier(0xABC)), None, shared)


# what is run


@pytest.mark.parametrize(
    ("image", "entrypoint", "command", "argv"),
    [
        ((None, ("sh",)), None, None, "sh"),
        ((None, ("sh",)), None, ("ls", "-l"), "ls -l"),
        ((("echo", "ep"), ("hi",)), None, None, "echo ep hi"),
        ((("echo", "ep"), ("hi",)), None, ("there",), "echo ep there"),
        ((("echo", "ep"), ("hi",)), None, (), "echo ep hi"),  # an empty list of words is none
        ((("echo", "ep"), ("hi",)), ("/bin/ls",), None, "/bin/ls"),  # an own entrypoint drops the image's command
        ((("echo", "ep"), ("hi",)), ("/bin/ls",), ("-l",), "/bin/ls -l"),
        ((("echo", "ep"), ("hi",)), ("",), ("env",), "env"),  # --entrypoint "" clears the image's
        ((("echo", "ep"), ("hi",)), (), None, "hi"),
        ((("echo", "ep"), ("hi",)), (), ("x",), "x"),
        ((("echo",), None), None, None, "echo"),
    ],
)
def test_entrypoint_and_command(
    image: tuple[Words | None, Words | None], entrypoint: Words | None, command: Words | None, argv: str
) -> None:
    found = merged(Image(*image), entrypoint=entrypoint, command=command)

    assert " ".join((found.path, *found.args)) == argv


@pytest.mark.parametrize(
    ("image", "entrypoint", "command"),
    [
        ((None, None), None, None),
        ((None, ()), None, None),
        ((("echo", "ep"), ("hi",)), ("",), None),
        ((("echo", "ep"), ("hi",)), ("",), ()),
        ((None, None), None, ("",)),
    ],
)
def test_nothing_to_run(
    image: tuple[Words | None, Words | None], entrypoint: Words | None, command: Words | None
) -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        merged(Image(*image), entrypoint=entrypoint, command=command)


@pytest.mark.parametrize(
    ("entrypoint", "command", "shown"),
    [
        (None, ("x",), (("echo", "ep"), ("x",))),
        (("",), ("env",), (None, ("env",))),
        (("/bin/ls",), None, (("/bin/ls",), None)),
    ],
)
def test_what_inspect_shows_of_them(entrypoint: Words | None, command: Words | None, shown: object) -> None:
    found = merged(Image(("echo", "ep"), ("hi",)), entrypoint=entrypoint, command=command)

    assert (found.entrypoint, found.command) == shown


def test_the_rest_of_the_image() -> None:
    image = Image(
        cmd=("sh",), working_dir="/srv", user="www", exposed_ports=("80/tcp", "53/udp"), labels={"a": "1", "b": "2"},
        stop_signal="SIGINT",
    )  # fmt: skip
    found = merged(image)

    assert (found.working_dir, found.user, found.stop_signal) == ("/srv", "www", "SIGINT")
    assert list(map(str, found.exposed_ports)) == ["53/udp", "80/tcp"]
    assert found.labels == {"a": "1", "b": "2"}


def test_the_request_wins_over_the_image() -> None:
    image = Image(
        cmd=("sh",), working_dir="/srv", user="www", exposed_ports=("80/tcp",), labels={"a": "1", "b": "2"},
        stop_signal="SIGINT",
    )  # fmt: skip
    found = merged(
        image,
        working_dir="/x",
        user="0",
        exposed_ports=(ContainerPort(81),),
        port_bindings=(PortBinding(ContainerPort(82), "", "8082"), PortBinding(ContainerPort(80))),
        labels={"b": "3", "c": ""},
        stop_signal="9",
    )

    assert (found.working_dir, found.user, found.stop_signal) == ("/x", "0", "9")
    assert list(map(str, found.exposed_ports)) == ["80/tcp", "81/tcp", "82/tcp"]
    assert found.labels == {"a": "1", "b": "3", "c": ""}


@pytest.mark.parametrize(
    ("asked", "shared", "hostname"),
    [("ha", "", "ha"), ("", "", "000000000abc"), ("", "peer", "peer"), ("ha", "peer", "ha")],
)
def test_the_hostname(asked: str, shared: str, hostname: str) -> None:
    assert merged(shared=shared, hostname=asked).hostname == hostname


# the environment


def test_own_variables_replace_the_images_by_name() -> None:
    assert merge_env(("PATH=/x", "A=1", "B=2"), ("B=3", "C=4")) == ("PATH=/x", "A=1", "B=3", "C=4")


def test_a_name_alone_takes_the_images_away() -> None:
    assert merge_env(("A=1", "B=2"), ("A", "Z")) == ("B=2",)


def test_a_value_may_hold_anything() -> None:
    assert merge_env((), ("A=b=c", "E=", "L=a\nb")) == ("A=b=c", "E=", "L=a\nb")


ENTRIES = st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(["", "1", "x=y"])).map("=".join), max_size=8)


@given(ENTRIES, ENTRIES)
def test_the_last_word_on_a_name_counts(base: list[str], own: list[str]) -> None:
    last = {entry.partition("=")[0]: entry for entry in (*base, *own)}

    assert sorted(merge_env(base, own)) == sorted(last.values())


def test_what_every_process_gets() -> None:
    assert process_env(process(hostname="ha"), tty=True, home="/root") == (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=ha",
        "TERM=xterm",
        "HOME=/root",
    )


def test_the_containers_own_come_over_that() -> None:
    own = process(hostname="ha", env=("PATH=/x:/bin", "FOO=1", "HOME=/home", "TERM=vt100"))

    assert process_env(own, tty=True, home="/root") == (
        "PATH=/x:/bin",
        "HOSTNAME=ha",
        "TERM=vt100",
        "FOO=1",
        "HOME=/home",
    )
    assert "TERM" not in str(process_env(process(), tty=False, home="/"))


# health checks


IMAGES = HealthCheck(test=("CMD", "a"), interval_ns=1, timeout_ns=2, start_period_ns=3, start_interval_ns=4, retries=5)


@pytest.mark.parametrize(
    ("own", "image", "result"),
    [
        (None, None, None),
        (None, IMAGES, IMAGES),
        (HealthCheck(test=("CMD", "b")), None, HealthCheck(test=("CMD", "b"))),
        (HealthCheck(), None, None),
        (HealthCheck(), IMAGES, IMAGES),
        (
            HealthCheck(test=("CMD", "b"), retries=9),
            IMAGES,
            HealthCheck(
                test=("CMD", "b"), interval_ns=1, timeout_ns=2, start_period_ns=3, start_interval_ns=4, retries=9
            ),
        ),
        (
            HealthCheck(interval_ns=7),
            IMAGES,
            HealthCheck(
                test=("CMD", "a"), interval_ns=7, timeout_ns=2, start_period_ns=3, start_interval_ns=4, retries=5
            ),
        ),
    ],
)
def test_an_own_check_wins_field_by_field(
    own: HealthCheck | None, image: HealthCheck | None, result: HealthCheck | None
) -> None:
    assert merge_health(own, image) == result


def test_none_switches_the_images_check_off() -> None:
    found = merge_health(HealthCheck(test=("NONE",)), IMAGES)

    assert found is not None
    assert found.test == ("NONE",)


# names


@pytest.mark.parametrize("name", ["web", "/web", "a1", "A.b-c_d", "0x"])
def test_a_good_name(name: str) -> None:
    assert check_name(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["", "/", "a", "-a", ".a", "_a", "a b", "a/b", "//ab", "ä1", "ab\n", "ab\0"])
def test_a_bad_name_is_named(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_name(name)
    assert caught.value.message == (f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


# mounts


@pytest.mark.parametrize(
    ("text", "clean"),
    [("/a", "/a"), ("/a/", "/a"), ("//a//b", "/a/b"), ("/a/./b/../c", "/a/c"), ("/../a", "/a")],
)
def test_a_target_is_normalised(text: str, clean: str) -> None:
    assert clean_target(text) == clean


@pytest.mark.parametrize("text", ["a", "", "./a", "/", "//", "/..", "/a/.."])
def test_a_bad_target_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        clean_target(text)


def settled(
    *mounts: MountRequest, image: Words = (), inherited: tuple[MountRecord, ...] = ()
) -> tuple[MountRecord, ...]:
    numbers = itertools.count(1)
    return settle_mounts(
        ContainerRequest(image="bb", mounts=mounts),
        image,
        inherited,
        lambda name: Path("/volumes") / name / "_data",
        lambda: f"new{next(numbers)}",
    )


def volume(target: str, name: str = "", **more: Any) -> MountRequest:
    return MountRequest(kind=MountKind.VOLUME, target=target, source=name, **more)


def test_a_named_volume() -> None:
    (record,) = settled(volume("/data/", "vol"))

    assert record.point == MountPoint(
        kind=MountKind.VOLUME, name="vol", source="/volumes/vol/_data", destination="/data", driver="local", mode="z"
    )


def test_an_anonymous_volume_gets_a_name() -> None:
    (record,) = settled(volume("/data"))

    assert (record.point.name, record.point.source, record.point.mode) == ("new1", "/volumes/new1/_data", "")


def test_a_bind() -> None:
    (record,) = settled(MountRequest(kind=MountKind.BIND, target="/x", source="/a/../b", read_only=True, mode="ro"))

    assert record.point == MountPoint(
        kind=MountKind.BIND, source="/b", destination="/x", mode="ro", read_write=False, propagation="rprivate"
    )


def test_a_relative_bind_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="mount path must be absolute"):
        settled(MountRequest(kind=MountKind.BIND, target="/x", source="b"))


def test_the_images_volumes_are_anonymous_unless_something_is_mounted_there() -> None:
    records = settled(volume("/data", "vol"), image=("/data/", "/log"))

    assert [(r.point.destination, r.point.name) for r in records] == [("/data", "vol"), ("/log", "new1")]


def test_two_own_mounts_at_one_place_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"^Duplicate mount point: /data$"):
        settled(volume("/data"), volume("/data/"))


def test_own_mounts_win_over_inherited_and_those_over_the_images() -> None:
    inherited = settled(volume("/a", "old-a"), volume("/b", "old-b"))
    records = settled(volume("/a", "mine"), inherited=inherited, image=("/b", "/c"))

    assert {r.point.destination: r.point.name for r in records} == {"/a": "mine", "/b": "old-b", "/c": "new1"}


def test_a_parent_is_mounted_before_what_lies_in_it() -> None:
    records = settled(volume("/a/b/c"), volume("/a"), volume("/a/b"), image=("/z/z",))

    assert [r.point.destination for r in records] == ["/a", "/a/b", "/z/z", "/a/b/c"]
