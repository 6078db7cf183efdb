"""Runs plans: each operation by netlink, nft or /proc/sys; what was done is undone when one fails.

Contract: ``Applier.run`` either does the whole plan or leaves the kernel as it found it, and raises Internal with the
command that failed, the kernel's words, and what could not be undone. ``Applier.tear`` runs a plan to its end, whatever
fails, and then raises for all failures together; things that are gone already count as deleted.

A namespace is entered by a short-lived thread once per plan, which opens a netlink socket there; the socket is then
used from outside. Nothing here decides: no ``if`` about networks, only about kinds of operation.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from sealane.errors import Internal
from sealane.linux import namespaces, sysctl
from sealane.linux.netlink import rtnl as messages
from sealane.linux.netlink.socket import Rtnl
from sealane.linux.nft import Nft
from sealane.network.plan import (
    AddAddress,
    AddElements,
    AddLink,
    AddRoute,
    Cut,
    DelAddress,
    DelElements,
    DelLink,
    DelRoute,
    Op,
    Plan,
    Rename,
    Restore,
    SetLink,
    SetSysctl,
)
from sealane.network.topology import HOST, Address, Link, LinkKey, LinkKind, Namespace, Route, Sysctl
from sealane.values import IfName
from sealane.wiring.render_nft import add_elements, del_elements

#: What the kernel says when the thing to delete is not there (or its link or its namespace is not).
GONE: Final = frozenset((errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL))

#: Seconds that a port has to begin forwarding; well under a millisecond when the machine is not busy.
PORT_PATIENCE: Final = 0.1

#: What makes the kinds of link (Kconfig of the kernel).
KERNEL_OPTIONS: Final[Mapping[LinkKind, str]] = {
    LinkKind.BRIDGE: "CONFIG_BRIDGE",
    LinkKind.VETH: "CONFIG_VETH",
    LinkKind.MACVLAN: "CONFIG_MACVLAN",
    LinkKind.VLAN: "CONFIG_VLAN_8021Q",
    LinkKind.DUMMY: "CONFIG_DUMMY and CONFIG_IFB, one of which closed networks need",
}


class Session:
    """One plan's view of the kernel: the host's sockets, and those that it opens in other namespaces.

    Does single operations; a failed one takes back its own half before it raises OSError.
    """

    def __init__(self, rtnl: Rtnl, nft: Nft, host_ns: Path | None) -> None:
        self._host = rtnl
        self._nft = nft
        self._host_ns = host_ns
        self._inside: dict[Namespace, Rtnl] = {}
        self._indexes: dict[tuple[Namespace, IfName], int] = {}

    def close(self) -> None:
        """Idempotent; the host's sockets stay open."""
        while self._inside:
            self._inside.popitem()[1].close()

    def do(self, op: Op) -> None:
        """Do one operation. Raises OSError."""
        match op:
            case AddLink(link, peer):
                try:
                    self._add_link(link, peer)
                except OSError as error:
                    raise _kernel_option(link.kind, error) from error
            case DelLink(link):
                self._indexes.pop((link.ns, link.name), None)
                self._rtnl(link.ns).del_link(link.name)
            case SetLink(before, after):
                self._set_link(before, after)
            case Cut(link):
                self._cut(link)
            case Restore(link):
                self._rtnl(link.ns).set_link(self._index(link), up=True)
                if link.altname:
                    self._add_altname(link, self._index(link))
            case Rename(before, after):
                index = self._indexes.pop((before.ns, before.name), None)
                self._rtnl(before.ns).set_link(before.name if index is None else index, name=after.name)
            case AddAddress(address):
                self._rtnl(address.ns).add_address(self._index(address), address.interface, nodad=True)
            case DelAddress(address):
                self._rtnl(address.ns).del_address(self._index(address), address.interface)
            case AddRoute(route):
                self._rtnl(route.ns).add_route(
                    messages.Route(dst=route.dst, gateway=route.gateway, index=self._index(route))
                )
            case DelRoute(route):
                self._rtnl(route.ns).del_route(
                    messages.Route(dst=route.dst, gateway=route.gateway, index=self._index(route))
                )
            case SetSysctl(setting):
                self.put_sysctls((setting,))
            case AddElements(elements, table):
                self._nft.run(add_elements(table, elements))
            case DelElements(elements, table):
                self._nft.run(del_elements(table, elements))

    def put_sysctls(self, settings: Sequence[Sysctl]) -> None:
        """Write sysctls of one namespace, and open the netlink socket there on the same way in."""
        ns = settings[0].ns
        pairs = [(setting.key, setting.value) for setting in settings]
        if ns == HOST:
            sysctl.put_all(pairs, self._host_ns)
        elif ns in self._inside:
            sysctl.put_all(pairs, Path(ns))
        else:
            self._inside[ns] = namespaces.run_in(Path(ns), lambda: _open_and_put(pairs))

    def _rtnl(self, ns: Namespace) -> Rtnl:
        if ns == HOST:
            return self._host
        found = self._inside.get(ns)
        if found is None:
            found = self._inside[ns] = Rtnl.open_in(Path(ns))
        return found

    def _index(self, item: Address | Route | Link) -> int:
        name = item.name if isinstance(item, Link) else item.link
        found = self._indexes.get((item.ns, name))
        if found is None:
            found = self._indexes[item.ns, name] = self._rtnl(item.ns).link(name).index
        return found

    def _message(self, route: Route) -> messages.Route:
        return messages.Route(dst=route.dst, gateway=route.gateway, index=self._index(route))

    def _add_link(self, link: Link, peer: Link | None) -> None:
        if link.kind is LinkKind.BRIDGE:
            index = self._host.add_bridge(link.name, mac=link.mac, mtu=link.mtu, up=link.up)
        elif link.kind is LinkKind.DUMMY:
            index = self._host.add_dummy(link.name, mac=link.mac, mtu=link.mtu, up=link.up)
        elif link.kind is LinkKind.VLAN:
            index = self._add_vlan(link)
        elif link.kind is LinkKind.MACVLAN:
            self._add_macvlan(link)
            return
        elif peer is not None:
            index = self._add_veth(link, peer)
        else:
            raise OSError(errno.EINVAL, f"{link.name}: a veth link without its peer")
        self._indexes[link.ns, link.name] = index
        try:
            self._decorate(link, index)
            if peer is not None and peer.up:  # the kernel refuses to bring the second end up while it makes the pair
                self._rtnl(peer.ns).set_link(self._index(peer), up=True)
        except OSError:
            self._host.del_link(index)
            raise

    def _decorate(self, link: Link, index: int) -> None:
        if link.kind is LinkKind.VETH and link.up:
            # A port of a bridge has no business with IP: no fe80:: address, and none of the traffic that makes one.
            self._host.set_link(index, up=True, no_link_local=True)
        if link.hairpin:
            self._host.set_bridge_port(index, hairpin=True)
        if link.altname:
            self._add_altname(link, index)

    def _add_altname(self, link: Link, index: int) -> None:
        """Give the readable second name. It may be held by the link of the same container's last run, which the kernel
        is still taking away; then that one gives it up. Held by anybody else, ours does without."""
        try:
            self._host.add_altname(index, link.altname)
            return
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        try:
            old = self._host.link(link.altname)
            if old.master is not None and old.master == self._host.link_by_index(index).master:
                self._host.del_altname(old.index, link.altname)
                self._host.add_altname(index, link.altname)
        except OSError as error:
            if error.errno not in (errno.EEXIST, *GONE):
                raise

    def _add_veth(self, link: Link, peer: Link) -> int:
        master = self._host.link(link.master).index if link.master is not None else None
        with ExitStack() as stack:
            target = _open(peer.ns, stack)
            return self._host.add_veth(
                link.name,
                peer.name,
                peer_ns=target,
                mac=link.mac,
                peer_mac=peer.mac,
                mtu=link.mtu,
                master=master,
            )

    def _into_service(self, link: Link, index: int, outside: LinkKey) -> None:
        """The container's end of a pair has come up. The bridge takes frames from the other end only when the kernel
        has told it so, a moment later: until then the container's first words are lost, and so are its announcements of
        its addresses (arp_notify, ndisc_notify), which the kernel made when the link came up. Setting the MAC address
        makes it repeat them."""
        deadline = time.monotonic() + PORT_PATIENCE
        port = self._rtnl(outside.ns).link(outside.name)
        while port.master is not None and dict(port.port).get("state") != messages.BR_STATE_FORWARDING:
            if time.monotonic() > deadline:
                break  # a bridge with spanning tree takes its time
            time.sleep(0.0002)
            port = self._rtnl(outside.ns).link_by_index(port.index)
        if link.mac is not None:
            self._rtnl(link.ns).set_link(index, mac=link.mac)

    def _add_vlan(self, link: Link) -> int:
        index = self._host.add_vlan(link.name, self._host.link(_name(link.parent)).index, link.vlan)
        if link.up:
            self._host.set_link(index, up=True)
        return index

    def _add_macvlan(self, link: Link) -> None:
        parent = self._host.link(_name(link.parent)).index
        with ExitStack() as stack:
            target = _open(link.ns, stack)
            self._host.add_macvlan(link.name, parent, mode=link.mode, ns_fd=target, mac=link.mac)
        if link.mtu is None and not link.up:
            return
        try:
            self._rtnl(link.ns).set_link(self._index(link), mtu=link.mtu, up=link.up)
        except OSError:
            self._rtnl(link.ns).del_link(link.name)
            raise

    def _cut(self, link: Link) -> None:
        rtnl = self._rtnl(link.ns)
        index = self._index(link)
        rtnl.set_link(index, up=False)
        if link.altname:
            self._del_altname(link, index)

    def _del_altname(self, link: Link, index: int) -> None:
        try:
            self._host.del_altname(index, link.altname)
        except OSError as error:
            if error.errno not in (errno.EINVAL, *GONE):  # EINVAL: it did without
                raise

    def _set_link(self, before: Link, after: Link) -> None:
        rtnl, index = self._rtnl(after.ns), self._index(after)
        master: int | None = None
        if after.master != before.master:
            master = self._host.link(after.master).index if after.master is not None else 0
        rtnl.set_link(
            index,
            up=after.up if after.up != before.up else None,
            mtu=after.mtu if after.mtu != before.mtu else None,
            mac=after.mac if after.mac != before.mac else None,
            master=master,
        )
        if after.up and not before.up and after.peer is not None and after.peer.ns == HOST:
            self._into_service(after, index, after.peer)
        if after.master is not None and (after.hairpin, after.master) != (before.hairpin, before.master):
            rtnl.set_bridge_port(index, hairpin=after.hairpin)  # a flag of the port, gone with its master
        if after.altname != before.altname:
            if before.altname:
                self._del_altname(before, index)
            if after.altname:
                self._add_altname(after, index)


