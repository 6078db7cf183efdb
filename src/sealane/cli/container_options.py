"""The options that run and create share, as declarations. Pure data."""

from __future__ import annotations

from sealane.cli import checks
from sealane.cli.environment import check_variable
from sealane.cli.grammar import go_uint16, many, number, switch, text
from sealane.cli.mounts import check_mount
from sealane.cli.networks import parse_network
from sealane.cli.resources import parse_ulimit
from sealane.cli.units import parse_duration, parse_signed_size, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from sealane.cli.grammar import Option


def _size(
    name: str, short: str, help: str, check: Callable[[str], object] = parse_size, *, hidden: bool = False
) -> Option:
    return text(name, short, help, meta="bytes", check=check, hidden=hidden)


def _duration(name: str, help: str) -> Option:
    return text(name, "", help, meta="duration", check=parse_duration)


RESOURCE_OPTIONS: Final[tuple[Option, ...]] = (
    number("blkio-weight", "", "Weight of block I/O, 10 to 1000, or 0 for none", meta="uint16", check=go_uint16),
    number("cpu-period", "", "Period of the CPU quota in microseconds"),
    number("cpu-quota", "", "Microseconds of CPU time in each period"),
    number("cpu-rt-period", "", "Period of the real-time CPU limit in microseconds"),
    number("cpu-rt-runtime", "", "Real-time CPU limit in microseconds"),
    number("cpu-shares", "c", "Relative weight for the CPU"),
    text("cpus", "", "How many CPUs, fractions allowed", meta="decimal", check=checks.nano_cpus),
    text("cpuset-cpus", "", "CPUs to run on (0-3, 0,1)"),
    text("cpuset-mems", "", "Memory nodes to use (0-3, 0,1)"),
    _size("kernel-memory", "", "Without effect on current kernels"),
    _size("memory", "m", "Limit of memory"),
    _size("memory-reservation", "", "Soft limit of memory"),
    _size("memory-swap", "", "Limit of memory and swap together, -1 for no limit", parse_signed_size),
    number("pids-limit", "", "Limit of processes, -1 for no limit"),
)

NETWORK_OPTIONS: Final[tuple[Option, ...]] = (
    many("add-host", "", "Add a line to /etc/hosts (name:address or name:host-gateway)", check=checks.extra_host),
    many("dns", "", "Name servers for the container", check=checks.name_server),
    many("dns-opt", "", "Same as --dns-option", into="dns-option"),
    many("dns-option", "", "Resolver options"),
    many("dns-search", "", "Search domains", check=checks.search_domain),
    text("domainname", "", "NIS domain name"),
    many("expose", "", "Expose a port or a range without publishing it"),
    text("hostname", "h", "Host name of the container"),
    text("ip", "", "Fixed IPv4 address in the first network"),
    text("ip6", "", "Fixed IPv6 address in the first network"),
    many("link", "", "Link to another container (name:alias)", check=checks.link),
    many("link-local-ip", "", "Link-local addresses of the container"),
    text("mac-address", "", "Fixed MAC address in the first network"),
    many(
        "network",
        "",
        "Network to join; may be repeated (name, or name=N,alias=A,ip=…,gw-priority=…)",
        meta="network",
        check=parse_network,
    ),
    many("net", "", "Same as --network", into="network", check=parse_network),
    many("network-alias", "", "Further name in the first network"),
    many("net-alias", "", "Same as --network-alias", into="network-alias"),
    many("alias", "", "Same as --network-alias", into="network-alias"),
    many("publish", "p", "Publish a port or a range ([[address:][host port]:]port[/protocol])"),
    switch("publish-all", "P", "Publish all exposed ports on free ports"),
)

HEALTH_OPTIONS: Final[tuple[Option, ...]] = (
    text("health-cmd", "", "Command that checks the health"),
    _duration("health-interval", "Time between two checks"),
    number("health-retries", "", "Failures in a row that make it unhealthy"),
    _duration("health-start-interval", "Time between checks while starting"),
    _duration("health-start-period", "Time to start up before failures count"),
    _duration("health-timeout", "Longest time of one check"),
    switch("no-healthcheck", "", "No health check, even when the image has one"),
)

STORAGE_OPTIONS: Final[tuple[Option, ...]] = (
    many(
        "mount", "", "Mount something (type=bind|volume|tmpfs|image,source=…,target=…)", meta="mount", check=check_mount
    ),
    switch("read-only", "", "Mount the root file system read-only"),
    _size("shm-size", "", "Size of /dev/shm"),
    many("storage-opt", "", "Options of the storage driver"),
    many("tmpfs", "", "Mount a tmpfs (path[:options])"),
    many("volume", "v", "Bind a directory or a volume (source:target[:options])"),
    text("volume-driver", "", "Driver for volumes that are made on the way"),
    many("volumes-from", "", "Mount the volumes of another container"),
)

