"""Containers of a test: a busybox root, a launch from a few words, what it printed, what is left of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sealane.linux import cgroups, process
from sealane.linux.mounts import mountinfo
from sealane.runtime.conmon import ExecProcess, Monitor
from sealane.runtime.launch import ExecLaunch, Launch
from sealane.runtime.logs import read_log
from sealane.runtime.oci import OciRuntime
from sealane.runtime.rootfs import mount_root, unmount_root
from sealane.runtime.spec import ContainerPlan, ExecPlan, exec_process, oci_config
from sealane.runtime.streams import Attached

T = TypeVar("T")
PATIENCE_S = 20.0
BUSYBOX = Path("/usr/bin/busybox")


def busybox_layer(folder: Path) -> Path:
    """Fill *folder* with a small root."""
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "data"):
        (folder / name).mkdir()
    (folder / "tmp").chmod(0o1777)
    (folder / "bin/busybox").write_bytes(BUSYBOX.read_bytes())
    (folder / "bin/busybox").chmod(0o755)
    for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            (folder / "bin" / name).symlink_to("busybox")
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/data:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\nweb:x:1000:\naudio:x:29:web\n")
    (folder / "data/kept").write_text("from the image\n")
    return folder


@dataclass(frozen=True, slots=True)
class Result:
    """How a container ended."""

    code: int
    out: str
    err: str


class RuntimeLab:
    """Makes containers below one directory, one cgroup and one event loop."""

    def __init__(self, folder: Path, layer: Path, runtime: OciRuntime, cgroup: str, runner: asyncio.Runner) -> None:
        self.folder = folder
        self.layer = layer
        self.run_dir = folder / "run"
        self.cgroup = cgroup
        self.layout = cgroups.layout()
        self.runtime = replace(runtime, root=self.run_dir / "oci")
        self._runner = runner
        self.monitor = self.run(self._monitor())
        self._made: list[str] = []
        self._streams: list[Attached] = []
        self._orphans: list[int] = []  # of engines that are no more: this process plays init for them

    async def _monitor(self) -> Monitor:
        return Monitor(self.runtime, self.run_dir)

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Run a test's story."""

        async def bounded() -> T:
            async with asyncio.timeout(4 * PATIENCE_S):
                return await story

        return self._runner.run(bounded())

    async def restart_engine(self) -> None:
        """Another engine takes over: it knows only what lies in the run directory."""
        recorded = [int(path.read_text()) for path in self.run_dir.glob("containers/*/conmon.pid")]
        self._orphans += [pid for pid in recorded if pid in process.children(os.getpid())]
        self.monitor.close()
        self.monitor = await self._monitor()

    async def move(self, run_dir: Path) -> None:
        """Use another run directory."""
        self.monitor.close()
        self.run_dir = run_dir
        self.runtime = replace(self.runtime, root=run_dir / "oci")
        self.monitor = await self._monitor()

    def root(self, identifier: str) -> Path:
        """The mounted root of a container."""
        home = self.folder / identifier
        home.mkdir(exist_ok=True)
        return mount_root(home, [self.layer], existing=True)

    def log(self, identifier: str) -> Path:
        return self.folder / identifier / "log"

    def group(self, identifier: str) -> str:
        return f"{self.cgroup}/{identifier}"

    def plan(self, identifier: str, *args: str, **changes: Any) -> ContainerPlan:
        env = ("PATH=/bin", *changes.pop("env", ()))
        return ContainerPlan(
            id=identifier,
            rootfs=self.root(identifier),
            args=args,
            env=env,
            hostname=identifier,
            cgroup_path=self.group(identifier),
            **changes,
        )

    def launch(self, plan: ContainerPlan, **options: Any) -> Launch:
        self.adopt(plan.id)
        options.setdefault("log_path", self.log(plan.id))
        return Launch(id=plan.id, config=oci_config(plan), **options)

    def adopt(self, identifier: str) -> None:
        """See to it that a container is gone at the end, whoever makes it."""
        if identifier not in self._made:
            self._made.append(identifier)

    async def create(self, identifier: str, *args: str, options: dict[str, Any] | None = None, **changes: Any) -> int:
        """Create; the pid of what waits to be released."""
        plan = self.plan(identifier, *args, **changes)
        return (await self.monitor.create(self.launch(plan, **(options or {})))).pid

    async def start(self, identifier: str, *args: str, options: dict[str, Any] | None = None, **changes: Any) -> int:
        pid = await self.create(identifier, *args, options=options, **changes)
        await self.monitor.start(identifier)
        return pid

    async def result(self, identifier: str) -> Result:
        """Wait for the end."""
        code = await self.monitor.wait_exit(identifier)
        return Result(code, await self.printed(identifier, 1), await self.printed(identifier, 2))

    async def outcome(self, identifier: str, *args: str, **changes: Any) -> Result:
        """Start, wait, delete."""
        await self.start(identifier, *args, **changes)
        result = await self.result(identifier)
        await self.monitor.delete(identifier)
        return result

    async def shell(self, script: str, identifier: str = "c1", **changes: Any) -> Result:
        return await self.outcome(identifier, "sh", "-c", script, **changes)

    async def printed(self, identifier: str, stream: int = 1) -> str:
        """What the log holds of a stream."""
        entries = read_log(self.log(identifier), tail=None, since_ns=0, until_ns=0, finished=None)
        return b"".join([line.data async for line in entries if line.stream == stream]).decode()

    async def says(self, identifier: str, text: str) -> None:
        """Wait until a container has printed *text*."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in (said := await self.printed(identifier)):
            assert time.monotonic() < deadline, f"{identifier} did not say {text!r} but {said!r}"
            await asyncio.sleep(0.005)

    async def exec(self, container: str, *args: str, name: str = "e1", **options: Any) -> ExecProcess:
        """Run one process more; options of ExecLaunch or of ExecPlan."""
        own = {key: options.pop(key) for key in ("stdin", "attach") if key in options}
        plan = ExecPlan(args=args, env=("PATH=/bin",), **options)
        launch = ExecLaunch(id=name, container=container, process=exec_process(plan), **own)
        made = await self.monitor.exec(launch)
        if launch.attach:
            self._streams.append(made.streams)
        return made

    async def attach(self, identifier: str) -> Attached:
        """Connected, at the latest until the test's end."""
        self._streams.append(await self.monitor.attach(identifier))
        return self._streams[-1]

    def close(self) -> None:
        self.run(self._close())
        self.monitor.close()
        for pid in set(self._orphans):
            os.waitpid(pid, 0)

    async def _close(self) -> None:
        for streams in self._streams:
            await streams.close()
        for identifier in self._made:
            await self.monitor.delete(identifier)
        for home in self.folder.iterdir():
            unmount_root(home)


