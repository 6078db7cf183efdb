"""Execs. Pure."""

from __future__ import annotations

from sealane.api.schema.base import Int, Wire


class ExecCreate(Wire):
    """The body of ``POST /containers/{id}/exec``."""

    User: str = ""
    Privileged: bool = False
    Tty: bool = False
    ConsoleSize: list[Int] | None = None
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    Detach: bool = False
    DetachKeys: str = ""
    Env: list[str] | None = None
    WorkingDir: str = ""
    Cmd: list[str] | None = None


class ExecStart(Wire):
    """The body of ``POST /exec/{id}/start``."""

    Detach: bool = False
    Tty: bool = False
    ConsoleSize: list[Int] | None = None


class ExecCreated(Wire):
    Id: str


class ProcessConfig(Wire):
    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str = ""


class Exec(Wire):
    """An exec as inspect shows it."""

    ID: str
    Running: bool
    ExitCode: Int | None
    ProcessConfig: ProcessConfig
    OpenStdin: bool
    OpenStderr: bool
    OpenStdout: bool
    CanRemove: bool = False
    ContainerID: str = ""
    DetachKeys: str = ""
    Pid: Int = 0