SECURITY_OPTIONS: Final[tuple[Option, ...]] = (
    many("cap-add", "", "Add capabilities"),
    many("cap-drop", "", "Drop capabilities"),
    text("cgroup-parent", "", "Parent cgroup"),
    text("cgroupns", "", "Cgroup namespace: host or private"),
    many("device", "", "Add a device of the host (path[:path in the container[:rwm]])"),
    many("device-cgroup-rule", "", "Allow further devices by rule", check=checks.device_rule),
    many("device-read-bps", "", "Limit bytes read a second from a device (path:rate)", check=checks.byte_rate),
    many("device-read-iops", "", "Limit reads a second from a device (path:rate)", check=checks.operation_rate),
    many("device-write-bps", "", "Limit bytes written a second to a device (path:rate)", check=checks.byte_rate),
    many("device-write-iops", "", "Limit writes a second to a device (path:rate)", check=checks.operation_rate),
    many("blkio-weight-device", "", "Weight of block I/O for a device (path:weight)", check=checks.device_weight),
    text("gpus", "", "GPUs to hand over (all, or a number)", meta="gpu-request", check=checks.gpu_request),
    many("group-add", "", "Further groups of the process"),
    text("ipc", "", "IPC namespace: private, shareable, host, none, container:NAME"),
    number("cpu-count", "", "Windows only", hidden=True),
    number("cpu-percent", "", "Windows only", hidden=True),
    _size("io-maxbandwidth", "", "Windows only", hidden=True),
    number("io-maxiops", "", "Windows only", hidden=True),
    text("isolation", "", "Accepted for Docker's sake; only default exists on Linux"),
    number("memory-swappiness", "", "How readily memory is swapped out, 0 to 100", default="-1"),
    switch("oom-kill-disable", "", "Do not kill the container when memory runs out"),
    number("oom-score-adj", "", "Preference of the kernel when memory runs out, -1000 to 1000"),
    text("pid", "", "PID namespace: host or container:NAME"),
    switch("privileged", "", "All capabilities and devices"),
    text("runtime", "", "OCI runtime to use"),
    many("security-opt", "", "Security options (seccomp=…, apparmor=…, no-new-privileges)"),
    many("sysctl", "", "Kernel parameters of the container's namespaces", meta="map", check=checks.sysctl),
    many("ulimit", "", "Limits of the process (name=soft[:hard])", meta="ulimit", check=parse_ulimit),
    text("userns", "", "User namespace: host or empty"),
    text("uts", "", "UTS namespace: host or empty"),
)

PROCESS_OPTIONS: Final[tuple[Option, ...]] = (
    many("annotation", "", "Annotation handed to the OCI runtime", meta="map"),
    many("attach", "a", "Attach only the named streams: stdin, stdout, stderr", check=checks.stream),
    text("cidfile", "", "Write the id of the container to this file"),
    text("entrypoint", "", "Replace the entry point of the image"),
    many("env", "e", "Set an environment variable", check=check_variable),
    many("env-file", "", "Read environment variables from a file"),
    switch("init", "", "Run an init that reaps processes and forwards signals"),
    switch("interactive", "i", "Keep standard input open"),
    many("label", "l", "Set a label", check=checks.label),
    many("label-file", "", "Read labels from a file"),
    text("log-driver", "", "Driver of the log"),
    many("log-opt", "", "Options of the log driver"),
    text("name", "", "Name of the container"),
    text("platform", "", "Platform of the image (os/architecture)"),
    text("pull", "", "Pull the image first: always, missing, never", default="missing"),
    switch("quiet", "q", "No progress while pulling"),
    text("restart", "", "When to restart: no, always, unless-stopped, on-failure[:times]", default="no"),
    switch("rm", "", "Remove the container and its anonymous volumes when it ends"),
    text("stop-signal", "", "Signal that stops the container"),
    number("stop-timeout", "", "Seconds between that signal and SIGKILL"),
    switch("tty", "t", "Give it a terminal"),
    switch("use-api-socket", "", "Not supported: mount the engine's socket with --volume", hidden=True),
    text("user", "u", "User (name or number[:group])"),
    text("workdir", "w", "Working directory"),
    switch("disable-content-trust", "", "Accepted for Docker's sake", default=True, hidden=True),
)

CONTAINER_OPTIONS: Final[tuple[Option, ...]] = (
    *PROCESS_OPTIONS,
    *RESOURCE_OPTIONS,
    *NETWORK_OPTIONS,
    *HEALTH_OPTIONS,
    *STORAGE_OPTIONS,
    *SECURITY_OPTIONS,
)
