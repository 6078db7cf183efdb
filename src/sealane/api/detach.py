"""The key sequence by which a person leaves an attached terminal without ending what runs in it. Pure.

Docker's server looks for it in the bytes that come from the client, so that every client gets it. The default is
ctrl-p, ctrl-q; ``detachKeys`` names another one: single characters or ``ctrl-`` with a letter or one of ``@[\\]^_``,
separated by commas.
"""

from __future__ import annotations

from typing import Final

DEFAULT: Final = bytes((16, 17))
_CONTROL: Final = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def parse_detach_keys(text: str) -> bytes:
    """The byte sequence for *text*; the default for ``""``. Raises ValueError naming *text*."""
    if not text:
        return DEFAULT
    return bytes(_key(name, text) for name in text.split(","))


def _key(name: str, whole: str) -> int:
    if len(name) == 1 and ord(name) < 128:
        return ord(name)
    lowered = name.lower()
    if lowered == "del":
        return 127
    if lowered.startswith("ctrl-") and len(lowered) == 6 and lowered[5] in _CONTROL:
        return _CONTROL.index(lowered[5])
    raise ValueError(whole)


class DetachFilter:
    """Watches a byte stream for one key sequence and holds back what may be its beginning."""

    __slots__ = ("_held", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What may be passed on of *data*, and whether the sequence is complete (what follows it is dropped)."""
        if not self._keys:
            return data, False
        if not self._held and self._keys[0] not in data:
            return data, False
        passed = bytearray()
        held = self._held
        for byte in data:
            held += bytes((byte,))
            while not self._keys.startswith(held):
                passed.append(held[0])
                held = held[1:]
            if held == self._keys:
                self._held = b""
                return bytes(passed), True
        self._held = held
        return bytes(passed), False

    def flush(self) -> bytes:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, b""
        return held
