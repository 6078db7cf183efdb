"""The key sequence that detaches from a container."""

from __future__ import annotations

from sealane.client import user_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args

DEFAULT_KEYS: Final = "ctrl-p,ctrl-q"


def wanted_keys(app: App, args: Args) -> str:
    """The keys as asked for, else as the user configured them; empty for the usual ones."""
    return args.text("detach-keys") or user_config.text(app.environ, "detachKeys")


def parse_keys(text: str) -> bytes:
    """``ctrl-p,ctrl-q`` or single characters, separated by commas. Raises ValueError."""
    codes = bytearray()
    for key in (text or DEFAULT_KEYS).split(","):
        if key.startswith("ctrl-") and len(key) == 6 and ("a" <= key[5].lower() <= "z" or key[5] in "@[\\]^_"):
            codes.append(ord(key[5].upper()) - 64)
        elif len(key) == 1 and key.isascii():
            codes.append(ord(key))
        else:
            raise ValueError(f"invalid detach keys ({text}) provided")
    return bytes(codes)


class DetachWatch:
    """Looks for the sequence in what is typed. What may be its beginning is held back until the next key decides."""

    __slots__ = ("_held", "_keys", "detached")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0
        self.detached = False

    def feed(self, typed: bytes) -> bytes:
        """The part of *typed* to pass on; sets ``detached`` once the sequence is complete."""
        out = bytearray()
        for code in typed:
            if code == self._keys[self._held]:
                self._held += 1
                if self._held == len(self._keys):
                    self.detached = True
                    return bytes(out)
                continue
            out += self._keys[: self._held]
            self._held = 1 if code == self._keys[0] else 0
            if not self._held:
                out.append(code)
            elif len(self._keys) == 1:
                self.detached = True
                return bytes(out)
        return bytes(out)
