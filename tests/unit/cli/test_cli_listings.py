"""Tables and texts of listings: the shapes that Docker's clients and people's scripts read."""

from __future__ import annotations

import io
from typing import Any

import pytest

from sealane.cli import copy_places, ports_text, reference, subnets, table
from sealane.cli.commands.images import image_rows
from sealane.cli.commands.network_ls import listing as networks
from sealane.cli.commands.network_ls import natural
from sealane.cli.commands.ps import listing as containers
from sealane.cli.environment import labels, pairs
from sealane.cli.failures import Failure
from sealane.cli.keys import DetachWatch, parse_keys
from sealane.cli.output import parse_filters
from sealane.cli.pulling import progress_text, show
from sealane.cli.usage import cpu_percent, usage_of

CONTAINER = {
    "Id": "709f8a" + "0" * 58, "Names": ["/srv1", "/srv2/link"], "Image": "busybox", "ImageID": "sha256:" + "1" * 64,
    "Command": "sh -c 'echo out; echo err'", "Created": 1_000_000, "State": "running", "Status": "Up 5 minutes",
    "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
    "Labels": {"b": "2", "a": "1"}, "Mounts": [{"Type": "volume", "Name": "v" * 20, "Driver": "local"}],
    "NetworkSettings": {"Networks": {"my-net": {}}},
}  # fmt: skip


def test_the_table_of_containers() -> None:
    lines = containers(1_000_120.0, whole=False, sized=True).show([{**CONTAINER, "Ports": []}], "").splitlines()

    assert lines == [
        "CONTAINER ID   IMAGE     COMMAND                  CREATED         STATUS         PORTS     NAMES     SIZE",
        '709f8a000000   busybox   "sh -c \'echo out; ec…"   2 minutes ago   Up 5 minutes             srv1      0B',
    ]


def test_nothing_is_cut_with_no_trunc() -> None:
    shown = containers(1_000_090.0, whole=True, sized=False)

    assert shown.show([CONTAINER], "{{.ID}} {{.Command}} {{.Names}} {{.Mounts}}") == (
        f"{CONTAINER['Id']} \"sh -c 'echo out; echo err'\" srv1,srv2/link {'v' * 20}\n"
    )


def test_formats_of_a_listing() -> None:
    shown = containers(1_000_090.0, whole=False, sized=False)

    assert shown.show([CONTAINER], 'table {{.Names}}\\t{{.Label "com.x.a-b"}}') == "NAMES     a b\nsrv1      \n"
    assert shown.show([CONTAINER], "{{.Labels}}|{{.Mounts}}|{{.LocalVolumes}}|{{.Platform}}") == (
        f"a=1,b=2|{'v' * 14}…|1|<nil>\n"
    )
    assert '"Ports":"0.0.0.0:8080-\\u003e80/tcp"' in shown.show([CONTAINER], "json")
    assert shown.show([CONTAINER], "raw").startswith("container_id: 709f8a000000\nimage: busybox\n")
    assert shown.show([], "table") == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    assert shown.show([], "{{.ID}}") == ""


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{{", "failed to parse template: template: :1: unclosed action"),
        ("{{.Foo}}", "failed to execute template: template: :1:2: executing"),
    ],
)
def test_a_bad_format_is_refused_even_without_rows(form: str, message: str) -> None:
    with pytest.raises(Failure) as caught:
        containers(0.0, whole=False, sized=False).show([], form)

    assert caught.value.message.startswith(message)


def test_the_table_of_networks() -> None:
    made = {"Id": "a" * 64, "Name": "net", "Driver": "bridge", "Scope": "local", "Labels": None,
            "Created": "2026-11-24T15:06:38.130534892+01:00", "EnableIPv6": True}  # fmt: skip

    assert networks(whole=False).show([made], "") == (
        "NETWORK ID     NAME      DRIVER    SCOPE\naaaaaaaaaaaa   net       bridge    local\n"
    )
    assert networks(whole=False).show([made], "{{.CreatedAt}} {{.IPv6}} {{.IPv4}} {{.Labels}}|") == (
        "2026-11-24 15:06:38.130534892 +0100 +0100 true false |\n"
    )


def test_names_are_sorted_as_people_count() -> None:
    names = ["net10", "net9", "net", "net-2", "Net", "net9a"]

    assert sorted(names, key=natural) == ["Net", "net", "net9", "net9a", "net10", "net-2"]


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([(80, 0, "", "tcp")], "80/tcp"),
        ([(80, 80, "0.0.0.0", "tcp"), (81, 81, "0.0.0.0", "tcp")], "0.0.0.0:80-81->80-81/tcp"),
        ([(80, 8080, "0.0.0.0", "tcp"), (80, 8080, "::", "tcp")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([(90, 0, "", "udp"), (80, 0, "", "tcp"), (81, 0, "", "tcp"), (83, 0, "", "tcp")], "80-81/tcp, 83/tcp, 90/udp"),
    ],
)
def test_ports(ports: list[tuple[int, int, str, str]], text: str) -> None:
    keys = ("PrivatePort", "PublicPort", "IP", "Type")

    assert ports_text.ports_text(dict(zip(keys, port, strict=True)) for port in ports) == text


