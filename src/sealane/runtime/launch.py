"""What conmon is told to run: the request types and the command lines. Pure.

Source: conmon(8), version 2.1. With ``--sync`` conmon stays the child that was started instead of forking away, so that
its pid is known without a file; it makes its own session all the same and outlives the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sealane.runtime.spec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One container to be created. *stdin_once* closes its input when the first attached client goes."""

    id: str
    config: Json  # of spec.oci_config
    stdin: bool = False
    stdin_once: bool = False
    log_path: Path | None = None  # None: output is not kept
    log_max_bytes: int = 0  # 0: the log grows

    @property
    def terminal(self) -> bool:
        return bool(self.config["process"]["terminal"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecLaunch:
    """One process more in a running container. Without *attach* its output goes nowhere."""

    id: str
    container: str
    process: Json  # of spec.exec_process
    stdin: bool = False
    attach: bool = True

    @property
    def terminal(self) -> bool:
        return bool(self.process["terminal"])


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs and the runtime's own options."""

    conmon: Path
    runtime: Path
    runtime_arguments: tuple[str, ...]


def create_command(programs: Programs, launch: Launch, bundle: Path, exits: Path) -> list[str]:
    """conmon's command line for a container whose ``config.json`` lies in *bundle*."""
    command = [
        *_common(programs, launch.id, launch.id, bundle),
        f"--exit-dir={exits}",
        f"--log-path={f'k8s-file:{launch.log_path}' if launch.log_path else 'none'}",
    ]
    if launch.log_path and launch.log_max_bytes > 0:
        command.append(f"--log-size-max={launch.log_max_bytes}")
    if launch.stdin:
        command.append("--stdin")
        # Docker never ends a terminal's input: whoever attaches next goes on with it
        if launch.terminal or not launch.stdin_once:
            command.append("--leave-stdin-open")
    if launch.terminal:
        command.append("--terminal")
    return command


def exec_command(programs: Programs, launch: ExecLaunch, folder: Path) -> list[str]:
    """conmon's command line for an exec whose process document lies in *folder*."""
    command = [
        *_common(programs, launch.container, launch.id, folder),
        "--exec",
        f"--exec-process-spec={folder / 'process.json'}",
        "--log-path=none",
    ]
    if launch.attach:
        command.append("--exec-attach")
    if launch.stdin:
        command.append("--stdin")
        if launch.terminal:
            command.append("--leave-stdin-open")
    if launch.terminal:
        command.append("--terminal")
    return command


def _common(programs: Programs, container: str, unique: str, folder: Path) -> list[str]:
    return [
        str(programs.conmon),
        "--sync",
        "--api-version=1",
        f"--cid={container}",
        f"--cuuid={unique}",
        f"--runtime={programs.runtime}",
        *(f"--runtime-arg={argument}" for argument in programs.runtime_arguments),
        f"--bundle={folder}",
        f"--container-pidfile={folder / 'pid'}",
        "--full-attach",  # the attach socket lies in the bundle, however long its path is
        "--log-level=error",
        "--no-sync-log",  # an fsync at every exit would cost the disk's time; the log is not the state
    ]
