"""The state file: all or nothing, unique names, migrations, and what happens when it cannot be written."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealane.errors import Conflict, Internal
from sealane.store.database import MIGRATIONS, Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with contextlib.closing(Database(path)) as made:
        yield made


def reopened(path: Path) -> contextlib.closing[Database]:
    return contextlib.closing(Database(path))


def attempt(database: Database, *writes: tuple[str, bytes], error: Exception | None = None) -> None:
    """States in one transaction, and then *error*."""
    with database.transaction():
        for identifier, body in writes:
            database.put_state(identifier, body)
        if error is not None:
            raise error


def test_what_was_written_is_there_again(database: Database, path: Path) -> None:
    database.put_object("network", "n1", "red", b"1")
    database.put_state("c1", b"2")
    database.put_image_ref("busybox:latest", "sha256:1", "sha256:2")
    database.put_meta("host-id", "h")
    database.close()

    with reopened(path) as again:
        assert again.objects("network") == [("n1", b"1")]
        assert again.states() == {"c1": b"2"}
        assert again.image_refs() == [("busybox:latest", "sha256:1", "sha256:2")]
        assert (again.meta("host-id"), again.meta("other")) == ("h", None)


def test_an_object_is_replaced_and_may_change_its_name(database: Database) -> None:
    database.put_object("container", "c1", "web", b"1")
    database.put_object("container", "c1", "shop", b"2")
    database.put_object("container", "c2", "web", b"3")

    assert sorted(database.objects("container")) == [("c1", b"2"), ("c2", b"3")]


def test_a_name_is_unique_within_its_kind(database: Database) -> None:
    database.put_object("container", "c1", "web", b"1")
    database.put_object("network", "n1", "web", b"2")

    with pytest.raises(Conflict, match=r"^container with name web already exists$"):
        database.put_object("container", "c2", "web", b"3")
    assert database.objects("container") == [("c1", b"1")]


def test_deleting_what_is_not_there_is_no_error(database: Database) -> None:
    database.delete_object("container", "c1")
    database.delete_state("c1")
    database.delete_image_ref("x")


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    with pytest.raises(ValueError, match="half-way"):
        attempt(database, ("c1", b"1"), error=ValueError("half-way"))
    assert database.states() == {}

    with database.transaction():
        database.put_object("container", "c1", "web", b"1")
        database.put_state("c1", b"2")
    assert (database.objects("container"), database.states()) == ([("c1", b"1")], {"c1": b"2"})


def test_a_nested_transaction_belongs_to_the_outer_one(database: Database) -> None:
    def late() -> None:
        with database.transaction():
            attempt(database, ("c1", b"1"))
            raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        late()
    assert database.states() == {}


def test_a_clash_inside_a_transaction_takes_everything_back(database: Database) -> None:
    database.put_object("container", "c1", "web", b"1")

    def clash() -> None:
        with database.transaction():
            database.put_state("c2", b"2")
            database.put_object("container", "c2", "web", b"2")

    with pytest.raises(Conflict):
        clash()
    assert database.states() == {}
    with database.transaction():
        database.put_state("c3", b"3")
    assert database.states() == {"c3": b"3"}


def test_what_another_process_has_locked_is_refused_in_words_and_works_afterwards(
    database: Database, path: Path
) -> None:
    database._connection.execute("PRAGMA busy_timeout = 0")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Internal, match=rf"^cannot write {path}: database is locked$"):
            attempt(database)
        with pytest.raises(Internal, match="database is locked"):
            database.put_state("c1", b"1")
        other.execute("ROLLBACK")

    with pytest.raises(ValueError, match="undone"):
        attempt(database, ("c1", b"1"), error=ValueError("undone"))
    assert database.states() == {}


def test_a_full_disk_is_refused_in_words_and_works_when_there_is_room(database: Database) -> None:
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Internal, match="database or disk is full"):
        attempt(database, ("small", b"1"), ("large", b"x" * 1_000_000))
    assert database.states() == {}
    database._connection.execute("PRAGMA max_page_count = 100000")
    with database.transaction():
        database.put_state("large", b"x" * 1_000_000)
    assert list(database.states()) == ["large"]


def test_events_come_in_their_order_and_are_trimmed(database: Database) -> None:
    for time_ns, body in ((5, b"a"), (5, b"b"), (9, b"c"), (12, b"d")):
        newest = database.add_event(time_ns, body)

    assert newest == 4
    assert database.events(5, 9) == [b"a", b"b", b"c"]
    database.trim_events(2)
    assert database.events(0, 99) == [b"c", b"d"]
    assert database.add_event(13, b"e") == 5


def test_a_newer_schema_is_not_touched(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(Internal, match=r"schema version \d+ is newer"):
        Database(path)


def test_every_migration_is_applied_once(path: Path) -> None:
    for _ in range(2):
        with reopened(path) as database:
            assert database._connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_it_survives_a_kill(database: Database, path: Path) -> None:
    """What was committed is on the disk at once: a copy of the files, taken while it is open, holds it."""
    database.put_state("c1", b"1")
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    wal = path.with_name("state.db-wal")
    copy.with_name("copy.db-wal").write_bytes(wal.read_bytes())

    with reopened(copy) as again:
        assert again.states() == {"c1": b"1"}
