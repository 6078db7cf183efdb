"""The options for limits (run, create, update) as fields of HostConfig. Pure."""

from __future__ import annotations

from sealane.cli.checks import nano_cpus
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
_SIZES: Final = (("memory", "Memory"), ("memory-reservation", "MemoryReservation"))
_ULIMITS: Final = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


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
        made["NanoCpus"] = nano_cpus(args.text("cpus"))
    return made


def parse_ulimit(spec: str) -> JsonObject:
    """``nofile=1024:2048`` as Docker's Ulimit; one number is both limits, -1 is no limit. Raises ValueError."""
    name, found, limits = spec.partition("=")
    if not found:
        raise ValueError(f"invalid ulimit argument: {spec}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    low = _limit(parts[0])
    high = _limit(parts[1]) if len(parts) > 1 else low
    if high != -1 and low == -1:
        raise ValueError(
            f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {high}"
        )
    if high != -1 and low > high:
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}")
    return {"Name": name, "Soft": low, "Hard": high}


def _limit(text: str) -> int:
    try:
        return int(text, 10)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


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
