"""The body of POST /containers/create from the options of run and create.

Pure, but for the files that options name (env files, label files, a seccomp profile). Raises ValueError with the
words that Docker's client uses, OSError for the files.
"""

from __future__ import annotations

from sealane.cli import environment, mounts, networks, ports, resources
from sealane.cli.units import parse_duration, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject

_STREAMS: Final = ("stdin", "stdout", "stderr")
_HOST_LISTS: Final = (
    ("cap-add", "CapAdd"),
    ("cap-drop", "CapDrop"),
    ("device-cgroup-rule", "DeviceCgroupRules"),
    ("dns", "Dns"),
    ("dns-search", "DnsSearch"),
    ("group-add", "GroupAdd"),
    ("link", "Links"),
    ("volumes-from", "VolumesFrom"),
)
_HOST_TEXTS: Final = (
    ("cgroup-parent", "CgroupParent"),
    ("cgroupns", "CgroupnsMode"),
    ("ipc", "IpcMode"),
    ("isolation", "Isolation"),
    ("pid", "PidMode"),
    ("runtime", "Runtime"),
    ("userns", "UsernsMode"),
    ("uts", "UTSMode"),
    ("volume-driver", "VolumeDriver"),
)
_HOST_SWITCHES: Final = (
    ("init", "Init"),
    ("oom-kill-disable", "OomKillDisable"),
    ("privileged", "Privileged"),
    ("publish-all", "PublishAllPorts"),
    ("read-only", "ReadonlyRootfs"),
    ("rm", "AutoRemove"),
)
_CONFIG_TEXTS: Final = (
    ("domainname", "Domainname"),
    ("hostname", "Hostname"),
    ("stop-signal", "StopSignal"),
    ("user", "User"),
    ("workdir", "WorkingDir"),
)
_RATES: Final = (
    ("device-read-bps", "BlkioDeviceReadBps"),
    ("device-read-iops", "BlkioDeviceReadIOps"),
    ("device-write-bps", "BlkioDeviceWriteBps"),
    ("device-write-iops", "BlkioDeviceWriteIOps"),
)


class Surroundings:
    """What the body depends on besides the options."""

    __slots__ = ("cwd", "environ")

    def __init__(self, cwd: str, environ: Mapping[str, str]) -> None:
        self.cwd = cwd
        self.environ = environ


def build(args: Args, around: Surroundings) -> JsonObject:
    """Config, HostConfig and NetworkingConfig in one object, as the API wants them."""
    if args.text("gpus"):
        raise ValueError("--gpus is not supported: Sealane hands no GPUs over to containers")
    mode, endpoints = networks.endpoints(args)
    body = _config(args, around)
    binds, anonymous = mounts.volumes(args.many("volume"), around.cwd)
    bindings = ports.publish(args.many("publish"))
    exposed: JsonObject = {name: {} for name in [*ports.expose(args.many("expose")), *bindings]}
    if exposed:
        body["ExposedPorts"] = exposed
    if anonymous:
        body["Volumes"] = anonymous
    host = _host_config(args, around)
    host |= {"NetworkMode": mode, "Binds": binds or None, "PortBindings": bindings}
    body["HostConfig"] = host
    body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return body


def _config(args: Args, around: Surroundings) -> JsonObject:
    image, command = args.operands[0], args.operands[1:]
    attached = attached_streams(args)
    body: JsonObject = {
        "Image": image,
        "Tty": args.flag("tty"),
        "OpenStdin": args.flag("interactive"),
        "StdinOnce": args.flag("interactive") and "stdin" in attached,
        "AttachStdin": "stdin" in attached,
        "AttachStdout": "stdout" in attached,
        "AttachStderr": "stderr" in attached,
        "Env": environment.environment(args.many("env-file"), args.many("env"), around.environ),
        "Labels": environment.labels(args.many("label-file"), args.many("label")),
        "Cmd": command or None,
    }
    if args.given("entrypoint"):
        # An empty text takes the image's entry point away; the API wants that as a list with one empty text.
        body["Entrypoint"] = [args.text("entrypoint")]
    for option, field in _CONFIG_TEXTS:
        if args.text(option):
            body[field] = args.text(option)
    if args.given("stop-timeout"):
        body["StopTimeout"] = args.number("stop-timeout")
    health = healthcheck(args)
    if health is not None:
        body["Healthcheck"] = health
    return body


def attached_streams(args: Args) -> tuple[str, ...]:
    """The streams to attach: those of ``-a``; without it output and, with ``-i``, input; none with ``-d``."""
    asked = [stream.lower() for stream in args.many("attach")]
    for stream in asked:
        if stream not in _STREAMS:
            raise ValueError(f'invalid argument "{stream}" for "-a, --attach" flag: streams are stdin, stdout, stderr')
    if args.given("detach") and args.flag("detach"):
        if asked:
            raise ValueError("conflicting options: cannot specify both --attach and --detach")
        return ()
    if asked:
        return tuple(asked)
    return ("stdin", "stdout", "stderr") if args.flag("interactive") else ("stdout", "stderr")


def healthcheck(args: Args) -> JsonObject | None:
    """The health check, or None to leave it to the image."""
    durations = [
        name for name in ("interval", "timeout", "start-period", "start-interval") if args.given(f"health-{name}")
    ]
    asked = args.given("health-cmd") or args.given("health-retries") or bool(durations)
    if args.flag("no-healthcheck"):
        if asked:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not asked:
        return None
    made: JsonObject = {"Test": ["CMD-SHELL", args.text("health-cmd")]} if args.text("health-cmd") else {}
    for name in durations:
        value = parse_duration(args.text(f"health-{name}"))
        if value < 0:
            raise ValueError(f"--health-{name} cannot be negative")
        made["".join(part.capitalize() for part in name.split("-"))] = value
    if args.given("health-retries"):
        made["Retries"] = args.number("health-retries")
    return made


