"""The relay's messages and its command line."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from sealane.relay.messages import Listener, listener_from_json, listener_to_json
from sealane.relay.server import Arguments, parse_arguments
from sealane.values import Transport


@pytest.mark.parametrize(
    ("listener", "text"),
    [
        (Listener(IPv6Address("::1"), 8080, Transport.TCP, (IPv4Address("172.18.0.2"), 80)), "[::1]:8080/tcp"),
        (Listener(IPv4Address("0.0.0.0"), 53, Transport.UDP, None), "0.0.0.0:53/udp"),
    ],
)
def test_listeners_travel(listener: Listener, text: str) -> None:
    assert listener_from_json(listener_to_json(listener)) == listener
    assert str(listener) == text


def test_the_same_place_with_another_target() -> None:
    one = Listener(IPv6Address("::1"), 8080, Transport.TCP, None)
    assert one.same_place(Listener(IPv6Address("::1"), 8080, Transport.TCP, (IPv4Address("10.0.0.1"), 1)))
    assert not one.same_place(Listener(IPv6Address("::1"), 8080, Transport.UDP, None))


def test_command_line() -> None:
    words = ["--socket", "/run/x", "--udp-idle", "1.5", "--detach"]
    assert parse_arguments(words) == Arguments(Path("/run/x"), udp_idle_s=1.5, detach=True)
    for bad in (["--sokcet", "x"], [], ["--socket", "/x", "--linger", "long"]):
        with pytest.raises(ValueError, match=r"unknown argument|missing|could not convert"):
            parse_arguments(bad)
