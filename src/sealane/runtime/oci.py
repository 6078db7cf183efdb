"""The OCI runtime (crun or runc) as a program: which one works here, and the verbs for which it is run.

crun is preferred: it starts a container in a third of runc's time. Whether it works is tried out, not guessed: an empty
container is created whose command does not exist. A runtime that gets as far as missing the command has made cgroups,
namespaces and mounts on this machine; whatever else it complains about is the reason why it is not taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from sealane.errors import Internal, Unavailable
from sealane.linux import cgroups
from sealane.runtime.failures import runtime_message
from sealane.runtime.spec import ContainerPlan, oci_config

_PREFERRED: Final = ("crun", "runc")
_FOUND_NO_COMMAND: Final = ("executable file not found", "no such file or directory")
_PROBE_COMMAND: Final = "/sealane-probe"
_PROBE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class OciRuntime:
    """One runtime. *root* is where it keeps its own state; ``reason`` says to a person why it was picked."""

    path: Path
    name: str
    version: str
    reason: str
    root: Path

    @property
    def is_runc(self) -> bool:
        return self.name == "runc"

    def arguments(self) -> tuple[str, ...]:
        """Options before every verb."""
        own = ("--log-format=json",) if self.is_runc else ()
        return (f"--root={self.root}", *own)

    def state_dir(self, identifier: str) -> Path:
        """Where the runtime keeps what it knows of a container."""
        return self.root / identifier

    async def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a verb, give its output. Raises Internal with what the runtime said."""
        process = await asyncio.create_subprocess_exec(
            self.path,
            *self.arguments(),
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(stdin or None)
        if process.returncode != 0:
            said = runtime_message(errors.decode(errors="replace"))
            raise Internal(f"{self.name} {' '.join(arguments[:2])}: {said or f'exit code {process.returncode}'}")
        return output

    async def kill(self, identifier: str, number: int, *, everyone: bool = False) -> None:
        await self.run("kill", *(("--all",) if everyone else ()), identifier, str(number))

    async def delete(self, identifier: str, *, force: bool = False) -> None:
        await self.run("delete", *(("--force",) if force else ()), identifier)

    async def pause(self, identifier: str) -> None:
        await self.run("pause", identifier)

    async def resume(self, identifier: str) -> None:
        await self.run("resume", identifier)

    async def update(self, identifier: str, resources: Mapping[str, Any]) -> None:
        """Change limits; *resources* is what ``spec.resources`` gives."""
        await self.run("update", "--resources", "-", identifier, stdin=msgspec.json.encode(resources))

    async def state(self, identifier: str) -> Mapping[str, Any]:
        """The OCI state document. Raises Internal when the runtime does not know the container."""
        found: Mapping[str, Any] = msgspec.json.decode(await self.run("state", identifier))
        return found


def pick(wanted: str, root: Path, cgroup_parent: str = "/sealane") -> OciRuntime:
    """Choose a runtime: *wanted* is auto, crun, runc, or a path. Takes up to some tenths of a second (it tries).

    Raises Unavailable, with what each one said, when none works.
    """
    root.mkdir(mode=0o711, parents=True, exist_ok=True)
    candidates = _PREFERRED if wanted == "auto" else (wanted,)
    refused: list[str] = []
    for candidate in candidates:
        path = _locate(candidate)
        if path is None:
            refused.append(f"{candidate} is not installed")
            continue
        name, version = _version(path)
        trouble = _try(path, root, cgroup_parent)
        if trouble is None:
            return OciRuntime(path, name, version, _reason(wanted, name, refused), root)
        refused.append(f"{candidate} does not work on this machine ({trouble})")
    raise Unavailable(f"no OCI runtime: {'; '.join(refused)}; install crun or runc")


def _reason(wanted: str, name: str, refused: Sequence[str]) -> str:
    if wanted != "auto":
        return "named in the configuration"
    return f"{'; '.join(refused)}; {name} works" if refused else f"{name} is the faster one and works"


def _locate(candidate: str) -> Path | None:
    found = shutil.which(candidate, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    return Path(found) if found else None


def _version(path: Path) -> tuple[str, str]:
    """``runc version 1.1.5+ds1`` → its name and its version; the file's name when it says nothing."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return path.name, ""
    words = done.stdout.split()
    return (words[0], words[2]) if len(words) > 2 and words[1] == "version" else (path.name, "")


def _try(path: Path, root: Path, cgroup_parent: str) -> str | None:
    """None when the runtime works here, else what it said."""
    with tempfile.TemporaryDirectory(prefix="probe-", dir=root) as folder:
        bundle = Path(folder)
        identifier = bundle.name
        (bundle / "rootfs").mkdir()
        plan = ContainerPlan(
            id=identifier,
            rootfs=bundle / "rootfs",
            args=(_PROBE_COMMAND,),
            cgroup_path=f"{cgroup_parent}/{identifier}",
        )
        (bundle / "config.json").write_bytes(msgspec.json.encode(oci_config(plan)))
        start = [str(path), f"--root={bundle / 'root'}"]
        try:
            done = subprocess.run(
                [*start, "create", f"--bundle={bundle}", identifier],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False,
            )  # fmt: skip
            if done.returncode == 0:
                subprocess.run([*start, "delete", "--force", identifier], capture_output=True, check=False)
                return None
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        finally:
            with contextlib.suppress(OSError):  # crun leaves its group behind when it fails half-way
                cgroups.remove(cgroups.layout(), plan.cgroup_path)
        said = runtime_message(done.stderr)
        return None if any(words in said.lower() for words in _FOUND_NO_COMMAND) else said
