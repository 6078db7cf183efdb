"""``sealane version``: of the client and of the engine."""

from __future__ import annotations

import os
import sys

from sealane import VERSION as CLIENT_VERSION
from sealane.cli.failures import describe
from sealane.cli.grammar import Command
from sealane.cli.output import inspect_format_option, show_struct
from sealane.client.engine import API_VERSION
from sealane.errors import SealaneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sealane.cli.app import App
    from sealane.cli.grammar import Args
    from sealane.client.types import JsonObject


def run(app: App, args: Args) -> int:
    server, problem = _server(app)
    data = {"Client": _client(app if server else None), "Server": server}
    form = args.text("format")
    if form:
        show_struct(app, "system.versionInfo", data, form, name="version")
    else:
        app.write(_text(data))
    if problem:
        app.complain(problem)
    return 1 if problem else 0


def _server(app: App) -> tuple[JsonObject | None, str]:
    try:
        return app.engine.get("/version"), ""
    except SealaneError as error:
        return None, describe(error)


def _client(app: App | None) -> JsonObject:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    return {
        "Version": CLIENT_VERSION,
        "ApiVersion": app.engine.version if app else API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "PythonVersion": sys.version.split()[0],
        "Os": "linux",
        "Arch": machine,
        "Context": "default",
    }


def _line(name: str, value: object, indent: int = 1) -> str:
    return f"{' ' * indent}{name + ':':<{19 - indent + 1}}{value}\n"


def _text(data: JsonObject) -> str:
    client, server = data["Client"], data["Server"]
    api = client["ApiVersion"]
    if api != client["DefaultAPIVersion"]:
        api += f" (downgraded from {client['DefaultAPIVersion']})"
    text = "Client:\n" + _line("Version", client["Version"]) + _line("API version", api)
    text += _line("Python version", client["PythonVersion"]) + _line("OS/Arch", f"{client['Os']}/{client['Arch']}")
    text += _line("Context", client["Context"])
    return text + ("\n" + _server_text(server) if server else "")


def _server_text(server: JsonObject) -> str:
    name = (server.get("Platform") or {}).get("Name")
    text = f"Server: {name}\n" if name else "Server:\n"
    for component in server.get("Components") or [{"Name": "Engine", "Version": server["Version"], "Details": {}}]:
        text += f" {component['Name']}:\n" + _line("Version", component["Version"], 2)
        if component["Name"] == "Engine":
            text += _engine_lines(server)
        else:
            details = component.get("Details") or {}
            text += "".join(_line(key, value, 2) for key, value in details.items())
    return text


def _engine_lines(server: JsonObject) -> str:
    text = _line("API version", f"{server['ApiVersion']} (minimum version {server['MinAPIVersion']})", 2)
    for label, field in (("Go version", "GoVersion"), ("Git commit", "GitCommit"), ("Built", "BuildTime")):
        if server.get(field):
            text += _line(label, server[field], 2)
    return text + _line("OS/Arch", f"{server['Os']}/{server['Arch']}", 2)


VERSION = Command(
    "version",
    "",
    "Show the versions of client and engine",
    run,
    (inspect_format_option(),),
    most=0,
)
