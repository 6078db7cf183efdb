"""Specs → nftables: one fixed ruleset, and the set elements that each network and each endpoint adds to it.

Chains never change with the number of networks or ports: every fact about them is an element of a set or map, so the
thousandth published port costs what the first did, both to add and to look up. There are two tables, both ours alone:

``inet sealane``
    raw         loopback destinations that come from a bridge are dropped (bridges have route_localnet on)
    prerouting  } destinations that are one of the host's own addresses and a published port lead to the container;
    output      } a map keyed by host address is asked first, then the one for "every address"
    forward     what enters our bridges unasked is dropped; internal networks neither leave nor are entered; icc=false
    postrouting containers leave by the host's address; and so do neighbours, the host's loopback and the container
                itself on their way to a published port, because the answer has to come back through the host
    prerouting and postrouting also count, per container address, the connections that were ever tracked: the chains of
                type nat see the first packet of each. Zero says that there is nothing to forget when the container goes
    redirects   the host tells nobody on our bridges of "better" routes: they would go round the translation

``bridge sealane``
    icc=false between ports of one bridge, below IP and with or without br_netfilter. A frame for the bridge's own MAC
    address passes (the gateway, and published ports by the host's address); everything else from port to port does not.

Packets that have nothing to do with our bridges are left alone: every policy is accept, and the first rule of
``forward`` lets them go. Other programs' base chains see all packets as well; a drop there stands (see
docs/decisions/ on living beside Docker, ufw and firewalld).

A bridged packet shows itself to the inet chains, with the bridge as input and output, when br_netfilter is on
(``net.bridge.bridge-nf-call-iptables``, which Docker sets); nothing here relies on that or is disturbed by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from sealane.network.ruleset import (
    TABLE,
    Chain,
    Element,
    Family,
    Field,
    Hook,
    Jump,
    Match,
    NatMap,
    Rule,
    Ruleset,
    Set,
    SetId,
    SetRef,
    Table,
    Type,
    Verdict,
)
from sealane.network.spec import BridgeOptions, EndpointSpec, GatewayMode, NetworkSpec
from sealane.values import IPAddress, MacAddress, PublishedPort

# Priorities of nft(8), as numbers: raw, dstnat, filter, srcnat; the bridge ones lie before br_netfilter's 0.
RAW: Final = -300
DSTNAT: Final = -100
FILTER: Final = 0
SRCNAT: Final = 100
BRIDGE_FIRST: Final = -310

LOOPBACK6: Final = IPv6Address("::1")
ANY6: Final = IPv6Address("::")


@dataclass(frozen=True, slots=True)
class FirewallSettings:
    """What the fixed part depends on."""

    icc_guard: bool = False  # some network has icc=false: the bridge table is needed
    table: str = TABLE


def base_ruleset(settings: FirewallSettings) -> Ruleset:
    """Both tables with their chains and empty sets. The bridge table is left out where nobody needs it: its hook would
    cost every bridged frame of the host a look."""
    inet = Table(Family.INET, settings.table, _INET_SETS, _inet_chains())
    if not settings.icc_guard:
        return Ruleset((inet,))
    return Ruleset((inet, bridge_table(settings.table)))


def bridge_table(name: str = TABLE) -> Table:
    """``bridge sealane``: icc=false. To the kernel a frame for the bridge's own MAC address is one for the host."""
    ports, group = SetRef("noicc_ports"), "01:00:00:00:00:00"
    from_port = Match((Field.IIFNAME,), ports)
    prerouting = Chain(
        "prerouting",
        (Rule((from_port, Match((Field.PKTTYPE,), "other")), Verdict.DROP, "icc=false: only to the gateway"),),
        Hook("filter", "prerouting", BRIDGE_FIRST),
    )
    forward = Chain(
        "forward",
        (
            Rule(
                (from_port, Match((Field.OIFNAME,), ports), Match((Field.ETHER_GROUP,), group)),
                Verdict.DROP,
                "icc=false: no broadcast to neighbours",
            ),
        ),
        Hook("filter", "forward", BRIDGE_FIRST),
    )
    return Table(Family.BRIDGE, name, (Set("noicc_ports", (Type.IFNAME,)),), (prerouting, forward))


