"""What one sample of a container's statistics says, as the texts that ``stats`` shows. Pure.

CPU is the container's share of the time that passed on all processors since the sample before, times their number;
memory leaves out the page cache that the kernel can drop at once (as Docker's client does).
"""

from __future__ import annotations

from sealane.cli.units import binary_size, human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.client.types import JsonObject


def usage_of(sample: JsonObject | None) -> dict[str, str]:
    """The texts; dashes before the first sample has come."""
    if sample is None or not sample.get("id"):
        dash = "--"
        return {
            "id": dash, "name": dash, "cpu": dash, "memory": f"{dash} / {dash}", "memory_percent": dash,
            "network": dash, "block": dash, "pids": dash,
        }  # fmt: skip
    used, limit = _memory(sample.get("memory_stats") or {})
    return {
        "id": str(sample["id"]),
        "name": str(sample["name"]).removeprefix("/"),
        "cpu": f"{cpu_percent(sample):.2f}%",
        "memory": f"{binary_size(used)} / {binary_size(limit)}",
        "memory_percent": f"{used / limit * 100 if limit else 0:.2f}%",
        "network": _network(sample.get("networks") or {}),
        "block": _block(sample.get("blkio_stats") or {}),
        "pids": str((sample.get("pids_stats") or {}).get("current") or 0),
    }


def cpu_percent(sample: JsonObject) -> float:
    """Of one processor: 200 for a container that keeps two of them busy."""
    now, before = sample["cpu_stats"], sample["precpu_stats"]
    spent = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = (now.get("system_cpu_usage") or 0) - (before.get("system_cpu_usage") or 0)
    if spent <= 0 or passed <= 0:
        return 0.0
    processors = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ()) or 1
    return float(spent / passed * processors * 100)


def _memory(stats: JsonObject) -> tuple[int, int]:
    usage, detail = stats.get("usage") or 0, stats.get("stats") or {}
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    return usage - cache if cache < usage else usage, stats.get("limit") or 0


def _network(interfaces: JsonObject) -> str:
    received = sum(interface["rx_bytes"] for interface in interfaces.values())
    sent = sum(interface["tx_bytes"] for interface in interfaces.values())
    return f"{human_size(received)} / {human_size(sent)}"


def _block(stats: JsonObject) -> str:
    sums = {"read": 0, "write": 0}
    for entry in stats.get("io_service_bytes_recursive") or ():
        operation = str(entry["op"]).lower()
        if operation in sums:
            sums[operation] += entry["value"]
    return f"{human_size(sums['read'])} / {human_size(sums['write'])}"