def rows(image: dict[str, Any], *, digests: bool = False) -> list[tuple[str, str, str]]:
    return [(row["repository"], row["tag"], row["digest"]) for row in image_rows(image, digests=digests)]


def test_one_row_for_each_name_of_an_image() -> None:
    digest = "sha256:" + "2" * 64
    image = {"RepoTags": ["a:1", "127.0.0.1:5000/b:2"], "RepoDigests": [f"a@{digest}", f"c@{digest}"]}

    assert rows(image) == [("a", "1", "<none>"), ("127.0.0.1:5000/b", "2", "<none>"), ("c", "<none>", "<none>")]
    assert rows(image, digests=True)[0] == ("a", "1", digest)
    assert rows({"RepoTags": None, "RepoDigests": None}) == [("<none>", "<none>", "<none>")]


def test_columns_are_ten_wide_at_least() -> None:
    assert table.align([["A", "B"], ["longer than ten", "x"]]) == "A                 B\nlonger than ten   x\n"
    assert table.align_text("A\tB") == "A         B\n"
    assert (table.ellipsis("abcdef", 3), table.ellipsis("abc", 3)) == ("ab…", "abc")


def test_filters_gather_by_name() -> None:
    assert parse_filters(["name=a", "Label = x=1", "name=b"]) == {"name": ["a", "b"], "label": ["x=1"]}


def test_pairs_and_labels() -> None:
    assert pairs(["a=b=c", "d"]) == {"a": "b=c", "d": ""}
    assert labels((), ["a", "b=1", "b=2"]) == {"a": "", "b": "2"}


