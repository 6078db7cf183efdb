"""Volumes of the local driver: a directory each, below ROOT/volumes.

A volume is made when somebody names it, and removed when somebody asks and no container, running or not, uses it. What
lies in it is never touched by the engine, except that a new volume takes over what the image has at its mount point.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sealane.engine.context import Context
from sealane.engine.events import Events
from sealane.engine.model import Pruned, VolumeView
from sealane.engine.records import VolumeRecord
from sealane.errors import Conflict, Internal, InvalidArgument, NotFound
from sealane.runtime.rootfs import disk_usage, is_mount, mount_volume, unmount_volume
from sealane.store.codec import decode, encode
from sealane.store.database import Database
from sealane.values import ContainerId

_NAME: Final = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
#: Begins the name of a directory that is being deleted; no volume's name can.
_TRASH: Final = ".removed-"
_OPTIONS: Final = frozenset({"type", "o", "device", "size"})


class Volumes:
    """Every volume of this engine. *users* tells which containers mount a volume."""

    def __init__(
        self, context: Context, database: Database, events: Events, users: Callable[[str], tuple[ContainerId, ...]]
    ) -> None:
        self._context = context
        self._database = database
        self._events = events
        self._users = users
        self._records = {name: decode(body, VolumeRecord) for name, body in database.objects("volume")}

    def path(self, name: str) -> Path:
        """Where a volume's data lie, whether or not it exists."""
        return self._context.layout.volumes / name / "_data"

    async def create(
        self,
        name: str = "",
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        anonymous: bool = False,
    ) -> VolumeView:
        """Make a volume, or find the one of that name (then driver and options must agree)."""
        name = name or self._context.new_id()
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
            )
        if driver not in ("", "local"):
            raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
        unknown = sorted(set(options or {}) - _OPTIONS)
        if unknown:
            raise InvalidArgument(f'create {name}: invalid option: "{unknown[0]}"')
        existing = self._records.get(name)
        if existing is not None:
            if options and dict(options) != dict(existing.options):
                raise Conflict(f"create {name}: conflict: volume name must be unique")
            return self.view(name)
        record = VolumeRecord(
            name=name,
            driver="local",
            created_ns=self._context.clock.now_ns(),
            labels=dict(labels or {}),
            options=dict(options or {}),
            anonymous=anonymous,
        )
        try:
            self.path(name).parent.mkdir(mode=0o701, parents=True, exist_ok=True)
            self.path(name).mkdir(mode=0o755, exist_ok=True)
        except OSError as error:
            raise Internal(f"create {name}: {error.filename}: {error.strerror}") from error
        self._database.put_object("volume", name, name, encode(record))
        self._records[name] = record
        self._events.emit("volume", "create", name, {"driver": "local"})
        return self.view(name)

    def view(self, name: str) -> VolumeView:
        record = self._records.get(name)
        if record is None:
            raise NotFound(f"get {name}: no such volume")
        return VolumeView(
            name=name,
            driver=record.driver,
            mountpoint=self.path(name),
            created_ns=record.created_ns,
            labels=record.labels,
            options=record.options,
            anonymous=record.anonymous,
            used_by=self._users(name),
        )

    def views(self) -> list[VolumeView]:
        return [self.view(name) for name in sorted(self._records)]

    def ensure_mounted(self, name: str) -> None:
        """Mount a volume that was made with mount options, unless it is mounted already."""
        record = self._records.get(name)
        if record is None or not record.options.get("device"):
            return
        target = self.path(name)
        if is_mount(target):
            return
        options = record.options
        try:
            mount_volume(options["device"], target, options.get("type", ""), options.get("o", ""))
        except OSError as error:
            raise Internal(f"failed to mount local volume: {error}") from error

    async def remove(self, name: str, force: bool = False) -> None:
        """Delete a volume and its data. Raises Conflict naming the containers that use it."""
        if name not in self._records:
            if force:
                return
            raise NotFound(f"get {name}: no such volume")
        users = self._users(name)
        if users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
        self._database.delete_object("volume", name)
        del self._records[name]
        unmount_volume(self.path(name))
        trash = self._context.layout.volumes / f"{_TRASH}{self._context.new_id()}"
        with contextlib.suppress(FileNotFoundError):
            self.path(name).parent.rename(trash)  # the name is free at once, however long the deletion takes
        self._events.emit("volume", "destroy", name, {"driver": "local"})
        await asyncio.to_thread(shutil.rmtree, trash, ignore_errors=True)

    async def sweep(self) -> None:
        """Go on with deletions that a killed engine has begun."""
        for folder in self._context.layout.volumes.glob(f"{_TRASH}*"):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def prune(self, keep: Callable[[VolumeView], bool]) -> Pruned:
        """Remove every unused volume that *keep* does not want."""
        removed, reclaimed = [], 0
        for view in self.views():
            if view.used_by or keep(view):
                continue
            size = await asyncio.to_thread(disk_usage, view.mountpoint)
            try:
                await self.remove(view.name)
            except (Conflict, NotFound):
                continue  # it came into use, or somebody else removed it
            reclaimed += size
            removed.append(view.name)
        self._events.emit("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return Pruned(tuple(removed), reclaimed)
