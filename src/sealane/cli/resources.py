"""The options for limits (run, create, update) as fields of HostConfig. Pure."""

from __future__ import annotations

from sealane.cli.units import parse_signed_size, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject

_NUMBERS: Final = (
    ("blkio-weight", "BlkioWeight"),
    ("cpu-period", "CpuPeriod"),
    ("cpu-quota", "CpuQuota"),
    ("cpu-rt-period", "CpuRealtimePeriod"),
    ("cpu-rt-runtime", "CpuRealtimeRuntime"),
    ("cpu-shares", "CpuShares"),
    ("pids-limit", "PidsLimit"),
)
_TEXTS: Final = (("cpuset-cpus", "CpusetCpus"), ("cpuset-mems", "CpusetMems"))
_SIZES: Final = (("memory", "Memory"), ("memory-reservation", "MemoryReservation"), ("kernel-memory", "KernelMemory"))


def resources(args: Args) -> JsonObject:
    """Only the limits that were given."""
    made: JsonObject = {}
    for option, field in _NUMBERS:
        if args.given(option):
            made[field] = args.number(option)
    for option, field in _TEXTS:
        if args.given(option):
            made[field] = args.text(option)
    for option, field in _SIZES:
        if args.given(option):
            made[field] = parse_size(args.text(option))
    if args.given("memory-swap"):
        made["MemorySwap"] = parse_signed_size(args.text("memory-swap"))
    if args.given("cpus"):
        made["NanoCpus"] = round(float(args.text("cpus")) * 1e9)
    return made


def restart_policy(text: str) -> JsonObject:
    """``on-failure:3`` → RestartPolicy. Raises ValueError for a count that is none; names are the engine's to judge."""
    name, colon, count = text.partition(":")
    if not name and colon:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    if not colon:
        return {"Name": name, "MaximumRetryCount": 0}
    if not count.lstrip("-").isdigit():
        raise ValueError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count)}
