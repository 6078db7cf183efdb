"""Driver options: Docker's text keys to typed values, Docker's words for what cannot be read."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from sealane.errors import Internal, InvalidArgument
from sealane.network import options as opts
from sealane.network.spec import BridgeOptions, GatewayMode, MacvlanOptions, NetworkRequest
from sealane.values import IfName, NetworkId

BRIDGE = opts.BRIDGE
ID = NetworkId("0123456789abcdef" * 4)


def test_without_options_a_bridge_network_is_as_dockers() -> None:
    assert opts.parse_bridge({}, ID) == BridgeOptions(bridge_name=IfName("sl-0123456789ab"))


def test_every_option_of_a_bridge_network() -> None:
    parsed = opts.parse_bridge(
        {
            BRIDGE + "name": "mine0",
            BRIDGE + "enable_icc": "false",
            BRIDGE + "enable_ip_masquerade": "0",
            BRIDGE + "host_binding_ipv4": "127.0.0.1",
            BRIDGE + "gateway_mode_ipv4": "routed",
            BRIDGE + "gateway_mode_ipv6": "nat-unprotected",
            BRIDGE + "inhibit_ipv4": "T",
            BRIDGE + "trusted_host_interfaces": "eth0:eth1",
            BRIDGE + "default_bridge": "true",
            opts.HOST_IPV4: "192.0.2.1",
            opts.HOST_IPV6: "2001:db8::1",
            opts.MTU: "1400",
            opts.IFACE_PREFIX: "net",
            "somebody.elses": "option",
        },
        ID,
    )
    assert parsed == BridgeOptions(
        bridge_name=IfName("mine0"),
        icc=False,
        masquerade=False,
        host_binding=IPv4Address("127.0.0.1"),
        gateway_mode_ipv4=GatewayMode.ROUTED,
        gateway_mode_ipv6=GatewayMode.NAT_UNPROTECTED,
        inhibit_ipv4=True,
        trusted_host_interfaces=(IfName("eth0"), IfName("eth1")),
        default_bridge=True,
        host_ipv4=IPv4Address("192.0.2.1"),
        host_ipv6=IPv6Address("2001:db8::1"),
        mtu=1400,
        iface_prefix="net",
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            BRIDGE + "enable_icc",
            "maybe",
            f'failed to parse {BRIDGE}enable_icc value: maybe (strconv.ParseBool: parsing "maybe": invalid syntax)',
        ),
        (opts.MTU, "abc", f'failed to parse {opts.MTU} value: abc (strconv.Atoi: parsing "abc": invalid syntax)'),
        (opts.MTU, "١٢", f'failed to parse {opts.MTU} value: ١٢ (strconv.Atoi: parsing "١٢": invalid syntax)'),
        (opts.MTU, "-5", "invalid MTU number: -5"),
        (opts.MTU, "70000", "invalid MTU number: 70000"),
        (BRIDGE + "host_binding_ipv4", "x", f"failed to parse {BRIDGE}host_binding_ipv4 value: x (nil ip)"),
        (
            BRIDGE + "gateway_mode_ipv4",
            "wild",
            f"failed to parse {BRIDGE}gateway_mode_ipv4 value: wild (unknown gateway mode wild)",
        ),
        (opts.HOST_IPV4, "x", f"failed to parse {opts.HOST_IPV4} value: x (nil ip)"),
        (opts.HOST_IPV4, "fd00::1", f"failed to parse {opts.HOST_IPV4} value: fd00::1 (it should be an IPv4 address)"),
        (opts.HOST_IPV6, "1.2.3.4", f"failed to parse {opts.HOST_IPV6} value: 1.2.3.4 (it should be an IPv6 address)"),
        (
            BRIDGE + "name",
            "waytoolongbridgename",
            "invalid interface name 'waytoolongbridgename': it should be 1 to 15 bytes without blanks, '/' or ':'",
        ),
        (
            opts.IFACE_PREFIX,
            "a/b",
            "invalid interface name 'a/b0': it should be 1 to 15 bytes without blanks, '/' or ':'",
        ),
    ],
)
def test_options_that_cannot_be_read(key: str, value: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        opts.parse_bridge({key: value}, ID)
    assert caught.value.message == words


def test_an_mtu_of_nothing_is_the_kernels() -> None:
    assert opts.parse_bridge({opts.MTU: "0"}, ID).mtu is None


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_what_go_takes_for_true(text: str) -> None:
    assert opts.parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_what_go_takes_for_false(text: str) -> None:
    assert opts.parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "yes", "tRUE", "2", " 1"])
def test_what_go_takes_for_nothing(text: str) -> None:
    assert opts.parse_bool(text) is None


def test_families_by_field_before_option_before_default() -> None:
    assert opts.families(NetworkRequest(name="a")) == (True, False)
    chosen = {opts.ENABLE_IPV4: "false", opts.ENABLE_IPV6: "true"}
    assert opts.families(NetworkRequest(name="a", options=chosen)) == (False, True)
    assert opts.families(NetworkRequest(name="a", ipv4=True, ipv6=False, options=chosen)) == (True, False)
    with pytest.raises(InvalidArgument, match=f'driver-opt "{opts.ENABLE_IPV6}" is not a valid bool'):
        opts.families(NetworkRequest(name="a", options={opts.ENABLE_IPV6: "x"}))


def test_macvlan() -> None:
    assert opts.parse_macvlan({}) == MacvlanOptions(parent=None)
    parsed = opts.parse_macvlan({"parent": "eth0.10", "macvlan_mode": "private", opts.MTU: "9000"})
    assert parsed == MacvlanOptions(parent=IfName("eth0.10"), mode="private", mtu=9000)
    with pytest.raises(InvalidArgument, match="requested macvlan mode 'odd' is not valid, 'bridge' mode is the"):
        opts.parse_macvlan({"macvlan_mode": "odd"})


@pytest.mark.parametrize(
    ("name", "vlan"),
    [("eth0.10", ("eth0", 10)), ("a.b.4094", ("a.b", 4094)), ("eth0", None), ("eth0.0", None), ("eth0.4095", None),
     ("eth0.x", None), (".5", None)],
)  # fmt: skip
def test_a_parent_that_stands_for_a_vlan(name: str, vlan: tuple[str, int] | None) -> None:
    assert opts.vlan_of(IfName(name)) == vlan


def test_isolated_gateways_need_an_internal_network() -> None:
    isolated = opts.parse_bridge({BRIDGE + "gateway_mode_ipv6": "isolated"}, ID)
    opts.check_modes(isolated, internal=True)
    with pytest.raises(Internal, match="gateway mode 'isolated' can only be used for an internal network"):
        opts.check_modes(isolated, internal=False)


def test_sysctls_of_an_endpoint() -> None:
    asked = {opts.ENDPOINT_SYSCTLS: "net.ipv4.conf.IFNAME.log_martians=1, net.ipv6.conf.IFNAME.hop_limit=3"}
    assert opts.endpoint_sysctls(asked, IfName("eth0.1")) == (
        ("net.ipv4.conf.eth0/1.log_martians", "1"),
        ("net.ipv6.conf.eth0/1.hop_limit", "3"),
    )
    assert opts.endpoint_sysctls({}, IfName("eth0")) == ()


@pytest.mark.parametrize(
    "entry",
    ["net.ipv4.conf.eth0.forwarding=1", "kernel.shm.a.IFNAME.b=1", "net.ipv4.conf.IFNAME.x", "net.x.y.IFNAME.z=1"],
)
def test_sysctls_of_somewhere_else_are_refused(entry: str) -> None:
    with pytest.raises(InvalidArgument, match="unrecognised network interface sysctl") as caught:
        opts.endpoint_sysctls({opts.ENDPOINT_SYSCTLS: entry}, IfName("eth0"))
    assert f"'{entry}'" in caught.value.message
