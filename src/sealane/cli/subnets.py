"""Which gateway, range and reserved address belongs to which subnet of ``network create``. Pure."""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from sealane.client.types import JsonObject

    Subnet: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def assign(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], reserved: Mapping[str, str]
) -> list[JsonObject]:
    """IPAM's Config in the order of the subnets. Raises ValueError with Docker's words for what fits nowhere."""
    if len(subnets) == 1 and not (ranges or gateways or reserved):
        return [{"Subnet": subnets[0], "AuxiliaryAddresses": {}}]  # nothing to assign; the engine judges it
    parsed = [_network(text) for text in subnets]
    for at, one in enumerate(parsed):
        for other in parsed[:at]:
            if one.version == other.version and one.overlaps(other):
                raise ValueError("multiple overlapping subnet configuration is not supported")
    configs: list[JsonObject] = [{"Subnet": text, "AuxiliaryAddresses": {}} for text in subnets]
    for text in ranges:
        at = _holder(parsed, _network(text, strict=False).network_address, f"no matching subnet for range {text}")
        _put(
            configs[at],
            "IPRange",
            text,
            f"cannot configure multiple ranges ({text}, {{}}) on the same subnet ({subnets[at]})",
        )
    for text in gateways:
        at = _holder(parsed, _address(text), f"no matching subnet for gateway {text}")
        _put(
            configs[at],
            "Gateway",
            text,
            f"cannot configure multiple gateways ({text}, {{}}) for the same subnet ({subnets[at]})",
        )
    for name, text in reserved.items():
        at = _holder(parsed, _address(text), f"no matching subnet for aux-address {text}")
        configs[at]["AuxiliaryAddresses"][name] = text
    return configs


def _put(config: JsonObject, field: str, value: str, conflict: str) -> None:
    if field in config:
        raise ValueError(conflict.format(config[field]))
    config[field] = value


def _holder(
    subnets: Sequence[Subnet], address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, missing: str
) -> int:
    for at, subnet in enumerate(subnets):
        if address is not None and address.version == subnet.version and address in subnet:
            return at
    raise ValueError(missing)


def _network(text: str, *, strict: bool = False) -> Subnet:
    try:
        if "/" not in text:
            raise ValueError
        return ipaddress.ip_network(text, strict=strict)
    except ValueError:
        raise ValueError(f"invalid CIDR address: {text}") from None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None  # lies in no subnet, and that is how Docker tells it
