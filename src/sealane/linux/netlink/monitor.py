"""Changes of links, addresses and routes as they happen: the multicast groups of rtnetlink."""

from __future__ import annotations

import errno
import socket
from typing import Final, NamedTuple, Self

from sealane.linux.netlink import rtnl
from sealane.linux.netlink.codec import Message, messages

_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE


class Change(NamedTuple):
    """``action`` is add or del; ``item`` what the kernel said of it."""

    action: str
    item: rtnl.Link | rtnl.Address | rtnl.Route


class Monitor:
    """A non-blocking socket; poll ``fileno()`` and call ``read``. Bound to the opening thread's namespace."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((0, _GROUPS))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self) -> tuple[list[Change], bool]:
        """What has come since, and whether changes were lost (then look at everything anew)."""
        changes: list[Change] = []
        lost = False
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                return changes, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            changes += [change for change in map(_change, messages(data)) if change is not None]


def _change(item: Message) -> Change | None:
    kind, body = item.kind, item.body
    action = "del" if kind in (rtnl.RTM_DELLINK, rtnl.RTM_DELADDR, rtnl.RTM_DELROUTE) else "add"
    if kind in (rtnl.RTM_NEWLINK, rtnl.RTM_DELLINK):
        return Change(action, rtnl.parse_link(body))
    if kind in (rtnl.RTM_NEWADDR, rtnl.RTM_DELADDR):
        return Change(action, rtnl.parse_address(body))
    route = rtnl.parse_route(body) if kind in (rtnl.RTM_NEWROUTE, rtnl.RTM_DELROUTE) else None
    return Change(action, route) if route is not None else None
