"""Exposed and published ports of a request. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from sealane.api.schema.container import PortBinding as WireBinding
from sealane.engine.model import PortBinding
from sealane.errors import InvalidArgument
from sealane.values import ContainerPort, Transport

_PORT: Final = re.compile(r"^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/([a-zA-Z]+))?$")
_RANGE: Final = re.compile(r"^([0-9]{1,5})(?:-([0-9]{1,5}))?$")


def exposed_ports(asked: Mapping[str, object]) -> tuple[ContainerPort, ...]:
    """The keys of ``ExposedPorts``: ``80``, ``80/tcp`` or ``8000-8010/udp``. Raises InvalidArgument naming the text."""
    return tuple(dict.fromkeys(port for text in asked for port in _parse(text)))


def port_bindings(asked: Mapping[str, list[WireBinding] | None]) -> tuple[PortBinding, ...]:
    """``HostConfig.PortBindings``. A port without bindings is published nowhere. Raises InvalidArgument."""
    return tuple(_bindings(asked))


def _bindings(asked: Mapping[str, list[WireBinding] | None]) -> Iterator[PortBinding]:
    for text, bindings in asked.items():
        ports = list(_parse(text))
        if len(ports) != 1:
            raise InvalidArgument(f'invalid port specification: "{text}"')
        for binding in bindings or ():
            yield PortBinding(ports[0], _host_ip(binding.HostIp, text), _host_port(binding.HostPort))


def _parse(text: str) -> Iterator[ContainerPort]:
    found = _PORT.fullmatch(text)
    if found is None:
        raise InvalidArgument(f'invalid port specification: "{text}"')
    first, last = int(found[1]), int(found[2] or found[1])
    try:
        transport = Transport((found[3] or "tcp").lower())
    except ValueError:
        raise InvalidArgument(f'invalid port specification: "{text}"') from None
    if not 1 <= first <= last <= 65535:
        raise InvalidArgument(f'invalid port specification: "{text}"')
    for number in range(first, last + 1):
        yield ContainerPort(number, transport)


def _host_ip(text: str, port: str) -> str:
    """An address of the host, without the brackets that some clients send; "" for all."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if bare:
        try:
            ip_address(bare)
        except ValueError:
            raise InvalidArgument(f"invalid host IP address for port {port}: {text}") from None
    return bare


def _host_port(text: str) -> str:
    """A host port or range; "" and 0 let the engine choose."""
    if text in ("", "0"):
        return ""
    found = _RANGE.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= int(found[2] or found[1]) <= 65535:
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return text
