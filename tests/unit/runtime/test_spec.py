"""OCI configurations: held against those that Docker Engine 26.1 wrote for the same wishes (golden/docker-*.json).

Left out there: its hook, the files in /etc, the profile of system calls, of a privileged container the devices.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sealane.errors import InvalidArgument
from sealane.runtime.defaults import ALL_CAPABILITIES, DEFAULT_CAPABILITIES, Mount, capabilities
from sealane.runtime.resources import CgroupAbilities, Limits
from sealane.runtime.seccomp import SyscallAbi, parse_profile
from sealane.runtime.spec import ContainerPlan, DeviceNode, ExecPlan, Json, User, exec_process, oci_config

GOLDEN = Path(__file__).with_name("golden")
#: What Docker's own rules come before: everything up to the last of its defaults.
LAST_DEFAULT = {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
DOCKERS_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def dockers(name: str) -> Json:
    found: Json = json.loads((GOLDEN / f"docker-{name}.json").read_text())
    return found


def plan(**changes: Any) -> ContainerPlan:
    settings: dict[str, Any] = {
        "id": "ID",
        "rootfs": Path("ROOT"),
        "args": ("sleep", "1000"),
        "env": (DOCKERS_PATH, "HOSTNAME=SHORT"),
        "user": User(0, 0, (0,)),
        "hostname": "SHORT",
        "cgroup_path": "/docker/ID",
    }
    return ContainerPlan(**settings | changes)


def rules(config: Json) -> list[Json]:
    """Device rules beyond those that a runtime or Docker always adds."""
    found: list[Json] = config["linux"]["resources"]["devices"]
    if LAST_DEFAULT in found:
        start = len(found) - found[::-1].index(LAST_DEFAULT)
        found = [{"allow": False, "access": "rwm"}, *found[start:]]
    return [{key: value for key, value in rule.items() if value != -1} for rule in found]


def without_nothing(value: Any) -> Any:
    """What is absent, false or empty means the same to a runtime."""
    if isinstance(value, dict):
        cleaned = {key: without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in (None, False, "", [], {})}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def comparable(config: Json) -> Json:
    """The parts in which two writers of the same wishes may differ, made equal."""
    shown: Json = json.loads(json.dumps(config))
    shown.pop("ociVersion")
    shown["linux"].pop("rootfsPropagation", None)
    shown["linux"]["resources"]["devices"] = rules(shown)
    shown["linux"]["namespaces"].sort(key=lambda item: item["type"])
    cleaned: Json = without_nothing(shown)
    return cleaned


RICH = {
    "args": ("sleep", "1000"),
    "env": (DOCKERS_PATH, "HOSTNAME=web", "TERM=xterm", "A=b"),
    "cwd": "/data",
    "user": User(5, 6, (6, 7)),
    "terminal": True,
    "readonly": True,
    "hostname": "web",
    "domainname": "example.org",
    "init": Path("/usr/bin/docker-init"),
    "capabilities": capabilities(["NET_ADMIN"], ["CHOWN"]),
    "limits": Limits(
        memory=64 << 20,
        memory_reservation=32 << 20,
        nano_cpus=1_500_000_000,
        pids=100,
        cpuset_cpus="0-1",
        cpu_shares=512,
    ),
    "rlimits": (("core", 1024, 2048), ("nproc", 100, 200)),
    "oom_score_adj": 500,
    "shm_size": 1 << 20,
    "sysctls": {"net.ipv4.ip_forward": "0"},
    "devices": (DeviceNode("/dev/other", "c", 1, 3, permissions="r"),),
    "device_rules": ("c 1:* rm",),
    "no_new_privileges": True,
    "mounts": (Mount("/scratch", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev", "rprivate", "size=64k")),),
}
HOST = {
    "netns": "host", "pidns": "host", "ipcns": "host", "utsns": "host", "cgroupns": "",
    "env": (DOCKERS_PATH, "HOSTNAME=vm"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "changes"), [("plain", {}), ("rich", RICH), ("host", HOST)])
def test_a_configuration_is_dockers(name: str, changes: dict[str, Any]) -> None:
    expected, found = comparable(dockers(name)), comparable(oci_config(plan(**changes)))
    if name == "plain":
        found["process"]["args"] = expected["process"]["args"]
    assert found == expected


def test_privileged_is_dockers() -> None:
    expected = dockers("privileged")
    allowed = expected["process"]["capabilities"]["bounding"]
    found = oci_config(plan(privileged=True, capabilities=tuple(allowed)))
    assert found["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    expected["linux"]["resources"]["devices"] = found["linux"]["resources"]["devices"]
    assert comparable(found) == comparable(expected)


def test_an_exec_is_a_process_alone() -> None:
    made = exec_process(
        ExecPlan(args=("id",), env=("A=b",), cwd="", user=User(1, 2), terminal=True, size=(24, 80), apparmor="p",
                 rlimits=(("nofile", -1, -1),), capabilities=("CAP_KILL",))
    )  # fmt: skip
    unlimited = (1 << 64) - 1
    assert made == {
        "terminal": True,
        "user": {"uid": 1, "gid": 2, "additionalGids": []},
        "args": ["id"],
        "env": ["A=b"],
        "cwd": "/",
        "capabilities": {name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted")},
        "noNewPrivileges": False,
        "oomScoreAdj": 0,
        "consoleSize": {"height": 24, "width": 80},
        "apparmorProfile": "p",
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": unlimited, "hard": unlimited}],
    }


def test_namespaces_of_others_are_joined_by_path() -> None:
    config = oci_config(plan(netns="/run/netns/x", pidns="/proc/5/ns/pid"))
    by_type = {item["type"]: item.get("path") for item in config["linux"]["namespaces"]}
    assert by_type == {"mount": None, "network": "/run/netns/x", "pid": "/proc/5/ns/pid", "ipc": None, "uts": None}


def test_the_hosts_names_and_network_are_not_touched() -> None:
    config = oci_config(plan(netns="host", utsns="host", hostname="x", domainname="y"))
    assert "hostname" not in config
    assert config["linux"]["sysctl"] == {}


def test_an_own_mount_replaces_the_systems() -> None:
    mounts = [Mount("/dev/shm/", "tmpfs", "x", ()), Mount("/proc", "bind", "/other", ("bind",))]
    config = oci_config(plan(mounts=tuple(mounts)))
    found = [item["destination"] for item in config["mounts"]]
    assert found == ["/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm/", "/proc"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), "rprivate"), (("rbind", "slave"), "rslave"), (("rshared",), "rshared"), (("private",), "rprivate")],
)
def test_the_root_follows_the_most_open_mount(options: tuple[str, ...], expected: str) -> None:
    mounts = (Mount("/a", "bind", "/a", options), Mount("/b", "bind", "/b", ("rprivate",)))
    assert oci_config(plan(mounts=mounts))["linux"]["rootfsPropagation"] == expected


def test_system_calls_follow_the_capabilities() -> None:
    content = b"""{"defaultAction": "SCMP_ACT_ERRNO", "syscalls":
        [{"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}}]}"""
    profile = parse_profile(content, SyscallAbi(), "test")
    assert oci_config(plan(seccomp=profile))["linux"]["seccomp"]["syscalls"] == []
    more = oci_config(plan(seccomp=profile, capabilities=capabilities(["SYS_ADMIN"])))
    assert more["linux"]["seccomp"]["syscalls"] == [{"names": ["mount"], "action": "SCMP_ACT_ALLOW"}]
    assert "seccomp" not in oci_config(plan(seccomp=profile, privileged=True))["linux"]


def test_abilities_reach_the_limits() -> None:
    config = oci_config(plan(limits=Limits(memory=1 << 20)), CgroupAbilities("v1", swap_limit=False))
    assert config["linux"]["resources"]["memory"] == {"limit": 1 << 20}


@pytest.mark.parametrize(
    "text", ["", "c", "x 1:3 rwm", "c 1 rwm", "c 1:3 rwx", "c 1:3 rwmr", "c -1:3 r", "c 1:3 rwm\n"]
)
def test_a_device_rule_that_makes_no_sense(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid device cgroup rule format: "):
        oci_config(plan(device_rules=(text,)))


# capabilities


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ([], [], DEFAULT_CAPABILITIES),
        (["all"], [], ALL_CAPABILITIES),
        (["ALL"], ["CHOWN"], tuple(name for name in ALL_CAPABILITIES if name != "CAP_CHOWN")),
        ([], ["ALL"], ()),
        (["net_admin", "CAP_NET_ADMIN"], ["ALL"], ("CAP_NET_ADMIN",)),
        (["KILL"], [], DEFAULT_CAPABILITIES),
        (["ALL"], ["ALL"], ALL_CAPABILITIES),
    ],
)
def test_capabilities(add: list[str], drop: list[str], expected: tuple[str, ...]) -> None:
    assert capabilities(add, drop) == expected


def test_capabilities_that_there_are_not() -> None:
    with pytest.raises(InvalidArgument, match='invalid CapAdd: unknown capability: "CAP_FLY"'):
        capabilities(["fly"])
    available = [name for name in ALL_CAPABILITIES if name != "CAP_SYS_RESOURCE"]
    words = (
        'invalid CapDrop: capability not supported by your kernel or not available in the current environment: "CAP_'
    )
    with pytest.raises(InvalidArgument, match=words):
        capabilities(drop=["SYS_RESOURCE"], available=available)
    assert capabilities(privileged=True, available=available) == tuple(available)
    assert capabilities(["ALL"], available=available) == tuple(available)
