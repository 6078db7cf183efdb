"""How the ports of a container are listed: ``0.0.0.0:8080->80/tcp, 127.0.0.1:81-83->81-83/udp, 90/tcp``. Pure.

Neighbouring ports that are published under their own numbers are shown as one range, as Docker shows them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from sealane.client.types import JsonObject


def join_host(host: str, port: int | str) -> str:
    """``[::]:80`` or ``0.0.0.0:80``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ports_text(ports: Iterable[JsonObject]) -> str:
    """The text for the Ports of a container in a list of containers."""
    closed: list[str] = []
    mapped: list[str] = []
    ranges: dict[tuple[str, str], list[int]] = {}
    for port in sorted(ports, key=_order):
        private, public, ip = port["PrivatePort"], port.get("PublicPort") or 0, port.get("IP") or ""
        if ip and public != private:
            mapped.append(f"{join_host(ip, public)}->{private}/{port['Type']}")
            continue
        group = ranges.setdefault((ip, port["Type"]), [private, private - 1])
        if private == group[1] + 1:
            group[1] = private
        else:
            closed.append(_range_text(ip, port["Type"], group))
            group[:] = [private, private]
    return ", ".join(closed + [_range_text(ip, kind, group) for (ip, kind), group in ranges.items()] + mapped)


def _order(port: JsonObject) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP") or "", port.get("PublicPort") or 0, port["Type"]


def _range_text(ip: str, kind: str, group: list[int]) -> str:
    first, last = group
    text = str(first) if first == last else f"{first}-{last}"
    return f"{join_host(ip, text)}->{text}/{kind}" if ip else f"{text}/{kind}"
