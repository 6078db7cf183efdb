"""Durable state: one SQLite file, in write-ahead mode, with a schema version and migrations from the first day.

    /var/lib/sealane/
    └── state.db          schema version in ``PRAGMA user_version``
        ├── objects       (kind, id) → name, body        networks, containers, volumes: JSON, see ``codec``
        ├── states        (id) → body                    the part of a container that changes while it lives
        ├── image_refs    ref → image id, digest         names of images
        ├── events        seq → time_ns, body            the durable history, cut to a bounded length
        └── meta          key → value                    the engine's own id and the like

Contract: a method that writes returns after the commit reached the disk, or raises Internal when it cannot. An
exception inside ``transaction``, which groups several writes, takes all of them back. One connection, used from the
engine's event loop thread only; a commit here takes well under a millisecond. Names are unique within a kind; a clash
is a Conflict with nothing written.

Out of scope: what the bodies mean.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sealane.errors import Conflict, Internal

#: Each entry takes the schema from version N to N + 1. Entries are only ever appended.
MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE objects (kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
                          PRIMARY KEY (kind, id)) WITHOUT ROWID;
    CREATE UNIQUE INDEX objects_by_name ON objects (kind, name);
    CREATE TABLE states (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE image_refs (ref TEXT PRIMARY KEY, image TEXT NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE INDEX events_by_time ON events (time_ns);
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)


class Database:
    """The engine's state file. ``close`` is idempotent."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._path = path
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._migrate(path)

    def _migrate(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise Internal(
                f"cannot open {path}: its schema version {version} is newer than this Sealane's {len(MIGRATIONS)}"
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            self._connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside together, or nothing. Nested uses join the outer one.

        Raises Internal when the file cannot be written (a full disk).
        """
        if self._inside():
            yield
            return
        self._write("BEGIN IMMEDIATE")
        try:
            yield
            self._write("COMMIT")
        except BaseException:
            if self._inside():  # some failures have taken it back already
                self._connection.execute("ROLLBACK")
            raise

    def _inside(self) -> bool:
        return self._connection.in_transaction

    def _write(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise Internal(f"cannot write {self._path}: {error}") from error

    # objects and states

    def put_object(self, kind: str, identifier: str, name: str, body: bytes) -> None:
        """Insert or replace. Raises Conflict when another object of *kind* has *name*."""
        try:
            self._write(
                "INSERT INTO objects VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET name = excluded.name, body = excluded.body",
                (kind, identifier, name, body),
            )
        except sqlite3.IntegrityError as error:
            raise Conflict(f"{kind} with name {name} already exists") from error

    def delete_object(self, kind: str, identifier: str) -> None:
        self._write("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, identifier))

    def objects(self, kind: str) -> list[tuple[str, bytes]]:
        """All ``(id, body)`` of *kind*."""
        return self._connection.execute("SELECT id, body FROM objects WHERE kind = ?", (kind,)).fetchall()

    def put_state(self, identifier: str, body: bytes) -> None:
        self._write("INSERT OR REPLACE INTO states VALUES (?, ?)", (identifier, body))

    def delete_state(self, identifier: str) -> None:
        self._write("DELETE FROM states WHERE id = ?", (identifier,))

    def states(self) -> dict[str, bytes]:
        return dict(self._connection.execute("SELECT id, body FROM states").fetchall())

    # image references

    def put_image_ref(self, ref: str, image: str, digest: str) -> None:
        self._write("INSERT OR REPLACE INTO image_refs VALUES (?, ?, ?)", (ref, image, digest))

    def delete_image_ref(self, ref: str) -> None:
        self._write("DELETE FROM image_refs WHERE ref = ?", (ref,))

    def image_refs(self) -> list[tuple[str, str, str]]:
        """All ``(ref, image id, repo digest or "")``."""
        return self._connection.execute("SELECT ref, image, digest FROM image_refs").fetchall()

    # events

    def add_event(self, time_ns: int, body: bytes) -> int:
        """Append; returns the event's sequence number."""
        return int(self._write("INSERT INTO events (time_ns, body) VALUES (?, ?)", (time_ns, body)).lastrowid or 0)

    def events(self, since_ns: int, until_ns: int) -> list[bytes]:
        """Bodies with ``since_ns <= time <= until_ns``, oldest first."""
        rows = self._connection.execute(
            "SELECT body FROM events WHERE time_ns BETWEEN ? AND ? ORDER BY seq", (since_ns, until_ns)
        )
        return [body for (body,) in rows]

    def trim_events(self, keep: int) -> None:
        """Forget all but the newest *keep* events."""
        self._write("DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?", (keep,))

    # meta

    def meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put_meta(self, key: str, value: str) -> None:
        self._write("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
