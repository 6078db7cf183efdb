"""Profiles of system calls settled for one container: which rules apply, on which architectures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealane.errors import InvalidArgument
from sealane.runtime.defaults import ALL_CAPABILITIES
from sealane.runtime.seccomp import Profile, SyscallAbi, parse_profile

ALLOW, DENY = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
MAP = [
    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
    {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
]


def profile(*rules: dict[str, Any], abi: SyscallAbi | None = None, **changes: Any) -> Profile:
    content = {"defaultAction": DENY, "archMap": MAP, "syscalls": list(rules)} | changes
    return parse_profile(json.dumps(content).encode(), abi or SyscallAbi(), "test.json")


def names(settled: dict[str, Any]) -> list[str]:
    return [name for rule in settled["syscalls"] for name in rule["names"]]


def test_rules_that_need_a_capability() -> None:
    made = profile(
        {"names": ["read", "write"], "action": ALLOW},
        {"names": ["mount"], "action": ALLOW, "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["both"], "action": ALLOW, "includes": {"caps": ["CAP_SYS_ADMIN", "CAP_KILL"]}},
        {"names": ["clone"], "action": ALLOW, "excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_KILL"]}},
    )
    assert names(made.settle([])) == ["read", "write", "clone"]
    assert names(made.settle(["CAP_KILL"])) == ["read", "write"]
    assert names(made.settle(["CAP_SYS_ADMIN"])) == ["read", "write", "mount"]
    assert names(made.settle(["CAP_KILL", "CAP_SYS_ADMIN"])) == ["read", "write", "mount", "both"]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("x86_64", ["arch_prctl", "all"]), ("aarch64", ["sync_file_range2", "all"]), ("loongarch64", ["all"])],
)
def test_rules_of_an_architecture(machine: str, expected: list[str]) -> None:
    made = profile(
        {"names": ["arch_prctl"], "action": ALLOW, "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["sync_file_range2"], "action": ALLOW, "includes": {"arches": ["arm64"]}},
        {"names": ["all"], "action": ALLOW, "excludes": {"arches": ["s390", "s390x"]}},
        abi=SyscallAbi(machine),
    )
    assert names(made.settle([])) == expected


@pytest.mark.parametrize(
    ("abi", "expected"),
    [
        (SyscallAbi(), ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
        (SyscallAbi(has_x32=False), ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
        (SyscallAbi(has_x86=False, has_x32=False), ["SCMP_ARCH_X86_64"]),
        (SyscallAbi("aarch64"), ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
        (SyscallAbi("loongarch64"), None),
    ],
)
def test_architectures_that_the_kernel_cannot_run_are_left_out(abi: SyscallAbi, expected: list[str] | None) -> None:
    assert profile(abi=abi).settle([]).get("architectures") == expected


def test_architectures_that_a_file_names_itself() -> None:
    made = profile(architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"], abi=SyscallAbi(has_x32=False))
    assert made.settle([])["architectures"] == ["SCMP_ARCH_X86_64"]


def test_a_rule_is_passed_on_whole() -> None:
    argument = {"index": 0, "value": 40, "valueTwo": 7, "op": "SCMP_CMP_NE"}
    made = profile(
        {"names": ["socket"], "action": DENY, "errnoRet": 22, "args": [argument], "comment": "x"},
        {"name": "old", "action": ALLOW, "args": None},
        defaultErrnoRet=38,
    )
    assert made.settle([]) == {
        "defaultAction": DENY,
        "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": ["socket"], "action": DENY, "errnoRet": 22, "args": [argument]},
            {"names": ["old"], "action": ALLOW},
        ],
    }


def test_it_is_settled_once_for_each_set_of_capabilities() -> None:
    made = profile({"names": ["read"], "action": ALLOW})
    assert made.settle(["CAP_KILL", "CAP_CHOWN"]) is made.settle(("CAP_CHOWN", "CAP_KILL", "CAP_KILL"))
    assert made.settle([]) is not made.settle(["CAP_KILL"])


@given(st.sets(st.sampled_from(ALL_CAPABILITIES)), st.sets(st.sampled_from(ALL_CAPABILITIES)))
def test_more_capabilities_never_forbid_what_needs_them(fewer: set[str], more: set[str]) -> None:
    made = profile(*({"names": [name], "action": ALLOW, "includes": {"caps": [name]}} for name in ALL_CAPABILITIES))
    assert names(made.settle(fewer)) == [name for name in ALL_CAPABILITIES if name in fewer]
    assert set(names(made.settle(fewer))) <= set(names(made.settle(fewer | more)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"defaultAction": 5}',
        b'{"defaultAction": "x", "syscalls": [{}]}',
        b'{"defaultAction": "x", "syscalls": [{"action": "y", "args": [{"index": "0"}]}]}',
        b'{"defaultAction": "x"',
    ],
)
def test_a_file_that_is_no_profile(content: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"^seccomp profile test\.json is not valid: .+"):
        parse_profile(content, SyscallAbi(), "test.json")
