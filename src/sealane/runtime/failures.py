"""What the OCI runtime says when it could not start a process → an error in Docker's words. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from sealane.errors import Internal, InvalidArgument, SealaneError

_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127
_NOT_STARTED: Final = 128

_CREATE_PREFIX: Final = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
_EXEC_PREFIX: Final = "OCI runtime exec failed: "
_MOUNT_HINT: Final = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is "
    "the expected type"
)
_MISSING: Final = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_LOGRUS: Final = re.compile(r'level=(?:error|fatal) msg="((?:[^"\\]|\\.)*)"')


class CommandRefused(InvalidArgument):
    """The command does not exist or cannot be run; ``exit_code`` is 127 or 126, as a shell would say."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StartFailed(Internal):
    """The runtime could not make the process, for a reason that is not the command's; ``exit_code`` is 128."""

    exit_code = _NOT_STARTED


def runtime_message(stderr: str) -> str:
    """The last error in what a runtime printed: JSON lines (``--log-format json``), runc's text log, or plain words."""
    message = ""
    for line in stderr.splitlines():
        found = _json_message(line)
        if found is None:
            match = _LOGRUS.search(line)
            found = _unquote(match.group(1)) if match else None
        if found is not None:
            message = found
    return message or stderr.strip()


def _json_message(line: str) -> str | None:
    if not line.startswith("{"):
        return None
    try:
        entry: Any = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return str(entry.get("msg", "")) if entry.get("level") in ("error", "fatal") else None


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match.group(1), match.group(1)), text)


def start_error(stderr: str, *, executing: bool = False) -> SealaneError:
    """The error for a container (or, with *executing*, an exec) that the runtime refused, saying *stderr*."""
    said = runtime_message(stderr) or "the runtime gave no reason"
    message = f"{_EXEC_PREFIX if executing else _CREATE_PREFIX}{said}: unknown"
    lower = said.lower()
    code = _NOT_STARTED
    if any(words in lower for words in _MISSING):
        code = _NOT_FOUND
    if "permission denied" in lower or "exec format error" in lower:
        code = _NOT_EXECUTABLE
    if "is a directory" in lower:
        code = _NOT_EXECUTABLE
        message += ": permission denied"
    if "not a directory" in lower:
        code = _NOT_FOUND
        message += _MOUNT_HINT
    return StartFailed(message) if code == _NOT_STARTED else CommandRefused(message, code)
