"""What OCI runtimes say when they cannot start a process → Docker's words and exit codes."""

from __future__ import annotations

import pytest

from sealane.errors import Internal, InvalidArgument
from sealane.runtime.failures import CommandRefused, StartFailed, runtime_message, start_error

CREATE = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
#: runc 1.1.5 and crun 1.8.1, as they were seen to speak.
NOT_FOUND = 'unable to start container process: exec: "nope": executable file not found in $PATH'
RUNC = '{"level":"error","msg":"runc create failed: %s","time":"2024-05-01T10:00:00Z"}'
CRUN = "2024-05-01T10:00:00.123456Z: executable file `nope` not found in $PATH: No such file or directory"


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        ("", ""),
        ("plain words\n", "plain words"),
        ('{"level":"warning","msg":"w"}\n{"level":"error","msg":"the reason"}\n', "the reason"),
        ('{"level":"error","msg":"first"}\n{"level":"fatal","msg":"last"}', "last"),
        ('time="2024" level=error msg="a \\"quoted\\" reason\\nand more"\n', 'a "quoted" reason\nand more'),
        ('time="2024" level=warning msg="w"\nlevel=fatal msg="f"', "f"),
        ("{not json", "{not json"),
        ('{"level":"error"}', '{"level":"error"}'),
    ],
)
def test_the_last_error_is_the_reason(stderr: str, expected: str) -> None:
    assert runtime_message(stderr) == expected


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('exec: "nope": executable file not found in $PATH', 127),
        ('exec: "/nope": stat /nope: no such file or directory', 127),
        (CRUN, 127),
        ('exec: "/etc/passwd": permission denied', 126),
        ("exec /broken: exec format error", 126),
        ('exec: "/etc": is a directory', 126),
    ],
)
def test_a_command_that_cannot_run(said: str, code: int) -> None:
    error = start_error(said)
    assert isinstance(error, CommandRefused)
    assert isinstance(error, InvalidArgument)
    assert error.exit_code == code


def test_the_whole_message() -> None:
    assert str(start_error(RUNC % NOT_FOUND.replace('"', '\\"'))) == f"{CREATE}runc create failed: {NOT_FOUND}: unknown"
    assert str(start_error("x", executing=True)) == "OCI runtime exec failed: x: unknown"
    assert str(start_error("")) == f"{CREATE}the runtime gave no reason: unknown"


def test_a_directory_is_refused_as_docker_does() -> None:
    assert str(start_error('exec: "/etc": is a directory')).endswith("is a directory: unknown: permission denied")


def test_a_directory_mounted_on_a_file() -> None:
    error = start_error('error mounting "/tmp" to rootfs at "/etc/passwd": not a directory')
    assert isinstance(error, CommandRefused)
    assert error.exit_code == 127
    assert "Are you trying to mount a directory onto a file (or vice-versa)?" in str(error)


def test_anything_else_is_ours_to_answer_for() -> None:
    error = start_error("cgroup: no space left on device")
    assert isinstance(error, StartFailed)
    assert isinstance(error, Internal)
    assert error.exit_code == 128