_PORT4: Final = (Type.IPV4, Type.PORT)
_PORT6: Final = (Type.IPV6, Type.PORT)
_INET_SETS: Final = (
    Set("bridges", (Type.IFNAME,)),
    Set("same_bridge", (Type.IFNAME, Type.IFNAME)),
    Set("noicc", (Type.IFNAME,)),
    Set("internal", (Type.IFNAME,)),
    Set("open4", (Type.IFNAME,)),
    Set("open6", (Type.IFNAME,)),
    Set("routed4", (Type.IFNAME,)),
    Set("routed6", (Type.IFNAME,)),
    Set("trusted", (Type.IFNAME, Type.IFNAME)),
    Set("masquerade4", (Type.IFNAME,)),
    Set("masquerade6", (Type.IFNAME,)),
    Set("snat4", (Type.IFNAME,), (Type.IPV4,)),
    Set("snat6", (Type.IFNAME,), (Type.IPV6,)),
    Set("published4", (Type.PROTO, Type.PORT), _PORT4),
    Set("published6", (Type.PROTO, Type.PORT), _PORT6),
    Set("published4_at", (Type.IPV4, Type.PROTO, Type.PORT), _PORT4),
    Set("published6_at", (Type.IPV6, Type.PROTO, Type.PORT), _PORT6),
    Set("opened4", (Type.IPV4, Type.PROTO, Type.PORT)),
    Set("opened6", (Type.IPV6, Type.PROTO, Type.PORT)),
    Set("endpoints4", (Type.IPV4,), counter=True),
    Set("endpoints6", (Type.IPV6,), counter=True),
)


def _in(field: Field, name: str, negate: bool = False) -> Match:
    return Match((field,), SetRef(name), negate)


def _is(field: Field, value: str, negate: bool = False) -> Match:
    return Match((field,), value, negate)


_SAME: Final = Match((Field.IIFNAME, Field.OIFNAME), SetRef("same_bridge"))
_DNATED: Final = _is(Field.CT_STATUS, "dnat")
_LOOPBACK: Final = "127.0.0.0/8"


def _inet_chains() -> tuple[Chain, ...]:
    local = Rule((_is(Field.FIB_DADDR, "local"),), Jump("published"))
    loopback6 = Rule((_is(Field.DADDR6, "::1"),), Verdict.RETURN, "the relay's")
    return (
        _published(),
        Chain(
            "raw",
            (Rule((_in(Field.IIFNAME, "bridges"), _is(Field.DADDR4, _LOOPBACK)), Verdict.DROP),),
            Hook("filter", "prerouting", RAW),
        ),
        Chain(
            "prerouting",
            # The host's loopback is nobody else's: without this a neighbour's 127.0.0.1 would be translated.
            (
                *_counted(Field.SADDR4, Field.SADDR6),
                Rule((_is(Field.DADDR4, _LOOPBACK),), Verdict.RETURN),
                loopback6,
                local,
            ),
            Hook("nat", "prerouting", DSTNAT),
        ),
        Chain("output", (loopback6, local), Hook("nat", "output", DSTNAT)),
        _forward(),
        _postrouting(),
        Chain(
            "redirects",
            (
                Rule((_in(Field.OIFNAME, "bridges"), _is(Field.ICMP_TYPE, "redirect")), Verdict.DROP),
                Rule((_in(Field.OIFNAME, "bridges"), _is(Field.ICMPV6_TYPE, "nd-redirect")), Verdict.DROP),
            ),
            Hook("filter", "output", FILTER),
        ),
    )


def _counted(field4: Field, field6: Field) -> tuple[Rule, ...]:
    return (
        Rule((_in(field4, "endpoints4"),), Verdict.CONTINUE),
        Rule((_in(field6, "endpoints6"),), Verdict.CONTINUE),
    )


def _published() -> Chain:
    at4, port = (Field.DADDR4, Field.L4PROTO, Field.DPORT), (Field.L4PROTO, Field.DPORT)
    at6 = (Field.DADDR6, Field.L4PROTO, Field.DPORT)
    return Chain(
        "published",
        (
            Rule((), NatMap("dnat", 4, at4, "published4_at")),
            Rule((), NatMap("dnat", 4, port, "published4")),
            # An answer to a link-local address could not find its way back from another link.
            Rule((_is(Field.SADDR6, "fe80::/10"),), Verdict.RETURN),
            Rule((), NatMap("dnat", 6, at6, "published6_at")),
            Rule((), NatMap("dnat", 6, port, "published6")),
        ),
    )