@pytest.mark.parametrize(
    ("name", "familiar", "full", "host"),
    [
        ("busybox", "busybox:latest", "docker.io/library/busybox", "docker.io"),
        ("docker.io/library/busybox:1", "busybox:1", "docker.io/library/busybox:1", "docker.io"),
        ("user/app", "user/app:latest", "docker.io/user/app", "docker.io"),
        ("localhost/app", "localhost/app:latest", "localhost/app", "localhost"),
        ("127.0.0.1:5000/app:x", "127.0.0.1:5000/app:x", "127.0.0.1:5000/app:x", "127.0.0.1:5000"),
        ("Box/app", "Box/app:latest", "Box/app", "Box"),
        ("a@sha256:" + "0" * 64, "a@sha256:" + "0" * 64, "docker.io/library/a@sha256:" + "0" * 64, "docker.io"),
    ],
)
def test_names_of_images(name: str, familiar: str, full: str, host: str) -> None:
    reference.check(name)

    assert (reference.familiar(name), reference.full(name), reference.registry(name)) == (familiar, full, host)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BUSYBOX", "invalid reference format: repository name (library/BUSYBOX) must be lowercase"),
        ("/foo", "invalid reference format"), ("foo:", "invalid reference format"), ("", "invalid reference format"),
        ("foo@sha256:abc", "invalid reference format"), ("a//b", "invalid reference format"),
        ("a___b", "invalid reference format"), ("-a", "invalid reference format"), ("a b", "invalid reference format"),
        ("a:" + "x" * 129, "invalid reference format"),
        ("a" * 256, "repository name must not be more than 255 characters"),
    ],
)  # fmt: skip
def test_what_is_no_name_of_an_image(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^.") as caught:
        reference.check(name)

    assert str(caught.value) == message


def test_what_belongs_to_which_subnet() -> None:
    kept = {"a": "10.1.0.5"}
    made = subnets.assign(["10.1.0.0/16", "fd00::/64"], ["10.1.2.0/24"], ["fd00::1", "10.1.0.9"], kept)

    assert made == [
        {"Subnet": "10.1.0.0/16", "IPRange": "10.1.2.0/24", "Gateway": "10.1.0.9", "AuxiliaryAddresses": kept},
        {"Subnet": "fd00::/64", "Gateway": "fd00::1", "AuxiliaryAddresses": {}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["10.1.0.0/16"], [], ["11.0.0.1"], {}), "no matching subnet for gateway 11.0.0.1"),
        ((["10.1.0.0/16"], [], ["x"], {}), "no matching subnet for gateway x"),
        ((["10.1.0.0/16"], ["10.2.0.0/16"], [], {}), "no matching subnet for range 10.2.0.0/16"),
        ((["10.1.0.0/16"], ["x"], [], {}), "invalid CIDR address: x"),
        ((["10.1.0.0/16"], [], [], {"a": "10.2.0.1"}), "no matching subnet for aux-address 10.2.0.1"),
        ((["10.1.0.0/16", "10.1.2.0/24"], [], [], {}), "multiple overlapping subnet configuration is not supported"),
    ],
)
def test_what_fits_no_subnet(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        subnets.assign(*arguments)


def test_detach_keys() -> None:
    assert parse_keys("") == b"\x10\x11"
    assert parse_keys("ctrl-a,x,ctrl-[") == b"\x01x\x1b"
    with pytest.raises(ValueError, match="invalid detach keys"):
        parse_keys("ctrl-1")


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ls\x10\x11more"], b"ls", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"\x10x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x10", b"x\x10\x11"], b"\x10x", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_watching_for_the_detach_keys(typed: list[bytes], passed: bytes, detached: bool) -> None:
    watch = DetachWatch(parse_keys(""))

    assert b"".join(map(watch.feed, typed)) == passed
    assert watch.detached == detached


@pytest.mark.parametrize(
    ("is_folder", "target", "kind", "place"),
    [
        (False, "/o", "", ("/", "o")),
        (False, "/ex", "folder", ("/ex", "")),
        (False, "/exf", "file", ("/", "exf")),
        (True, "/o", "", ("/", "o")),
        (True, "/o/", "", ("/", "o")),
        (True, "/ex/.", "folder", ("/ex/.", "")),
    ],
)
def test_where_copies_go(is_folder: bool, target: str, kind: str, place: tuple[str, str]) -> None:
    assert copy_places.place(is_folder, target, kind) == place


def test_copies_that_cannot_be() -> None:
    with pytest.raises(Failure, match="cannot copy directory"):
        copy_places.place(True, "/exf", "file")
    with pytest.raises(Failure, match="no such directory"):
        copy_places.place(False, "/o/", "")
    with pytest.raises(Failure, match="no such directory"):
        copy_places.place(False, "", "")


def test_paths_of_copies() -> None:
    assert copy_places.split("/a/b/.") == ("/a/b", ".")
    assert copy_places.split("/") == ("/", "/")
    assert copy_places.split("a/") == (".", "a")
    assert copy_places.keep_ending("/x", "y/.") == "/x/."
    assert copy_places.keep_ending("/x", "y/") == "/x/"
    assert copy_places.join_link("/a/l", "b") == "/a/b"
    assert copy_places.join_link("/a/l", "/b") == "/b"


def sample(spent: int, passed: int) -> dict[str, Any]:
    return {
        "id": "1" * 64, "name": "/srv1",
        "memory_stats": {"usage": 2048, "limit": 4096, "stats": {"inactive_file": 1024}},
        "cpu_stats": {"cpu_usage": {"total_usage": spent}, "system_cpu_usage": passed, "online_cpus": 2},
        "precpu_stats": {"cpu_usage": {"total_usage": 0}, "system_cpu_usage": 0}, "pids_stats": {"current": 3},
        "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 1}, "eth1": {"rx_bytes": 500, "tx_bytes": 1}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 7}, {"op": "write", "value": 9}]},
    }  # fmt: skip


def test_what_a_container_uses() -> None:
    assert usage_of(sample(50, 100)) == {
        "id": "1" * 64, "name": "srv1", "cpu": "100.00%", "memory": "1KiB / 4KiB", "memory_percent": "25.00%",
        "network": "1.5kB / 2B", "block": "7B / 9B", "pids": "3",
    }  # fmt: skip
    assert usage_of(None)["cpu"] == "--"
    assert cpu_percent(sample(0, 0)) == 0.0


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


PULL = (
    {"status": "Pulling from library/x", "id": "latest"},
    {"status": "Pulling fs layer", "id": "a1"},
    {"status": "Downloading", "id": "a1", "progressDetail": {"current": 1_500_000, "total": 3_000_000}},
    {"status": "Pull complete", "id": "a1"},
    {"status": "Digest: sha256:00"},
)


def test_a_pull_is_told_line_by_line_into_a_file() -> None:
    out = io.StringIO()
    show(PULL, out)

    assert out.getvalue().splitlines() == [
        "latest: Pulling from library/x", "a1: Pulling fs layer", "a1: Pull complete", "Digest: sha256:00",
    ]  # fmt: skip


def test_a_pull_is_drawn_on_a_terminal() -> None:
    """A line for each layer, painted over; no line is longer than the terminal is wide."""
    out = Screen()
    show(PULL, out)

    assert out.getvalue() == (
        "latest: Pulling from library/x\n"
        "\n\x1b[1A\x1b[2K\ra1: Pulling fs layer\r\x1b[1B"
        "\x1b[1A\x1b[2K\ra1: Downloading    1.5MB/3MB\r\x1b[1B"
        "\x1b[1A\x1b[2K\ra1: Pull complete\r\x1b[1B"
        "Digest: sha256:00\n"
    )


def test_a_bar_where_there_is_room() -> None:
    assert progress_text(PULL[2]) == f"[{'=' * 25}>{' ' * 24}]    1.5MB/3MB"
    assert progress_text({"progressDetail": {"current": 1000}}) == "     1kB"
    assert progress_text({"progressDetail": {}}) == ""


def test_a_pull_that_fails_says_why() -> None:
    with pytest.raises(Failure, match="manifest unknown"):
        show([{"errorDetail": {"message": "manifest unknown"}, "error": "x"}], io.StringIO())