class Applier:
    """Runs whole plans against one host namespace. Use from one thread at a time."""

    def __init__(self, rtnl: Rtnl, nft: Nft, host_ns: Path | None = None) -> None:
        self._rtnl = rtnl
        self._nft = nft
        self._host_ns = host_ns

    def session(self) -> Session:
        return Session(self._rtnl, self._nft, self._host_ns)

    def run(self, plan: Plan) -> None:
        """All of *plan* or nothing. Raises Internal; its cause is the OSError."""
        session = self.session()
        done: list[Op] = []
        try:
            for step in _steps(plan):
                try:
                    _do(session, step)
                except OSError as error:
                    raise _failure(step, error, _undo(session, done)) from error
                done += step
        finally:
            session.close()

    def tear(self, plan: Plan) -> None:
        """Everything of *plan* that can be done. Raises Internal naming all failures, after the last operation."""
        session = self.session()
        failures: list[OSError] = []
        try:
            for op in plan:
                try:
                    _do_to_the_end(session, op)
                except OSError as error:
                    failures.append(OSError(error.errno, f"{op.describe()}: {error.strerror or error}"))
        finally:
            session.close()
        if failures:
            raise Internal("; ".join(str(failure) for failure in failures)) from failures[0]


def _steps(plan: Plan) -> list[tuple[Op, ...]]:
    """Operations that are done together: runs of sysctls of one namespace, everything else alone."""
    steps: list[tuple[Op, ...]] = []
    for op in plan:
        last = steps[-1][-1] if steps else None
        if isinstance(op, SetSysctl) and isinstance(last, SetSysctl) and last.sysctl.ns == op.sysctl.ns:
            steps[-1] = (*steps[-1], op)
        else:
            steps.append((op,))
    return steps


