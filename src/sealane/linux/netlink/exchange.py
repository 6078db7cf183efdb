"""A netlink socket, bound for ever to the network namespace of the thread that opened it (netlink(7)).

Several requests can be sent in one go (``batch``); each is acknowledged, and a refusal is told with the object that
it was about and the kernel's own explanation. Every failure is an OSError with errno. Sockets are synchronous: the
kernel answers a request within the ``send``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

from sealane.linux.namespaces import run_in
from sealane.linux.netlink.codec import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    Request,
    kinds,
    message,
    messages,
    reply,
)

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12
_SOL_NETLINK: Final = 270
_NETLINK_EXT_ACK, _NETLINK_CAP_ACK = 11, 10
_BUFFER: Final = 1 << 20
_DUMP_TRIES: Final = 8


class Netlink:
    """A socket of the family PROTOCOL. Thread-safe; ``close`` is idempotent."""

    PROTOCOL: ClassVar[int] = NETLINK_ROUTE

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()
        self._sequence = 0

    @classmethod
    def open(cls) -> Self:
        """A socket in the calling thread's network namespace."""
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, cls.PROTOCOL)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            for option in (_NETLINK_EXT_ACK, _NETLINK_CAP_ACK):
                with contextlib.suppress(OSError):  # older kernels: no explanations
                    sock.setsockopt(_SOL_NETLINK, option, 1)
            sock.bind((0, 0))
        except OSError:
            sock.close()
            raise
        return cls(sock)

    @classmethod
    def open_in(cls, ns: Path | int) -> Self:
        """A socket in another namespace, by its path or an fd of it."""
        return run_in(ns, cls.open)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # talking

    def batch(self, requests: Sequence[Request]) -> None:
        """Send all in one go, in order. Raises the first refusal; the kernel has then carried out all the others,
        for each message stands for itself."""
        if not requests:
            return
        with self._lock:
            first = self._sequence + 1
            self._sequence += len(requests)
            data = b"".join(
                message(item.kind, item.flags | NLM_F_ACK, first + number, item.body)
                for number, item in enumerate(requests)
            )
            self._socket.send(data)
            waiting = {first + number: item for number, item in enumerate(requests)}
            refusal: OSError | None = None
            while waiting:
                for received in messages(self._socket.recv(_BUFFER)):
                    item = waiting.get(received.sequence)
                    if received.kind == NLMSG_ERROR and item is not None:
                        del waiting[received.sequence]
                        refusal = refusal or _refusal(received, item)
        if refusal is not None:
            raise refusal

    def do(self, request: Request) -> None:
        """Send one request and wait for its acknowledgement."""
        self.batch((request,))

    def ask(self, request: Request, needles: Sequence[bytes] = ()) -> list[Message]:
        """The answers to a query; a dump that the kernel calls inconsistent is taken again.

        *needles* pass over packets of answers in which none of them occurs, unread: for dumps of very many things. What
        comes back may hold other things as well.
        """
        for _ in range(_DUMP_TRIES):
            answers, interrupted = self._ask_once(request, needles)
            if not interrupted:
                break
        return answers

    def _ask_once(self, request: Request, needles: Sequence[bytes]) -> tuple[list[Message], bool]:
        answers: list[Message] = []
        interrupted = False
        with self._lock:
            self._sequence += 1
            sequence = self._sequence
            self._socket.send(message(request.kind, request.flags, sequence, request.body))
            dump = request.flags & NLM_F_DUMP == NLM_F_DUMP
            while True:
                data = self._socket.recv(_BUFFER)
                if needles and not _worth_reading(data, needles):
                    continue
                for received in messages(data):
                    if received.sequence != sequence:
                        continue
                    interrupted = interrupted or bool(received.flags & NLM_F_DUMP_INTR)
                    if received.kind in (NLMSG_DONE, NLMSG_ERROR):
                        refusal = _refusal(received, request)
                        if refusal is not None:
                            raise refusal
                        return answers, interrupted
                    answers.append(received)
                    if not dump:
                        return answers, False


def _worth_reading(data: bytes, needles: Sequence[bytes]) -> bool:
    return any(needle in data for needle in needles) or any(kind in (NLMSG_DONE, NLMSG_ERROR) for kind in kinds(data))


def _refusal(received: Message, request: Request) -> OSError | None:
    told = reply(received)
    if told.errno == 0:
        return None
    words = os.strerror(told.errno) + (f" ({told.text})" if told.text else "")
    return OSError(told.errno or errno.EIO, f"{request.about}: {words}")