def _host_config(args: Args, around: Surroundings) -> JsonObject:
    host: JsonObject = {field: args.many(option) for option, field in _HOST_LISTS if args.given(option)}
    host |= {field: args.text(option) for option, field in _HOST_TEXTS if args.given(option)}
    host |= {field: args.flag(option) for option, field in _HOST_SWITCHES if args.given(option)}
    host |= resources.resources(args)
    host["RestartPolicy"] = resources.restart_policy(args.text("restart"))
    if host.get("AutoRemove") and host["RestartPolicy"]["Name"] not in ("", "no"):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    host["LogConfig"] = _log_config(args)
    if args.given("dns-option") or args.given("dns-opt"):
        host["DnsOptions"] = args.many("dns-option") + args.many("dns-opt")
    if args.given("add-host"):
        host["ExtraHosts"] = [_extra_host(item) for item in args.many("add-host")]
    _storage(args, around, host)
    _security(args, host)
    return host


def _storage(args: Args, around: Surroundings, host: JsonObject) -> None:
    if args.given("mount"):
        host["Mounts"] = [mounts.mount(spec, around.cwd) for spec in args.many("mount")]
    if args.given("tmpfs"):
        host["Tmpfs"] = mounts.tmpfs(args.many("tmpfs"))
    if args.given("shm-size"):
        host["ShmSize"] = parse_size(args.text("shm-size"))
    if args.given("storage-opt"):
        host["StorageOpt"] = environment.pairs(args.many("storage-opt"))
    if args.given("annotation"):
        host["Annotations"] = environment.pairs(args.many("annotation"))


def _security(args: Args, host: JsonObject) -> None:
    if args.given("device"):
        host["Devices"] = [device(spec) for spec in args.many("device")]
    if args.given("ulimit"):
        host["Ulimits"] = [ulimit(spec) for spec in args.many("ulimit")]
    if args.given("sysctl"):
        host["Sysctls"] = environment.pairs(args.many("sysctl"))
    if args.given("oom-score-adj"):
        host["OomScoreAdj"] = args.number("oom-score-adj")
    if args.given("memory-swappiness"):
        host["MemorySwappiness"] = args.number("memory-swappiness")
    if args.given("security-opt"):
        host |= _security_options(args.many("security-opt"))
    if args.given("blkio-weight-device"):
        host["BlkioWeightDevice"] = [_throttle(spec, "Weight") for spec in args.many("blkio-weight-device")]
    for option, field in _RATES:
        if args.given(option):
            host[field] = [_throttle(spec, "Rate") for spec in args.many(option)]


def _log_config(args: Args) -> JsonObject:
    if args.text("log-driver") == "none" and args.many("log-opt"):
        raise ValueError("invalid logging opts for driver none")
    return {"Type": args.text("log-driver"), "Config": environment.pairs(args.many("log-opt"))}


def _extra_host(item: str) -> str:
    """``name:address`` or ``name=address`` (and IPv6 in brackets) in the form with a colon."""
    name, found, address = item.partition("=")
    if not found:
        name, found, address = item.partition(":")
    if not found or not name:
        raise ValueError(f"bad format for add-host: '{item}'")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != "host-gateway":
        import ipaddress

        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ValueError(f"invalid IP address in add-host: '{address}'") from None
    return f"{name}:{address}"


def device(spec: str) -> JsonObject:
    """``/dev/x[:/dev/y][:rwm]`` as Docker's DeviceMapping."""
    host, target, access = [*spec.split(":"), "", ""][:3] if spec.count(":") <= 2 else ("", "", "")
    if target and set(target) <= set("rwm"):
        target, access = "", target
    if not host or not set(access) <= set("rwm"):
        raise ValueError(f"invalid device specification: {spec}")
    return {"PathOnHost": host, "PathInContainer": target or host, "CgroupPermissions": access or "rwm"}


def ulimit(spec: str) -> JsonObject:
    """``nofile=1024:2048`` as Docker's Ulimit."""
    name, found, limits = spec.partition("=")
    soft, colon, hard = limits.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError:
        raise ValueError(f"invalid ulimit argument: {spec}") from None
    if not found or not name:
        raise ValueError(f"invalid ulimit argument: {spec}")
    if high != -1 and (low > high or low == -1):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}")
    return {"Name": name, "Soft": low, "Hard": high}


def _throttle(spec: str, field: str) -> JsonObject:
    path, _, rate = spec.rpartition(":")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {spec}")
    try:
        return {"Path": path, field: parse_size(rate)}
    except ValueError:
        raise ValueError(f"invalid rate for device: {spec}") from None


def _security_options(options: list[str]) -> JsonObject:
    """SecurityOpt, with a seccomp profile read from its file; ``systempaths=unconfined`` becomes two empty lists."""
    made: JsonObject = {"SecurityOpt": []}
    for option in options:
        name, found, value = option.partition("=")
        if not found and name != "no-new-privileges":
            name, found, value = option.partition(":")
        if not found and name not in ("no-new-privileges", "writable-cgroups"):
            raise ValueError(f"invalid --security-opt: {option}")
        if name == "systempaths" and value == "unconfined":
            made |= {"MaskedPaths": [], "ReadonlyPaths": []}
            continue
        if name == "seccomp" and value not in ("unconfined", "builtin"):
            value = _profile(value)
        made["SecurityOpt"].append(f"{name}={value}" if found else name)
    return made


def _profile(path: str) -> str:
    import json

    with open(path, encoding="utf-8") as file:
        try:
            return json.dumps(json.load(file), separators=(",", ":"))
        except ValueError as error:
            raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from None
