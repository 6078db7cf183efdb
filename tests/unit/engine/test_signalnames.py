"""Signals as Docker reads them: every line was asked of Docker Engine 26.1 (POST /containers/ID/kill?signal=…)."""

from __future__ import annotations

import pytest

from sealane.engine.signalnames import parse_signal
from sealane.errors import InvalidArgument

TAKEN = (
    "1 1, 64 64, term 15, Term 15, SIGterm 15, sigterm 15, RTMIN 34, RTMIN+1 35, RTMIN+15 49, SIGRTMIN+3 37, "
    "rtmin+2 36, RTMAX 64, RTMAX-1 63, RTMAX-14 50, CLD 17, CHLD 17, IOT 6, ABRT 6, POLL 29, IO 29, STKFLT 16, PWR 30, "
    "SYS 31, URG 23, WINCH 28, TTOU 22, KILL 9, HUP 1"
)
REFUSED = (
    "0", "15x", "SIGSIGTERM", "RTMIN+0", "RTMIN+16", "RTMIN-1", "RTMAX+1", "RTMAX-15", "UNUSED", "INFO", "LOST", "EMT",
    "", "SIG", "١٥", "RTMIN+1\n", "9" * 40,
)  # fmt: skip


@pytest.mark.parametrize(("text", "number"), [pair.split() for pair in TAKEN.split(", ")])
def test_a_name_or_a_number(text: str, number: str) -> None:
    assert parse_signal(text) == int(number)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_signal_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_signal(text)

    assert caught.value.message == f"invalid signal: {text}"


@pytest.mark.parametrize("text", ["-1", "65", "99"])
def test_a_number_that_linux_does_not_have(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^the linux daemon does not support signal {text}$"):
        parse_signal(text)
