"""``--publish`` and ``--expose``: every form Docker takes, as the two maps of the create request. Pure.

Forms: ``80``, ``8080:80``, ``127.0.0.1:8080:80``, ``127.0.0.1::80``, ``[::1]:8080:80``, ``8000-8009:80-89``,
``8000-9000:80`` (the engine picks one of the range), each with ``/tcp``, ``/udp`` or ``/sctp``; and
``published=8080,target=80,protocol=tcp``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from sealane.client.types import JsonObject

_PROTOCOLS: Final = ("tcp", "udp", "sctp")


def publish(specs: Iterable[str]) -> JsonObject:
    """PortBindings for the given ``-p`` values. Raises ValueError with Docker's words."""
    bindings: JsonObject = {}
    for spec in specs:
        host_ip, host, container, protocol = _split(_short_form(spec))
        ports = _range(container, "containerPort")
        host_ports = _range(host, "hostPort") if host else []
        if host_ports and len(host_ports) != len(ports) and len(ports) != 1:
            raise ValueError(f"invalid ranges specified for container and host Ports: {container} and {host}")
        for at, port in enumerate(ports):
            chosen = host if len(ports) == 1 else str(host_ports[at]) if host_ports else ""
            bindings.setdefault(f"{port}/{protocol}", []).append({"HostIp": host_ip, "HostPort": chosen})
    return bindings


def expose(specs: Iterable[str]) -> list[str]:
    """The ``port/protocol`` names for the given ``--expose`` values, ranges spelled out. Raises ValueError."""
    names = []
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        text, _, protocol = spec.partition("/")
        try:
            ports = _exposed(text)
        except ValueError as error:
            raise ValueError(f"invalid range format for --expose: {spec}, error: {error}") from None
        names += [f"{port}/{protocol.lower() or 'tcp'}" for port in ports]
    return names


def _exposed(text: str) -> range:
    if not text:
        raise ValueError("empty string specified for ports")
    first, dash, last = text.partition("-")
    start = go_port(first)
    stop = go_port(last) if dash else start
    if stop < start:
        raise ValueError(f"invalid range specified for port: {text}")
    return range(start, stop + 1)


def go_port(text: str) -> int:
    """A number of 16 bits as Go reads it. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _short_form(spec: str) -> str:
    """The long form (``published=8080,target=80``) in the short one."""
    if "=" not in spec:
        return spec
    fields = {}
    for item in spec.split(","):
        key, found, value = item.partition("=")
        if not found or key.lower() not in ("published", "target", "protocol", "mode", "host_ip"):
            raise ValueError(f"invalid field format: {item}" if not found else f"invalid field key: {key}")
        fields[key.lower()] = value
    if "target" not in fields:
        raise ValueError(f"no port specified: {spec}<empty>")
    ip = f"{fields['host_ip']}:" if "host_ip" in fields else ""
    return f"{ip}{fields.get('published', '')}:{fields['target']}/{fields.get('protocol', 'tcp')}"


def _split(spec: str) -> tuple[str, str, str, str]:
    """(host address, host port or range, container port or range, protocol)"""
    body, _, protocol = spec.partition("/")
    head, _, container = body.rpartition(":")
    host_ip, _, host = head.rpartition(":")
    if head.endswith("]"):
        host_ip, host = head, ""
    if not container:
        raise ValueError(f"no port specified: {spec}<empty>")
    return _address(host_ip), host, container, _protocol(protocol)


def _address(text: str) -> str:
    if text.startswith("[") != text.endswith("]"):
        raise ValueError(f"invalid IP address: {text}")
    text = text.removeprefix("[").removesuffix("]")
    if text:
        import ipaddress

        try:
            ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            raise ValueError(f"invalid IP address: {text}") from None
    return text


def _protocol(text: str) -> str:
    name = text.lower() or "tcp"
    if name not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {text}")
    return name


def _range(text: str, what: str) -> list[int]:
    first, dash, last = text.partition("-")
    try:
        start = int(first)
        stop = int(last) if dash else start
    except ValueError:
        raise ValueError(f"invalid {what}: {text}") from None
    if not 0 <= start <= 65535 or not 0 <= stop <= 65535 or stop < start or (what == "containerPort" and start == 0):
        raise ValueError(f"invalid {what}: {text}")
    return list(range(start, stop + 1))
