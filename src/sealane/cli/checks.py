"""What the values of options must look like, in Docker's words. Pure; each function raises ValueError.

Docker's client refuses these values while it reads the command line (exit code 125, with the usage line), before the
engine is asked; all else is the engine's to judge.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_WHITE: Final = " \t\n\v\f\r"
_STREAMS: Final = ("stdin", "stdout", "stderr")
_SYSCTLS: Final = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
    "kernel.shmmni", "kernel.shm_rmid_forced",
)  # fmt: skip
_SYSCTL_TREES: Final = ("net.", "fs.mqueue.")
_NANOS: Final = 10**9
_PLATFORM: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_SYSTEMS: Final = (
    "linux", "windows", "darwin", "macos", "freebsd", "netbsd", "openbsd", "solaris", "illumos", "android", "386",
    "i386", "amd64", "x86_64", "x86-64", "arm", "armhf", "armel", "arm64", "aarch64", "ppc64", "ppc64le", "s390x",
    "riscv64", "loong64", "mips", "mipsle", "mips64", "mips64le",
)  # fmt: skip
_HEX: Final = "0123456789abcdefABCDEF"


def stream(value: str) -> str:
    """``--attach``: the name of a standard stream, in lower case."""
    if value.lower() not in _STREAMS:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return value.lower()


def label(value: str) -> None:
    name = value.partition("=")[0].lstrip(_WHITE)
    if not name:
        raise ValueError(f"invalid label '{value}': empty name")
    if any(letter in _WHITE for letter in name):
        raise ValueError(f"label '{name}' contains whitespaces")


def sysctl(value: str) -> None:
    name, found, _ = value.partition("=")
    if not found or not (name in _SYSCTLS or name.startswith(_SYSCTL_TREES)):
        raise ValueError(f"sysctl '{value}' is not allowed")


def link(value: str) -> None:
    if not value:
        raise ValueError("empty string specified for links")
    if value.count(":") > 1:
        raise ValueError(f"bad format for links: {value}")


def name_server(value: str) -> None:
    if not is_address(value.strip()):
        raise ValueError(f"IP address is not correctly formatted: {value}")


def search_domain(value: str) -> None:
    """A domain, or a dot for none."""
    name = value.strip(" ")
    labels = name.removesuffix(".").split(".")
    good = all(part and part.replace("-", "x").isalnum() and part[0] != "-" and part[-1] != "-" for part in labels)
    letters = any(letter.isalpha() for letter in name)
    if name != "." and not (good and letters and name.isascii() and len(name) < 255):
        raise ValueError(f"{name} is not a valid domain")


def gpu_request(value: str) -> dict[str, object]:
    """``--gpus``: ``all``, a number, or ``device=0,capabilities=…`` → Docker's DeviceRequest."""
    from sealane.cli.mounts import split_csv

    if not value:
        raise ValueError("EOF")
    made: dict[str, object] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}
    for item in split_csv(value):
        key, found, text = item.partition("=")
        if not found:
            key, text = "count", item
        if key == "count":
            made["Count"] = -1 if text == "all" else _gpu_count(text)
        elif key == "device":
            made["DeviceIDs"] = text.split(",")
        elif key == "driver":
            made["Driver"] = text
        elif key == "capabilities":
            made["Capabilities"] = [[*text.split(","), "gpu"]]
        elif key == "options":
            made["Options"] = dict(part.partition("=")[::2] for part in text.split(","))
        else:
            raise ValueError(f"unexpected key '{key}' in '{item}'")
    if not made["Count"] and made["DeviceIDs"] is None:
        made["Count"] = 1
    return made


def _gpu_count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer: invalid syntax') from None


def platform(value: str) -> None:
    """``linux``, ``amd64``, ``linux/arm/v7``: one part alone must be a known system or architecture."""
    parts = value.split("/")
    words = "error parsing specified platform: "
    if len(parts) > 3 or not all(part and set(part) <= _PLATFORM for part in parts):
        raise ValueError(
            f'{words}"{value}": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument'
        )
    if len(parts) == 1 and parts[0].lower() not in _SYSTEMS:
        raise ValueError(f'{words}"{value}": unknown operating system or architecture: invalid argument')


def is_address(text: str) -> bool:
    """Whether *text* is an IPv4 or IPv6 address without a zone."""
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def extra_host(value: str) -> str:
    """``--add-host``: ``name:address`` or ``name=address`` (IPv6 also in brackets) in the form with a colon."""
    name, found, address = value.partition("=")
    if not found:
        name, found, address = value.partition(":")
    if not found or not name:
        raise ValueError(f'bad format for add-host: "{value}"')
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != "host-gateway" and not is_address(address):
        raise ValueError(f'invalid IP address in add-host: "{address}"')
    return f"{name}:{address}"


def nano_cpus(value: str) -> int:
    """``--cpus``: a decimal or a fraction → billionths of a processor."""
    from fractions import Fraction

    try:
        nanos = Fraction(value) * _NANOS
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {value} as a rational number") from None
    if nanos.denominator != 1:
        raise ValueError("value is too precise")
    if not -(1 << 63) <= nanos < 1 << 63:
        raise ValueError(f"failed to parse {value} as a rational number: value out of range")
    return int(nanos)


def mac_address(text: str) -> None:
    """Six octets with colons or hyphens, or three groups with dots (what Go's ParseMAC takes for Ethernet)."""
    plain = text.strip()
    for mark, size in ((":", 2), ("-", 2), (".", 4)):
        parts = plain.split(mark)
        if len(parts) * size == 12 and all(len(part) == size and set(part) <= set(_HEX) for part in parts):
            return
    raise ValueError(f"{text} is not a valid mac address")


def device_rule(value: str) -> None:
    """``--device-cgroup-rule``: ``c 1:3 rwm``, ``a *:* rwm``."""
    parts = value.split(" ")
    numbers = parts[1].split(":") if len(parts) == 3 else []
    good = len(numbers) == 2 and all(part == "*" or (part.isascii() and part.isdigit()) for part in numbers)
    if not (good and parts[0] in ("a", "c", "b") and 1 <= len(parts[2]) <= 3 and set(parts[2]) <= set("rwm")):
        raise ValueError(f"invalid device cgroup format '{value}'")


def byte_rate(value: str) -> tuple[str, int]:
    """``--device-read-bps``: ``/dev/sda:1mb`` → (path, bytes a second)."""
    from sealane.cli.units import parse_size

    path, rate = _device_and(value)
    try:
        return path, parse_size(rate)
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {value}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def operation_rate(value: str) -> tuple[str, int]:
    """``--device-read-iops``: ``/dev/sda:100`` → (path, operations a second)."""
    path, rate = _device_and(value)
    if not (rate.isascii() and rate.isdigit()):
        raise ValueError(
            f"invalid rate for device: {value}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return path, int(rate)


def device_weight(value: str) -> tuple[str, int]:
    """``--blkio-weight-device``: ``/dev/sda:100`` → (path, weight); 0, or 10 to 1000."""
    path, weight = _device_and(value)
    number = int(weight) if weight.isascii() and weight.isdigit() else -1
    if not (number == 0 or 10 <= number <= 1000):
        raise ValueError(f"invalid weight for device: {value}")
    return path, number


def _device_and(value: str) -> tuple[str, str]:
    path, found, rest = value.partition(":")
    if not found or not path:
        raise ValueError(f"bad format: {value}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {value}")
    return path, rest