def _forward() -> Chain:
    accept, drop = Verdict.ACCEPT, Verdict.DROP
    rules = (
        Rule((_in(Field.IIFNAME, "bridges", True), _in(Field.OIFNAME, "bridges", True)), accept, "not ours"),
        Rule((_is(Field.CT_STATE, "established,related"),), accept),
        Rule((_SAME, _DNATED), accept, "a neighbour's published port"),
        Rule((_SAME, _in(Field.IIFNAME, "noicc")), drop, "icc=false"),
        Rule((_SAME,), accept),
        Rule((_in(Field.IIFNAME, "internal"),), drop, "internal: no way out"),
        Rule((_in(Field.OIFNAME, "internal"),), drop, "internal: no way in"),
        # Packets that conntrack cannot place would leave with the container's own address.
        Rule((_is(Field.CT_STATE, "invalid"),), drop),
        Rule((_in(Field.OIFNAME, "bridges", True),), accept, "on its way out"),
        Rule((_DNATED,), accept, "published"),
        Rule((Match((Field.IIFNAME, Field.OIFNAME), SetRef("trusted")),), accept, "trusted interface"),
        Rule((_is(Field.NFPROTO, "ipv4"), _in(Field.OIFNAME, "open4")), accept, "nat-unprotected"),
        Rule((_is(Field.NFPROTO, "ipv6"), _in(Field.OIFNAME, "open6")), accept, "nat-unprotected"),
        Rule((_in(Field.OIFNAME, "routed4"), _is(Field.L4PROTO, "icmp")), accept, "routed"),
        Rule((_in(Field.OIFNAME, "routed6"), _is(Field.L4PROTO, "ipv6-icmp")), accept, "routed"),
        Rule((Match((Field.DADDR4, Field.L4PROTO, Field.DPORT), SetRef("opened4")),), accept, "routed"),
        Rule((Match((Field.DADDR6, Field.L4PROTO, Field.DPORT), SetRef("opened6")),), accept, "routed"),
        Rule((), drop, "into our bridges, unasked"),
    )
    return Chain("forward", rules, Hook("filter", "forward", FILTER))


def _postrouting() -> Chain:
    masquerade = Verdict.MASQUERADE
    v4, v6 = _is(Field.NFPROTO, "ipv4"), _is(Field.NFPROTO, "ipv6")
    rules = (
        *_counted(Field.DADDR4, Field.DADDR6),
        Rule((_SAME, _DNATED), masquerade, "a neighbour, or the container itself, by the host's address"),
        Rule((_SAME,), Verdict.RETURN),
        # No input interface: the host itself (its 127.0.0.1 too), or br_netfilter, which does not tell it here.
        Rule((_in(Field.OIFNAME, "bridges"), _is(Field.IIF, "0"), _DNATED), masquerade, "from the host, or bridged"),
        Rule((v4,), NatMap("snat", 4, (Field.IIFNAME,), "snat4")),
        Rule((v6,), NatMap("snat", 6, (Field.IIFNAME,), "snat6")),
        Rule((v4, _in(Field.IIFNAME, "masquerade4")), masquerade),
        Rule((v6, _in(Field.IIFNAME, "masquerade6")), masquerade),
    )
    return Chain("postrouting", rules, Hook("nat", "postrouting", SRCNAT))


_SETS: Final = {item.name: SetId(Family.INET, item.name) for item in _INET_SETS}
NOICC_PORTS: Final = SetId(Family.BRIDGE, "noicc_ports")


def bridge_mac(network: NetworkSpec) -> MacAddress:
    """The MAC address of the network's own bridge: fixed by its id, so that it does not change with the ports, and so
    that a bridge that somebody else made can be told from ours."""
    return MacAddress(b"\x02" + bytes.fromhex(network.id[:10]))


