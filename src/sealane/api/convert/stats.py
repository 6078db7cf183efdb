"""Readings of a container's counters on their way out. Pure."""

from __future__ import annotations

from msgspec import UNSET

from sealane.api.convert.times import NEVER, stamp
from sealane.api.schema import stats as wire
from sealane.engine.model import ContainerView, StatsSample


def stats(view: ContainerView, sample: StatsSample | None, before: StatsSample | None) -> wire.Stats:
    """One line of the stats stream; a container that does not run (*sample* None) gives an empty one."""
    shown = wire.Stats(read=NEVER, preread=NEVER, name=f"/{view.name}", id=view.id)
    if sample is None:
        return shown
    shown.read = stamp(sample.time_ns)
    shown.pids_stats = wire.PidsStats(sample.pids, sample.pids_limit or UNSET)
    shown.cpu_stats = _cpu(sample)
    shown.memory_stats = wire.MemoryStats(sample.memory_usage, dict(sample.memory_stats), sample.memory_limit)
    shown.blkio_stats.io_service_bytes_recursive = [
        wire.BlkioEntry(0, 0, "read", sample.block_read),
        wire.BlkioEntry(0, 0, "write", sample.block_write),
    ]
    shown.networks = {
        name: wire.NetworkStats(
            rx_bytes=counters.rx_bytes,
            rx_packets=counters.rx_packets,
            rx_errors=counters.rx_errors,
            rx_dropped=counters.rx_dropped,
            tx_bytes=counters.tx_bytes,
            tx_packets=counters.tx_packets,
            tx_errors=counters.tx_errors,
            tx_dropped=counters.tx_dropped,
        )
        for name, counters in sample.networks.items()
    } or UNSET
    if before is not None:
        shown.preread = stamp(before.time_ns)
        shown.precpu_stats = _cpu(before)
    return shown


def _cpu(sample: StatsSample) -> wire.CpuStats:
    return wire.CpuStats(
        wire.CpuUsage(sample.cpu_total_ns, sample.cpu_kernel_ns, sample.cpu_user_ns),
        sample.system_cpu_ns,
        sample.online_cpus,
    )
