"""Which system calls a container may make: the profile file of Debian's container packages → OCI seccomp. Pure.

The file (containers-common's ``seccomp.json``, the format that Docker's own default profile has) holds rules that apply
only with some capabilities or on some architectures; what is left for one container is its OCI ``linux.seccomp``.

Every architecture and every name in that object costs the OCI runtime time at each start, because libseccomp builds the
filter anew: on a two-core machine 9 ms for x32 alone. So an architecture whose calls the running kernel does not
have at all is left out: no call can come through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sealane.errors import InvalidArgument

#: ``platform.machine()`` → the profile's name of the architecture, and Go's, which rules are written with.
_NATIVE: Final[Mapping[str, tuple[str, str]]] = {
    "x86_64": ("SCMP_ARCH_X86_64", "amd64"),
    "aarch64": ("SCMP_ARCH_AARCH64", "arm64"),
    "s390x": ("SCMP_ARCH_S390X", "s390x"),
    "ppc64le": ("SCMP_ARCH_PPC64LE", "ppc64le"),
    "riscv64": ("SCMP_ARCH_RISCV64", "riscv64"),
}
_X86: Final = "SCMP_ARCH_X86"
_X32: Final = "SCMP_ARCH_X32"


class _Condition(msgspec.Struct, frozen=True):
    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None


class _Argument(msgspec.Struct, frozen=True, rename="camel"):
    index: int
    value: int
    op: str
    value_two: int = 0


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    action: str
    names: tuple[str, ...] = ()
    name: str = ""
    args: tuple[_Argument, ...] | None = None
    errno_ret: int | None = None
    includes: _Condition = _Condition()
    excludes: _Condition = _Condition()


class _ArchMap(msgspec.Struct, frozen=True, rename="camel"):
    architecture: str
    sub_architectures: tuple[str, ...] | None = None


class _Profile(msgspec.Struct, frozen=True, rename="camel"):
    default_action: str
    default_errno_ret: int | None = None
    arch_map: tuple[_ArchMap, ...] = ()
    architectures: tuple[str, ...] = ()
    syscalls: tuple[_Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class SyscallAbi:
    """The machine's way of calling the kernel: its name (``platform.machine()``) and what it has beside it."""

    machine: str = "x86_64"
    has_x86: bool = True
    has_x32: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """A parsed profile file. What it comes to is remembered for each set of capabilities that was asked for."""

    _file: _Profile
    _abi: SyscallAbi
    _settled: dict[frozenset[str], dict[str, Any]] = field(default_factory=dict, compare=False)

    def settle(self, capabilities: Iterable[str]) -> dict[str, Any]:
        """The OCI ``linux.seccomp`` object for a process with *capabilities*; shared, so not to be changed."""
        wanted = frozenset(capabilities)
        found = self._settled.get(wanted)
        if found is None:
            found = self._settled[wanted] = _settle(self._file, self._abi, wanted)
        return found


def parse_profile(content: bytes, abi: SyscallAbi, source: str) -> Profile:
    """Read a profile; *source* names it in errors. Raises InvalidArgument saying what is wrong in it."""
    try:
        parsed = msgspec.json.decode(content, type=_Profile)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"seccomp profile {source} is not valid: {error}") from error
    return Profile(parsed, abi)


def _settle(profile: _Profile, abi: SyscallAbi, capabilities: frozenset[str]) -> dict[str, Any]:
    native, go_name = _NATIVE.get(abi.machine, ("", ""))
    rules = [_oci_rule(rule) for rule in profile.syscalls if _applies(rule, go_name, capabilities)]
    settled: dict[str, Any] = {"defaultAction": profile.default_action, "syscalls": rules}
    if profile.default_errno_ret is not None:
        settled["defaultErrnoRet"] = profile.default_errno_ret
    architectures = list(profile.architectures) or _architectures(profile, native)
    absent = {_X86: not abi.has_x86, _X32: not abi.has_x32}
    architectures = [name for name in architectures if not absent.get(name, False)]
    if architectures:
        settled["architectures"] = architectures
    return settled


def _architectures(profile: _Profile, native: str) -> list[str]:
    for entry in profile.arch_map:
        if entry.architecture == native:
            return [native, *(entry.sub_architectures or ())]
    return []


def _applies(rule: _Rule, go_name: str, capabilities: frozenset[str]) -> bool:
    includes, excludes = rule.includes, rule.excludes
    return not (
        (includes.arches and go_name not in includes.arches)
        or (excludes.arches and go_name in excludes.arches)
        or (includes.caps and not capabilities.issuperset(includes.caps))
        or (excludes.caps and not capabilities.isdisjoint(excludes.caps))
    )


def _oci_rule(rule: _Rule) -> dict[str, Any]:
    settled: dict[str, Any] = {"names": list(rule.names or (rule.name,)), "action": rule.action}
    if rule.errno_ret is not None:
        settled["errnoRet"] = rule.errno_ret
    if rule.args:
        settled["args"] = [
            {"index": arg.index, "value": arg.value, "valueTwo": arg.value_two, "op": arg.op} for arg in rule.args
        ]
    return settled