def _do(session: Session, step: tuple[Op, ...]) -> None:
    if len(step) == 1:
        session.do(step[0])
        return
    try:
        session.put_sysctls([op.sysctl for op in step if isinstance(op, SetSysctl)])
    except OSError:
        _undo(session, step)  # what of them was written, was written; the others are as they were
        raise


def _undo(session: Session, done: Sequence[Op]) -> list[OSError]:
    failures: list[OSError] = []
    for op in reversed(done):
        inverse = op.inverse()
        if inverse is None:
            continue
        try:
            _do_to_the_end(session, inverse)
        except OSError as error:
            failures.append(OSError(error.errno, f"{inverse.describe()}: {error.strerror or error}"))
    return failures


def _do_to_the_end(session: Session, op: Op) -> None:
    """Do *op*; what it would delete may be gone already."""
    try:
        session.do(op)
    except OSError as error:
        if error.errno not in GONE or not _takes_away(op):
            raise
        if isinstance(op, DelElements) and len(op.elements) > 1:
            # One element that is not there fails the whole transaction: delete the others one by one.
            for element in op.elements:
                _do_to_the_end(session, DelElements((element,), op.table))


def _takes_away(op: Op) -> bool:
    if isinstance(op, SetLink):
        return not op.after.up
    return isinstance(op, DelLink | DelAddress | DelRoute | DelElements | Cut | Rename)


def _failure(step: tuple[Op, ...], error: OSError, left: Sequence[OSError]) -> Internal:
    commands = "; ".join(op.describe() for op in step)
    text = f"cannot change the network: {error.strerror or error} (the command would be: {commands})"
    if left:
        text += "; and this could not be undone: " + "; ".join(str(one) for one in left)
    return Internal(text)


def _kernel_option(kind: LinkKind, error: OSError) -> OSError:
    """*error*, and what the kernel was built without when that is the reason."""
    if error.errno != errno.EOPNOTSUPP:
        return error
    return OSError(error.errno, f"{error.strerror}: this kernel was built without {KERNEL_OPTIONS[kind]}")


def _open_and_put(pairs: Sequence[tuple[str, str]]) -> Rtnl:
    rtnl = Rtnl.open()
    try:
        sysctl.put_all(pairs)
    except OSError:
        rtnl.close()
        raise
    return rtnl


def _open(ns: Namespace, stack: ExitStack) -> int:
    fd = namespaces.open_fd(Path(ns))
    stack.callback(os.close, fd)
    return fd


def _name(parent: IfName | None) -> IfName:
    if parent is None:
        raise OSError(errno.EINVAL, "a link without its parent")
    return parent
