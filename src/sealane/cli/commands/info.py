"""``sealane info``: the engine and the machine it runs on."""

from __future__ import annotations

from sealane import VERSION
from sealane.cli.grammar import Command
from sealane.cli.output import inspect_format_option, show_struct
from sealane.cli.units import binary_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject

#: Lines that are shown as they are, when the engine gives them: heading, field.
_FACTS: Final = (
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
)
_COUNTS: Final = (("Running", "ContainersRunning"), ("Paused", "ContainersPaused"), ("Stopped", "ContainersStopped"))


def run(app: App, args: Args) -> int:
    form = args.text("format")
    if not form:
        app.write(f"Client:\n Version:    {VERSION}\n Context:    default\n Debug Mode: false\n\nServer:\n")
        app.write(server_text(app.engine.get("/info")) + "\n")
        return 0
    info = {**app.engine.get("/info"), "ClientInfo": {"Version": VERSION, "Context": "default", "Debug": False}}
    return show_struct(app, "system.dockerInfo", info, form)


def server_text(info: JsonObject) -> str:
    """The engine's side, in Docker's order and words."""
    lines = [f"Containers: {info.get('Containers', 0)}"]
    lines += [f" {heading}: {info.get(field, 0)}" for heading, field in _COUNTS]
    lines += [f"Images: {info.get('Images', 0)}", f"Server Version: {info.get('ServerVersion', '')}"]
    lines.append(f"Storage Driver: {info.get('Driver', '')}")
    lines += [f" {pair[0]}: {pair[1]}" for pair in info.get("DriverStatus") or ()]
    for heading, field in (("Logging Driver", "LoggingDriver"), ("Cgroup Driver", "CgroupDriver")):
        if info.get(field):
            lines.append(f"{heading}: {info[field]}")
    if info.get("CgroupVersion"):
        lines.append(f"Cgroup Version: {info['CgroupVersion']}")
    lines += _plugins(info.get("Plugins") or {}) + _runtimes(info) + _security(info)
    lines += [f"{heading}: {info[field]}" for heading, field in _FACTS if info.get(field)]
    lines.append(f"Total Memory: {binary_size(info.get('MemTotal') or 0)}")
    lines += [f"Name: {info.get('Name', '')}", f"ID: {info.get('ID', '')}"]
    lines.append(f"Docker Root Dir: {info.get('DockerRootDir', '')}")
    lines += [f"Debug Mode: {_word(info.get('Debug'))}", f"Experimental: {_word(info.get('ExperimentalBuild'))}"]
    lines += _registries(info)
    lines.append(f"Live Restore Enabled: {_word(info.get('LiveRestoreEnabled'))}")
    lines += _pools(info)
    warnings = [str(warning) for warning in info.get("Warnings") or ()]
    return "".join(f" {line}\n" for line in lines) + "".join(f"{warning}\n" for warning in warnings)


def _word(value: object) -> str:
    return "true" if value else "false"


def _plugins(plugins: JsonObject) -> list[str]:
    lines = [
        f" {kind}: {' '.join(plugins[kind])}"
        for kind in ("Volume", "Network", "Authorization", "Log")
        if plugins.get(kind)
    ]
    return ["Plugins:", *lines] if lines else []


def _runtimes(info: JsonObject) -> list[str]:
    lines = []
    swarm = (info.get("Swarm") or {}).get("LocalNodeState")
    if swarm:
        lines.append(f"Swarm: {swarm}")
    if info.get("Runtimes"):
        lines.append("Runtimes: " + " ".join(sorted(info["Runtimes"])))
    lines += [f"Default Runtime: {info.get('DefaultRuntime', '')}", f"Init Binary: {info.get('InitBinary', '')}"]
    for heading, field in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        if field in info:
            lines.append(f"{heading} version: {(info[field] or {}).get('ID', '')}")
    return lines


def _security(info: JsonObject) -> list[str]:
    lines = []
    for option in info.get("SecurityOptions") or ():
        fields = dict(item.partition("=")[::2] for item in str(option).split(","))
        lines.append(f" {fields.pop('name', option)}")
        lines += [f"  {key.capitalize()}: {value}" for key, value in fields.items()]
    return ["Security Options:", *lines] if lines else []


def _registries(info: JsonObject) -> list[str]:
    config = info.get("RegistryConfig") or {}
    insecure = [name for name, index in (config.get("IndexConfigs") or {}).items() if not index.get("Secure", True)]
    insecure += config.get("InsecureRegistryCIDRs") or []
    lines = ["Insecure Registries:", *(f" {name}" for name in insecure)] if insecure else []
    if config.get("Mirrors"):
        lines += ["Registry Mirrors:", *(f" {name}" for name in config["Mirrors"])]
    return lines


def _pools(info: JsonObject) -> list[str]:
    lines = [f"  Base: {pool['Base']}, Size: {pool['Size']}" for pool in info.get("DefaultAddressPools") or ()]
    return ["Default Address Pools:", *lines] if lines else []


INFO = Command(
    "info",
    "",
    "Show the engine and the machine it runs on",
    run,
    (inspect_format_option(),),
    most=0,
    aliases=("system info", "info"),
)
