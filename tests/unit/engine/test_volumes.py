"""Volumes of the local driver, in a directory of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sealane.engine.events import Events
from sealane.engine.model import VolumeView
from sealane.engine.volumes import Volumes
from sealane.errors import Conflict, InvalidArgument, NotFound
from sealane.store.database import Database
from sealane.values import ContainerId
from unit.engine.making import StoppedClock, context, identifier


class Place:
    """Volumes below a temporary directory; ``uses`` says who mounts what."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        self.context = context(root)
        self.events = Events(database, StoppedClock())
        self.uses: dict[str, tuple[ContainerId, ...]] = {}
        self.volumes = self.opened()

    def opened(self) -> Volumes:
        return Volumes(self.context, self.database, self.events, lambda name: self.uses.get(name, ()))

    def create(self, name: str = "", **how: object) -> VolumeView:
        return asyncio.run(self.volumes.create(name, **how))  # type: ignore[arg-type]

    def remove(self, name: str, *, force: bool = False) -> None:
        asyncio.run(self.volumes.remove(name, force))

    def entries(self) -> list[str]:
        return sorted(path.name for path in self.context.layout.volumes.iterdir())

    def told(self) -> list[tuple[str, str]]:
        return [(event.action, event.actor) for event in self.events.history(0, 1 << 62)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contextlib.closing(Database(tmp_path / "state.db")) as database:
        yield Place(tmp_path, database)


def test_a_volume_is_a_directory(place: Place) -> None:
    view = place.create("data", labels={"a": "1"})

    assert view.mountpoint == place.root / "root" / "volumes" / "data" / "_data"
    assert view.mountpoint.is_dir()
    assert stat.S_IMODE(view.mountpoint.stat().st_mode) == 0o755
    assert (view.driver, view.labels, view.anonymous) == ("local", {"a": "1"}, False)
    assert place.told() == [("create", "data")]


def test_one_without_a_name_gets_one(place: Place) -> None:
    assert len(place.create().name) == 64


def test_a_second_create_finds_the_first(place: Place) -> None:
    first = place.create("data", labels={"a": "1"})

    assert place.create("data", labels={"b": "2"}) == first
    assert place.told() == [("create", "data")]


def test_other_options_are_a_conflict(place: Place) -> None:
    place.create("data", options={"type": "tmpfs", "device": "tmpfs"})
    place.create("data")
    place.create("data", options={"device": "tmpfs", "type": "tmpfs"})

    with pytest.raises(Conflict, match="volume name must be unique"):
        place.create("data", options={"type": "nfs"})


@pytest.mark.parametrize("name", ["a", ".removed-x", "a b", "../x", "a/b", "ab\n", "-ab", "ä1"])
def test_a_bad_name_is_refused(place: Place, name: str) -> None:
    with pytest.raises(InvalidArgument, match="includes invalid characters for a local volume name"):
        place.create(name)
    assert not place.context.layout.volumes.exists()


def test_an_unknown_driver_and_an_unknown_option(place: Place) -> None:
    with pytest.raises(NotFound, match='plugin "nfs" not found'):
        place.create("data", driver="nfs")
    with pytest.raises(InvalidArgument, match='create data: invalid option: "foo"'):
        place.create("data", options={"foo": "1"})


def test_they_are_there_after_a_restart(place: Place) -> None:
    place.create("data", labels={"a": "1"})

    assert [view.name for view in place.opened().views()] == ["data"]
    assert place.opened().view("data").labels == {"a": "1"}


def test_one_in_use_stays_and_the_users_are_named(place: Place) -> None:
    place.create("data")
    place.uses["data"] = (ContainerId(identifier(1)), ContainerId(identifier(2)))

    with pytest.raises(Conflict) as caught:
        place.remove("data", force=True)
    assert caught.value.message == f"remove data: volume is in use - [{identifier(1)}, {identifier(2)}]"
    assert place.volumes.view("data").used_by == place.uses["data"]


def test_removing_takes_everything_away(place: Place) -> None:
    view = place.create("data")
    (view.mountpoint / "file").write_text("x")
    place.remove("data")

    assert place.entries() == []
    assert place.opened().views() == []
    assert place.told() == [("create", "data"), ("destroy", "data")]


def test_removing_what_is_not_there(place: Place) -> None:
    place.remove("data", force=True)
    with pytest.raises(NotFound, match=r"^get data: no such volume$"):
        place.remove("data")


def test_the_name_is_free_while_the_old_data_are_still_being_deleted(place: Place) -> None:
    (place.create("data").mountpoint / "old").write_text("x")

    async def both() -> VolumeView:
        removing = asyncio.ensure_future(place.volumes.remove("data"))
        await asyncio.sleep(0)
        view = await place.volumes.create("data")
        (view.mountpoint / "new").write_text("y")
        await removing
        return view

    view = asyncio.run(both())
    assert [path.name for path in view.mountpoint.iterdir()] == ["new"]


def test_a_deletion_that_was_cut_off_is_finished(place: Place) -> None:
    place.create("data")
    (place.context.layout.volumes / ".removed-x" / "_data").mkdir(parents=True)
    asyncio.run(place.volumes.sweep())

    assert place.entries() == ["data"]


def test_prune_removes_what_nobody_uses_and_nobody_keeps(place: Place) -> None:
    for name in ("kept", "old", "used"):
        (place.create(name).mountpoint / "file").write_bytes(b"x" * 100)
    place.uses["used"] = (ContainerId(identifier(1)),)
    pruned = asyncio.run(place.volumes.prune(lambda view: view.name == "kept"))

    assert (pruned.names, pruned.reclaimed) == (("old",), 100)
    assert place.entries() == ["kept", "used"]
