"""The configuration file: one TOML file, every key listed here, an unknown key is an error that names it. Pure.

# /etc/sealane/sealaned.toml — every key is optional; the values shown are the defaults
[engine]
root = "/var/lib/sealane"          # durable state: images, containers, volumes, state.db
run-dir = "/run/sealane"           # volatile state: sockets, namespaces, exit codes
hosts = ["unix:///run/sealane/sealane.sock"]   # where the Engine API listens; unix sockets only
group = "sealane"                  # owner group of the socket (mode 0660), when the group exists
runtime = "auto"                   # auto, crun, runc, or a path
init-path = ""                     # path of the init that --init uses; "" looks for catatonit, tini, docker-init
cgroup-parent = "/sealane"         # everything we make in cgroups lies below it
labels = []                        # shown by info
log-level = "info"                 # debug, info, warning, error

[containers]
log-driver = "json-file"           # json-file, local or none
log-opts = {}                      # max-size, max-file
shm-size = 67108864                # bytes
stop-timeout = 10                  # seconds between the stop signal and SIGKILL

[network]
pools = []                         # [{ base = "10.9.0.0/16", size = 24 }]; [] is Docker's own list
bridge-name = ""                   # Linux bridge of the network called bridge; "" is sealane0 (see below)
table = ""                         # our nftables tables; "" is sealane (see below)
bridge-subnet = ""                 # "" takes the first free pool: 172.17.0.0/16 when nobody has it
bridge-ipv6 = false                # give the default bridge an IPv6 subnet too
mtu = 0                            # of the default bridge; 0 is the kernel's 1500
bind = ""                          # host address of -p without one; "" is every address
host-gateway = ""                  # what host-gateway means; "" is the default bridge's gateway

[dns]
servers = []                       # instead of the host's resolv.conf
search = []
options = []
ttl = 0                            # seconds, of the names of containers

[registries]
mirrors = []                       # of Docker Hub, tried in order before it: ["http://127.0.0.1:5000"]
insecure = []                      # host:port or CIDR that may be spoken to without TLS; loopback always may

A second engine on the host has another run-dir, and from that its own names: where bridge-name or table is "", six hex
digits of the run-dir's hash are put into them.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from sealane.errors import InvalidArgument
from sealane.values import IPAddress, IPNetwork

_RUN_DIR: Final = Path("/run/sealane")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The file's keys, flat; see the module's docstring for what each means."""

    root: Path = Path("/var/lib/sealane")
    run_dir: Path = _RUN_DIR
    hosts: tuple[str, ...] = ()  # empty: the socket sealane.sock in run_dir
    group: str = "sealane"
    runtime: str = "auto"
    init_path: str = ""
    cgroup_parent: str = "/sealane"
    labels: tuple[str, ...] = ()
    log_level: str = "info"
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)
    shm_size: int = 64 << 20
    stop_timeout_s: int = 10
    pools: tuple[tuple[IPNetwork, int], ...] = ()
    bridge_name: str = ""
    table_name: str = ""
    bridge_subnet: IPNetwork | None = None
    bridge_ipv6: bool = False
    mtu: int | None = None
    bind: IPAddress | None = None
    host_gateway: IPAddress | None = None
    dns: tuple[IPAddress, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_ttl: int = 0
    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()

    @property
    def bridge(self) -> str:
        """The Linux bridge of the default network."""
        return self.bridge_name or (f"sealane{self._mark}" if self._mark else "sealane0")

    @property
    def table(self) -> str:
        """The nftables tables' name, in every family."""
        return self.table_name or (f"sealane-{self._mark}" if self._mark else "sealane")

    @property
    def _mark(self) -> str:
        if self.run_dir == _RUN_DIR:
            return ""
        return hashlib.sha256(str(self.run_dir).encode()).hexdigest()[:6]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it should be a string")
    return value


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"it should be one of {', '.join(words)}")
        return str(value)

    return read


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("it should be a whole number, 0 or more")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it should be true or false")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("it should be a list of strings")
    return tuple(value)


def _options(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("it should be a table")
    return {str(key): str(item) for key, item in value.items()}


def _address(value: Any) -> IPAddress | None:
    return ip_address(_text(value)) if value != "" else None


def _addresses(value: Any) -> tuple[IPAddress, ...]:
    return tuple(ip_address(item) for item in _texts(value))


def _network(value: Any) -> IPNetwork | None:
    return ip_network(_text(value)) if value != "" else None


def _pools(value: Any) -> tuple[tuple[IPNetwork, int], ...]:
    if not isinstance(value, list):
        raise ValueError("it should be a list of { base, size } tables")
    pools = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"base", "size"}:
            raise ValueError("each entry should have base and size, and nothing else")
        base, size = ip_network(_text(entry["base"])), _number(entry["size"])
        if not base.prefixlen <= size <= base.max_prefixlen:
            raise ValueError(f"size {size} does not lie within {base}")
        pools.append((base, size))
    return tuple(pools)


def _path(value: Any) -> Path:
    path = Path(_text(value))
    if not path.is_absolute():
        raise ValueError("it should be an absolute path")
    return path


_KEYS: Final[Mapping[str, Mapping[str, tuple[str, Callable[[Any], Any]]]]] = {
    "engine": {
        "root": ("root", _path),
        "run-dir": ("run_dir", _path),
        "hosts": ("hosts", _texts),
        "group": ("group", _text),
        "runtime": ("runtime", _text),
        "init-path": ("init_path", _text),
        "cgroup-parent": ("cgroup_parent", _text),
        "labels": ("labels", _texts),
        "log-level": ("log_level", _one_of("debug", "info", "warning", "error")),
    },
    "containers": {
        "log-driver": ("log_driver", _one_of("json-file", "local", "none")),
        "log-opts": ("log_options", _options),
        "shm-size": ("shm_size", _number),
        "stop-timeout": ("stop_timeout_s", _number),
    },
    "network": {
        "pools": ("pools", _pools),
        "bridge-name": ("bridge_name", _text),
        "table": ("table_name", _text),
        "bridge-subnet": ("bridge_subnet", _network),
        "bridge-ipv6": ("bridge_ipv6", _flag),
        "mtu": ("mtu", lambda value: _number(value) or None),
        "bind": ("bind", _address),
        "host-gateway": ("host_gateway", _address),
    },
    "dns": {
        "servers": ("dns", _addresses),
        "search": ("dns_search", _texts),
        "options": ("dns_options", _texts),
        "ttl": ("dns_ttl", _number),
    },
    "registries": {"mirrors": ("mirrors", _texts), "insecure": ("insecure", _texts)},
}


def parse_config(text: str, source: str) -> Config:
    """Read the file's text; *source* names it in errors. Raises InvalidArgument naming the key and the reason."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgument(f"{source}: not valid TOML: {error}") from error
    found: dict[str, Any] = {}
    for table, keys in tables.items():
        if table not in _KEYS or not isinstance(keys, dict):
            raise InvalidArgument(f"{source}: unknown key {table!r}; the tables are {', '.join(_KEYS)}")
        for key, value in keys.items():
            if key not in _KEYS[table]:
                raise InvalidArgument(f"{source}: unknown key {table}.{key}; known are {', '.join(_KEYS[table])}")
            name, read = _KEYS[table][key]
            try:
                found[name] = read(value)
            except ValueError as error:
                raise InvalidArgument(f"{source}: bad value of {table}.{key}: {error}") from error
    return Config(**found)
