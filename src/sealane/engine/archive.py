"""Files in and out of containers: ``cp``, ``export``, ``diff``. The work is done by ``runtime.confined``, in a
child process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Final

from sealane.engine.bundles import Bundles
from sealane.engine.container import Container
from sealane.engine.containers import Containers
from sealane.engine.model import PathStat
from sealane.errors import Forbidden, Internal, InvalidArgument, NotFound, SealaneError

_CHUNK: Final = 1 << 16
_KINDS: Final = {"not-found": NotFound, "invalid": InvalidArgument, "forbidden": Forbidden}


class Archives:
    """The verbs that move files."""

    def __init__(self, containers: Containers, bundles: Bundles) -> None:
        self._containers = containers
        self._bundles = bundles

    async def stat(self, reference: str, path: str) -> PathStat:
        """What a path in the container is. Raises NotFound in Docker's words."""
        container = self._containers.get(reference)
        async with self._child(container, "stat", path) as child:
            assert child.stdout is not None
            text = await child.stdout.read()
        answer = json.loads(text)
        return PathStat(**answer)

    async def get(self, reference: str, path: str) -> AsyncIterator[bytes]:
        """A tar archive of a path."""
        container = self._containers.get(reference)
        async with self._child(container, "get", path) as child:
            assert child.stdout is not None
            while chunk := await child.stdout.read(_CHUNK):
                yield chunk
        self._containers.emit("archive-path", container)

    async def export(self, reference: str) -> AsyncIterator[bytes]:
        """A tar archive of the whole root."""
        container = self._containers.get(reference)
        async with self._child(container, "export", "/", by_root=True) as child:
            assert child.stdout is not None
            while chunk := await child.stdout.read(_CHUNK):
                yield chunk
        self._containers.emit("export", container)

    async def put(
        self,
        reference: str,
        path: str,
        body: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        """Extract a tar archive into an existing directory."""
        container = self._containers.get(reference)
        if container.record.request.read_only and not container.running:
            raise Forbidden("container rootfs is marked read-only")
        flags: tuple[str, ...] = ("--no-overwrite-dir-non-dir",) if no_overwrite_dir_non_dir else ()
        async with self._child(container, "put", path, *flags) as child:
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                async for chunk in body:
                    child.stdin.write(chunk)
                    await child.stdin.drain()
                child.stdin.close()
        self._containers.emit("extract-to-dir", container)

    async def changes(self, reference: str) -> list[tuple[int, str]]:
        return await self._bundles.changes(self._containers.get(reference))

    @contextlib.asynccontextmanager
    async def _child(
        self, container: Container, verb: str, path: str, *flags: str, by_root: bool = False
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The helper process on the container's files; its refusal becomes our error when the body is done."""
        async with self._bundles.mounted(container) as root:
            where = ("--pid", str(container.state.pid)) if container.running and not by_root else ("--root", str(root))
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "sealane.runtime.confined", *where, *flags, verb, path or "/",
                stdin=asyncio.subprocess.PIPE if verb == "put" else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                yield child
                assert child.stderr is not None
                complaint = await child.stderr.read()
                if await child.wait() != 0:
                    raise _error(complaint, container)
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()


def _error(complaint: bytes, container: Container) -> SealaneError:
    try:
        told = json.loads(complaint.splitlines()[-1])
    except (ValueError, IndexError):
        return Internal(f"cannot reach the files of container {container.name}: {complaint.decode(errors='replace')}")
    message = str(told["message"])
    if told["kind"] == "not-found":
        message = f"{message} {container.name}"
    return _KINDS.get(told["kind"], Internal)(message)
