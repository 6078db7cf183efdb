"""libnftables in this process."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealane.linux.nft import Nft


@pytest.fixture
def nft(ns: Path) -> Iterator[Nft]:
    with Nft.open_in(ns) as context:
        yield context


def listed(ns: Path) -> str:
    command = ["nsenter", f"--net={ns}", "nft", "list", "ruleset"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_what_is_run_is_there_and_only_in_its_namespace(ns: Path, other: Path, nft: Nft) -> None:
    nft.run("table inet one {\n\tset ports {\n\t\ttype inet_service\n\t\telements = { 80, 443 }\n\t}\n}")
    assert "elements = { 80, 443 }" in listed(ns)
    assert listed(other) == ""


def test_a_transaction_is_done_whole_or_not_at_all(ns: Path, nft: Nft) -> None:
    nft.run("add table inet one")
    with pytest.raises(OSError, match="No such file or directory") as caught:
        nft.run("add table inet two\nadd element inet one nosuch { 1 }")
    assert caught.value.errno == errno.ENOENT
    assert "two" not in listed(ns)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("add element inet one m { 1 : 3 }", errno.EEXIST),
        ("delete element inet one m { 9 }", errno.ENOENT),
        ("rubbish", errno.EINVAL),
        ("list table inet nosuch", errno.ENOENT),
    ],
)
def test_refusals_have_numbers(nft: Nft, text: str, number: int) -> None:
    nft.run("table inet one {\n\tmap m {\n\t\ttype inet_service : inet_service\n\t\telements = { 1 : 2 }\n\t}\n}")
    with pytest.raises(OSError, match="nft: ") as caught:
        nft.run(text)
    assert caught.value.errno == number


def test_refusals_do_not_repeat_what_was_asked(nft: Nft) -> None:
    nft.run("add table inet one")
    many = ", ".join(str(number) for number in range(1, 3000))
    with pytest.raises(OSError, match="nft: ") as caught:
        nft.run(f"add element inet one nosuch {{ {many} }}")
    assert len(str(caught.value)) < 300
    nft.run("add table inet two")  # the context goes on


def test_answers_as_json_and_as_text(nft: Nft) -> None:
    nft.run("add table inet one")
    items = json.loads(nft.query_json("list tables"))["nftables"]
    assert [item["table"]["name"] for item in items if "table" in item] == ["one"]
    assert nft.query("list tables") == "table inet one\n"


def test_a_closed_context_says_so(ns: Path) -> None:
    nft = Nft.open_in(ns)
    nft.close()
    nft.close()
    with pytest.raises(OSError, match="closed"):
        nft.run("add table inet one")
