"""Objects filed by id and by name, found by either or by the beginning of an id. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from sealane.errors import InvalidArgument

T = TypeVar("T")


class Directory(Generic[T]):
    """In the order of their filing. Looks up as Docker does: the full id, then the name, then a unique id prefix."""

    def __init__(self) -> None:
        self._by_id: dict[str, T] = {}
        self._names: dict[str, str] = {}
        self._name_of: dict[str, str] = {}

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def file(self, identifier: str, name: str, item: T) -> None:
        self.forget(identifier)
        self._by_id[identifier] = item
        self._names[name] = identifier
        self._name_of[identifier] = name

    def rename(self, identifier: str, new: str) -> None:
        self._names.pop(self._name_of.pop(identifier), None)
        self._names[new] = identifier
        self._name_of[identifier] = new

    def forget(self, identifier: str) -> None:
        if self._by_id.pop(identifier, None) is not None:
            self._names.pop(self._name_of.pop(identifier), None)

    def named(self, name: str) -> T | None:
        identifier = self._names.get(name)
        return None if identifier is None else self._by_id[identifier]

    def get(self, identifier: str) -> T | None:
        return self._by_id.get(identifier)

    def find(self, reference: str) -> T | None:
        """The object that *reference* means, or None. Raises InvalidArgument when a prefix fits several ids."""
        exact = self._by_id.get(reference) or self.named(reference)
        if exact is not None or not reference:
            return exact
        matches = [identifier for identifier in self._by_id if identifier.startswith(reference)]
        if len(matches) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {reference}")
        return self._by_id[matches[0]] if matches else None
