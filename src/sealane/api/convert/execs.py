"""Execs in both directions. Pure."""

from __future__ import annotations

from sealane.api.convert.fields import check_env, check_working_dir
from sealane.api.detach import parse_detach_keys
from sealane.api.schema.base import Int
from sealane.api.schema.exec import Exec, ExecCreate, ProcessConfig
from sealane.engine.model import ExecRequest, ExecView
from sealane.errors import InvalidArgument


def exec_request(body: ExecCreate) -> ExecRequest:
    """``POST /containers/{id}/exec``. Raises InvalidArgument."""
    if not body.Cmd:
        raise InvalidArgument("No exec command specified")
    try:
        parse_detach_keys(body.DetachKeys)
    except ValueError:
        raise InvalidArgument(f"Invalid escape keys ({body.DetachKeys}) provided") from None
    return ExecRequest(
        command=tuple(body.Cmd),
        tty=body.Tty,
        attach_stdin=body.AttachStdin,
        attach_stdout=body.AttachStdout,
        attach_stderr=body.AttachStderr,
        detach_keys=body.DetachKeys,
        env=check_env(body.Env),
        working_dir=check_working_dir(body.WorkingDir),
        user=body.User,
        privileged=body.Privileged,
    )


def console_size(asked: list[Int] | None, tty: bool) -> tuple[int, int] | None:
    """(height, width) for a terminal; None for "not said". Raises InvalidArgument."""
    if not asked or asked == [0, 0]:
        return None
    if not tty:
        raise InvalidArgument("console size is only supported when TTY is enabled")
    if len(asked) != 2 or not all(0 < number < 65536 for number in asked):
        raise InvalidArgument(f"invalid ConsoleSize: {asked}: it should be height and width, each 1 to 65535")
    return asked[0], asked[1]


def inspected(view: ExecView) -> Exec:
    """``GET /exec/{id}/json``."""
    request = view.request
    return Exec(
        ID=view.id,
        Running=view.running,
        ExitCode=view.exit_code,
        ProcessConfig=ProcessConfig(
            tty=request.tty,
            entrypoint=request.command[0],
            arguments=list(request.command[1:]),
            privileged=request.privileged,
            user=request.user,
        ),
        OpenStdin=request.attach_stdin,
        OpenStderr=request.attach_stderr,
        OpenStdout=request.attach_stdout,
        ContainerID=view.container,
        DetachKeys=request.detach_keys,
        Pid=view.pid,
    )
