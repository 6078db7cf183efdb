"""The error of ``confined``."""

from __future__ import annotations


class Refusal(Exception):
    """What is told to the engine: a kind and a message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
