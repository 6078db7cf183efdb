"""``GET /containers/{id}/stats``. Times are in nanoseconds, sizes in bytes. Pure."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from sealane.api.schema.base import Int, Wire


class PidsStats(Wire):
    current: Int | UnsetType = UNSET
    limit: Int | UnsetType = UNSET


class BlkioEntry(Wire):
    major: Int
    minor: Int
    op: str
    value: Int


class BlkioStats(Wire):
    io_service_bytes_recursive: list[BlkioEntry] | None = None
    io_serviced_recursive: list[BlkioEntry] | None = None
    io_queue_recursive: list[BlkioEntry] | None = None
    io_service_time_recursive: list[BlkioEntry] | None = None
    io_wait_time_recursive: list[BlkioEntry] | None = None
    io_merged_recursive: list[BlkioEntry] | None = None
    io_time_recursive: list[BlkioEntry] | None = None
    sectors_recursive: list[BlkioEntry] | None = None


class CpuUsage(Wire):
    total_usage: Int = 0
    usage_in_kernelmode: Int = 0
    usage_in_usermode: Int = 0


class ThrottlingData(Wire):
    periods: Int = 0
    throttled_periods: Int = 0
    throttled_time: Int = 0


class CpuStats(Wire):
    cpu_usage: CpuUsage = field(default_factory=CpuUsage)
    system_cpu_usage: Int | UnsetType = UNSET
    online_cpus: Int | UnsetType = UNSET
    throttling_data: ThrottlingData = field(default_factory=ThrottlingData)


class MemoryStats(Wire):
    usage: Int | UnsetType = UNSET
    stats: dict[str, Int] | UnsetType = UNSET
    limit: Int | UnsetType = UNSET


class NetworkStats(Wire):
    rx_bytes: Int
    rx_packets: Int
    rx_errors: Int
    rx_dropped: Int
    tx_bytes: Int
    tx_packets: Int
    tx_errors: Int
    tx_dropped: Int


class Stats(Wire):
    """One reading, with the reading before it in ``precpu_stats`` so that clients can compute a rate."""

    read: str
    preread: str
    pids_stats: PidsStats = field(default_factory=PidsStats)
    blkio_stats: BlkioStats = field(default_factory=BlkioStats)
    num_procs: Int = 0
    storage_stats: dict[str, Int] = field(default_factory=dict)
    cpu_stats: CpuStats = field(default_factory=CpuStats)
    precpu_stats: CpuStats = field(default_factory=CpuStats)
    memory_stats: MemoryStats = field(default_factory=MemoryStats)
    name: str = ""
    id: str = ""
    networks: dict[str, NetworkStats] | UnsetType = UNSET
