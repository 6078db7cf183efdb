"""Kernel parameters of a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.linux.eyes import ip
from sealane.linux import sysctl


def test_a_value_belongs_to_its_namespace(ns: Path, other: Path) -> None:
    sysctl.put("net.ipv4.ip_forward", "1", ns)
    sysctl.put("net.ipv4.ip_forward", "0", other)
    assert (sysctl.get("net.ipv4.ip_forward", ns), sysctl.get("net.ipv4.ip_forward", other)) == ("1", "0")


def test_interface_names_with_dots(ns: Path) -> None:
    ip(ns, "link add eth0.100 type bridge")
    sysctl.put("net.ipv4.conf.eth0/100.forwarding", "1", ns)
    assert sysctl.get("net.ipv4.conf.eth0/100.forwarding", ns) == "1"
    assert str(sysctl.path_of("net.ipv4.conf.eth0/100.forwarding")) == "/proc/sys/net/ipv4/conf/eth0.100/forwarding"


def test_several_values_are_written_in_order_up_to_the_first_refusal(ns: Path) -> None:
    keys = ("net.ipv4.conf.lo.arp_notify", "net.ipv4.conf.nosuch.arp_notify", "net.ipv4.conf.lo.route_localnet")
    with pytest.raises(FileNotFoundError, match="nosuch"):
        sysctl.put_all([(key, "1") for key in keys], ns)
    assert [sysctl.get(key, ns) for key in (keys[0], keys[2])] == ["1", "0"]


def test_a_value_that_the_kernel_does_not_take(ns: Path) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        sysctl.put("net.ipv4.ip_forward", "rubbish", ns)