def network_elements(network: NetworkSpec) -> tuple[Element, ...]:
    """What a network adds to the sets. Networks without a bridge add nothing."""
    options = network.bridge
    if options is None:
        return ()
    name = options.bridge_name
    found = [Element(_SETS["bridges"], (name,)), Element(_SETS["same_bridge"], (name, name))]
    if not options.icc:
        found.append(Element(_SETS["noicc"], (name,)))
    if network.internal:
        return (*found, Element(_SETS["internal"], (name,)))
    found += [Element(_SETS["trusted"], (host, name)) for host in options.trusted_host_interfaces]
    for version, enabled in ((4, network.ipv4), (6, network.ipv6)):
        if enabled:
            found += _family_elements(options, version)
    return tuple(found)


def _family_elements(options: BridgeOptions, version: int) -> list[Element]:
    name = options.bridge_name
    mode = gateway_mode(options, version)
    if mode is GatewayMode.ROUTED:
        return [Element(_SETS[f"routed{version}"], (name,))]
    found = [Element(_SETS[f"open{version}"], (name,))] if mode is GatewayMode.NAT_UNPROTECTED else []
    source: IPAddress | None = options.host_ipv4 if version == 4 else options.host_ipv6
    if options.masquerade and source is not None:
        found.append(Element(_SETS[f"snat{version}"], (name,), (source,)))
    elif options.masquerade:
        found.append(Element(_SETS[f"masquerade{version}"], (name,)))
    return found


def gateway_mode(options: BridgeOptions, version: int) -> GatewayMode:
    return options.gateway_mode_ipv4 if version == 4 else options.gateway_mode_ipv6


def endpoint_elements(network: NetworkSpec, endpoint: EndpointSpec) -> tuple[Element, ...]:
    """What an endpoint adds: its addresses, its port on a bridge without icc, and its published ports."""
    options = network.bridge
    if options is None:
        return ()
    found = [Element(group, (address,)) for group, address in tracked(endpoint)]
    if not options.icc:
        found.append(Element(NOICC_PORTS, (endpoint.host_ifname,)))
    if not network.internal:
        published = (_port_element(options, endpoint, port) for port in endpoint.ports)
        found += dict.fromkeys(element for element in published if element is not None)
    return tuple(found)


def tracked(endpoint: EndpointSpec) -> list[tuple[SetId, IPAddress]]:
    """Where the connections of *endpoint* are counted, address by address."""
    own = (endpoint.ipv4, endpoint.ipv6)
    return [(_SETS[f"endpoints{address.version}"], address.ip) for address in own if address is not None]


def relayed(network: NetworkSpec, endpoint: EndpointSpec) -> tuple[PublishedPort, ...]:
    """What the relay has to listen on for *endpoint*, because address translation cannot carry it.

    These are host ports of a family that the container does not have, and the host's own ``[::1]``: IPv6 has no
    ``route_localnet``. The relay's target is the container's address of whichever family it has.
    """
    if network.internal or network.bridge is None:
        return ()
    found = []
    for port in endpoint.ports:
        if gateway_mode(network.bridge, port.host_ip.version) is GatewayMode.ROUTED:
            continue
        if (endpoint.ipv4 if port.host_ip.version == 4 else endpoint.ipv6) is None:
            found.append(port)
        elif port.host_ip == LOOPBACK6 or port.host_ip == ANY6:
            found.append(PublishedPort(LOOPBACK6, port.host_port, port.container_port))
    return tuple(found)


def _port_element(options: BridgeOptions, endpoint: EndpointSpec, port: PublishedPort) -> Element | None:
    """None for what NAT cannot carry: the host address is of a family that the container does not have."""
    version = port.host_ip.version
    own = endpoint.ipv4 if version == 4 else endpoint.ipv6
    if own is None:
        return None
    transport, number = port.container_port.transport, port.container_port.number
    if gateway_mode(options, version) is GatewayMode.ROUTED:
        return Element(_SETS[f"opened{version}"], (own.ip, transport, number))
    target = (own.ip, number)
    if port.host_ip.is_unspecified:
        return Element(_SETS[f"published{version}"], (transport, port.host_port), target)
    return Element(_SETS[f"published{version}_at"], (port.host_ip, transport, port.host_port), target)