async def until(true: Callable[[], bool], what: str) -> None:
    """Poll until *true*, or fail when patience has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"in vain waited until {what}"
        await asyncio.sleep(0.005)


async def read_all(streams: Any) -> dict[int, bytes]:
    """Everything from an attached process until its end."""
    found = {1: b"", 2: b""}
    while (piece := await streams.read()) is not None:
        found[piece[0]] += piece[1]
    return found


async def read_until(streams: Any, text: bytes) -> bytes:
    """What comes from an attached process until *text* has come."""
    found = b""
    while text not in found:
        piece = await asyncio.wait_for(streams.read(), PATIENCE_S)
        assert piece is not None, f"ended before {text!r}, after {found!r}"
        found += piece[1]
    return found


def leftovers(lab: RuntimeLab) -> list[str]:
    """What containers have left on the machine: processes, cgroups, mounts, files of the run directory."""
    found = [f"process {pid}: {line}" for pid in process.pids() if (line := _command_line(pid, lab))]
    for folder in lab.layout.folders(lab.cgroup):
        if folder.exists():
            found += [f"cgroup {path}" for path in folder.iterdir() if path.is_dir()]
    found += [f"mount {item.target}" for item in mountinfo() if item.target.is_relative_to(lab.folder)]
    for name in ("oci", "exits"):
        if (lab.run_dir / name).exists():
            found += [f"file {path}" for path in (lab.run_dir / name).iterdir()]
    for bundle in (lab.run_dir / "containers").iterdir():
        found += [f"file {path}" for path in bundle.iterdir() if path.name != "config.json"]
    return found


def _command_line(pid: int, lab: RuntimeLab) -> str:
    """What a process is, when it is one of the lab's or a zombie that nobody here has waited for."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        groups = Path(f"/proc/{pid}/cgroup").read_text()
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return ""
    if state in "ZX":  # one that init has inherited is init's to reap, when it likes
        return "zombie" if int(parent) == os.getpid() else ""
    return line if pid != os.getpid() and (str(lab.run_dir) in line or f"{lab.cgroup}/" in groups) else ""


def remove_empty_groups(layout: cgroups.CgroupLayout, parent: str) -> None:
    """Remove *parent* from every hierarchy, and the group above it when nobody else is in it."""
    for path in (parent, os.path.dirname(parent)):
        for folder in layout.folders(path):
            try:
                folder.rmdir()
            except OSError:
                continue
