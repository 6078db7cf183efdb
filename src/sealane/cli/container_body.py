"""The body of POST /containers/create from the options of run and create.

Pure, but for the files that options name (env files, label files, a seccomp profile). Raises ValueError with the
words that Docker's client uses, OSError for the files.
"""

from __future__ import annotations

from sealane.cli import checks, environment, mounts, networks, ports, resources
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
    ("dns-option", "DnsOptions"),
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
    ("blkio-weight-device", "BlkioWeightDevice", "Weight", checks.device_weight),
    ("device-read-bps", "BlkioDeviceReadBps", "Rate", checks.byte_rate),
    ("device-read-iops", "BlkioDeviceReadIOps", "Rate", checks.operation_rate),
    ("device-write-bps", "BlkioDeviceWriteBps", "Rate", checks.byte_rate),
    ("device-write-iops", "BlkioDeviceWriteIOps", "Rate", checks.operation_rate),
)
#: Namespaces that may be the host's, and what else they may be.
_MODES: Final = (
    ("pid", "PID", ("host", "container:")),
    ("uts", "UTS", ("host",)),
    ("userns", "USER", ("host",)),
    ("cgroupns", "CGROUP", ("host", "private")),
)


class Surroundings:
    """What the body depends on besides the options."""

    __slots__ = ("cwd", "environ")

    def __init__(self, cwd: str, environ: Mapping[str, str]) -> None:
        self.cwd = cwd
        self.environ = environ


def build(args: Args, around: Surroundings) -> JsonObject:
    """Config, HostConfig and NetworkingConfig in one object, as the API wants them."""
    if args.text("mac-address"):
        checks.mac_address(args.text("mac-address"))
    _check_modes(args)
    if args.flag("use-api-socket"):
        raise ValueError("--use-api-socket is not supported: mount the socket with --volume")
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
    if args.given("detach") and args.flag("detach"):
        return ()
    if args.flag("interactive"):
        asked.append("stdin")
    if not args.many("attach"):
        asked += ["stdout", "stderr"]
    return tuple(stream for stream in _STREAMS if stream in asked)


def healthcheck(args: Args) -> JsonObject | None:
    """The health check, or None to leave it to the image."""
    durations = [
        name for name in ("interval", "timeout", "start-period", "start-interval") if args.given(f"health-{name}")
    ]
    retries = args.number("health-retries") or 0
    asked = bool(args.text("health-cmd") or retries or any(parse_duration(args.text(f"health-{n}")) for n in durations))
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
    if retries < 0:
        raise ValueError("--health-retries cannot be negative")
    if retries:
        made["Retries"] = retries
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
    if args.given("add-host"):
        host["ExtraHosts"] = [checks.extra_host(item) for item in args.many("add-host")]
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
        if not all("=" in item for item in args.many("storage-opt")):
            raise ValueError("invalid storage option")
        host["StorageOpt"] = environment.pairs(args.many("storage-opt"))
    if args.given("annotation"):
        host["Annotations"] = environment.pairs(args.many("annotation"))


def _security(args: Args, host: JsonObject) -> None:
    if args.given("gpus"):
        host["DeviceRequests"] = [checks.gpu_request(args.text("gpus"))]
    if args.given("device"):
        host["Devices"] = [device(spec) for spec in args.many("device")]
    if args.given("ulimit"):
        host["Ulimits"] = _ulimits(args.many("ulimit"))
    if args.given("sysctl"):
        host["Sysctls"] = environment.pairs(args.many("sysctl"))
    if args.given("oom-score-adj"):
        host["OomScoreAdj"] = args.number("oom-score-adj")
    if args.given("memory-swappiness"):
        host["MemorySwappiness"] = _swappiness(args.number("memory-swappiness") or 0)
    if args.given("security-opt"):
        host |= _security_options(args.many("security-opt"))
    for option, field, key, read in _RATES:
        if args.given(option):
            host[field] = [{"Path": path, key: rate} for path, rate in map(read, args.many(option))]


def _log_config(args: Args) -> JsonObject:
    if args.text("log-driver") == "none" and args.many("log-opt"):
        raise ValueError("invalid logging opts for driver none")
    return {"Type": args.text("log-driver"), "Config": environment.pairs(args.many("log-opt"))}


def _swappiness(value: int) -> int:
    if value != -1 and not 0 <= value <= 100:
        raise ValueError(f"invalid value: {value}. Valid memory swappiness range is 0-100")
    return value


def _ulimits(specs: list[str]) -> list[JsonObject]:
    """One for each name, the last given, in the order of the names."""
    by_name = {made["Name"]: made for made in map(resources.parse_ulimit, specs)}
    return [by_name[name] for name in sorted(by_name)]


def _check_modes(args: Args) -> None:
    for option, name, known in _MODES:
        value = args.text(option)
        if value and value not in known and not (value.startswith("container:") and "container:" in known):
            raise ValueError(f"--{option}: invalid {name} mode")


def device(spec: str) -> JsonObject:
    """``/dev/x[:/dev/y][:rwm]`` as Docker's DeviceMapping."""
    if spec.count(":") > 2 or not spec.partition(":")[0]:
        raise ValueError(f"bad format for path: {spec}")
    host, *rest = spec.split(":")
    access = rest.pop() if len(rest) == 2 or (rest and _is_access(rest[0])) else "rwm"
    if not _is_access(access):
        raise ValueError(f"bad mode specified: {access}")
    target = rest[0] if rest else host
    if not target.startswith("/"):
        raise ValueError(f"{target} is not an absolute path")
    return {"PathOnHost": host, "PathInContainer": target, "CgroupPermissions": access}


def _is_access(text: str) -> bool:
    """Each of r, w and m at most once, at least one."""
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def _security_options(options: list[str]) -> JsonObject:
    """SecurityOpt, with a seccomp profile read from its file; ``systempaths=unconfined`` becomes two empty lists."""
    made: JsonObject = {"SecurityOpt": []}
    for option in options:
        name, found, value = option.partition("=")
        if not found and name != "no-new-privileges":
            name, found, value = option.partition(":")
        if not value and name not in ("no-new-privileges", "writable-cgroups"):
            raise ValueError(f'Invalid --security-opt: "{option}"')
        if name == "systempaths" and value == "unconfined":
            made |= {"MaskedPaths": [], "ReadonlyPaths": []}
            continue
        if name == "seccomp" and value not in ("unconfined", "builtin"):
            value = _profile(value)
        made["SecurityOpt"].append(f"{name}={value}" if found else name)
    return made


def _profile(path: str) -> str:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except ValueError as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from None
    except OSError as error:
        reason = f"open {path}: {(error.strerror or '').lower()}"
        raise ValueError(f"opening seccomp profile ({path}) failed: {reason}") from None
