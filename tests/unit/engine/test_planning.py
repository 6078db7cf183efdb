"""What the engine knows of a container → what the OCI runtime is given.

``golden/launch-*.json`` hold whole launches of typical requests; UPDATE=1 in the environment writes them anew, to be
read before they are committed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sealane.engine.container import Container
from sealane.engine.model import (
    Device,
    ExecRequest,
    MountKind,
    MountPoint,
    MountRequest,
    Resources,
    Status,
    Ulimit,
)
from sealane.engine.planning import Planner, limits_of, network_holder, parse_size
from sealane.engine.records import MountRecord
from sealane.errors import Conflict, Internal, InvalidArgument, NotFound
from sealane.runtime.defaults import ALL_CAPABILITIES, MASKED_PATHS
from sealane.runtime.machine import Machine
from sealane.runtime.resources import CgroupAbilities
from sealane.runtime.spec import Json, User
from sealane.values import ExecId
from unit.engine.making import container, context, identifier

GOLDEN = Path(__file__).with_name("golden")
ROOT_USER = User(0, 0, (0,), "/root")


def machine(*, init: Path | None = None, version: str = "v1") -> Machine:
    return Machine(CgroupAbilities(version, True), None, init, ALL_CAPABILITIES)


def planner(*others: Container, of: Machine | None = None, **settings: Any) -> Planner:
    known: Mapping[str, Container] = {key: each for each in others for key in (each.id, each.name)}

    def find(reference: str) -> Container:
        if reference not in known:
            raise NotFound(f"No such container: {reference}")
        return known[reference]

    return Planner(context(**settings), of or machine(), find)


def config(box: Container, *others: Container, user: User = ROOT_USER, of: Machine | None = None) -> Json:
    return planner(box, *others, of=of).launch(box, Path("/ROOT"), user).config


def mount(point: MountPoint, **asked: Any) -> MountRecord:
    return MountRecord(point=point, asked=MountRequest(kind=point.kind, target=point.destination, **asked))


def bind(source: str, target: str, *, read_write: bool = True, propagation: str = "rprivate") -> MountRecord:
    return mount(
        MountPoint(
            kind=MountKind.BIND,
            source=source,
            destination=target,
            read_write=read_write,
            propagation=propagation,
        )
    )


def tmpfs(target: str, *, read_write: bool = True, **asked: Any) -> MountRecord:
    return mount(MountPoint(kind=MountKind.TMPFS, destination=target, read_write=read_write), **asked)


def mounted(found: Json, target: str) -> Json:
    (one,) = (each for each in found["mounts"] if each["destination"] == target)
    return dict(one)


def namespaces(found: Json) -> dict[str, str]:
    return {each["type"]: each.get("path", "") for each in found["linux"]["namespaces"]}


# whole launches


PLAIN = container("plain", argv=("sleep", "1000"))
RICH = container(
    "rich",
    argv=("/bin/server", "--port", "80"),
    process_fields={"env": ("A=1", "PATH=/x"), "working_dir": "/srv", "hostname": "ha", "stop_signal": "SIGINT"},
    mounts=(
        bind("/srv/data", "/data", read_write=False, propagation="rshared"),
        tmpfs("/scratch", tmpfs_options="exec,mode=700", tmpfs_size=65536),
        mount(
            MountPoint(kind=MountKind.VOLUME, name="v", source="/volumes/v/_data", destination="/var/lib/x"),
            source="v",
        ),
    ),
    tty=True,
    open_stdin=True,
    stdin_once=True,
    domainname="example.com",
    read_only=True,
    cap_add=("NET_ADMIN",),
    cap_drop=("MKNOD",),
    security_opt=("no-new-privileges", "seccomp=unconfined", "apparmor=mine"),
    ulimits=(Ulimit("nofile", 1024, 2048),),
    sysctls={"net.core.somaxconn": "99"},
    shm_size=1 << 20,
    oom_score_adj=-500,
    cgroup_parent="/other/",
    masked_paths=("/proc/kcore",),
    readonly_paths=(),
    annotations={"k": "v"},
    resources=Resources(memory=100 << 20, memory_swap=200 << 20, nano_cpus=1_500_000_000, pids_limit=50),
    log_options={"max-size": "10m"},
)


@pytest.mark.parametrize("box", [PLAIN, RICH], ids=lambda box: box.name)
def test_a_whole_launch(box: Container) -> None:
    launch = planner(box).launch(box, Path("/ROOT"), ROOT_USER)
    seen = {
        "stdin": launch.stdin,
        "stdin_once": launch.stdin_once,
        "log_path": str(launch.log_path),
        "log_max_bytes": launch.log_max_bytes,
        "config": launch.config,
    }
    text = json.dumps(seen, indent=1, sort_keys=True) + "\n"
    path = GOLDEN / f"launch-{box.name}.json"
    if os.environ.get("UPDATE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert json.loads(text) == json.loads(path.read_text())


# mounts


@pytest.mark.parametrize(
    ("record", "options"),
    [
        (tmpfs("/t"), ["noexec", "nosuid", "nodev"]),
        (tmpfs("/t", tmpfs_options="exec,size=1m"), ["noexec", "nosuid", "nodev", "exec", "size=1m"]),
        (tmpfs("/t", tmpfs_size=65536, tmpfs_mode=0o1770), ["noexec", "nosuid", "nodev", "size=65536", "mode=1770"]),
        (tmpfs("/t", read_write=False), ["noexec", "nosuid", "nodev", "ro"]),
        (bind("/s", "/t"), ["rbind", "rprivate"]),
        (bind("/s", "/t", read_write=False, propagation="slave"), ["rbind", "slave", "ro"]),
        (bind("/s", "/t", propagation="z"), ["rbind", "rprivate"]),
    ],
)
def test_the_options_of_a_mount(record: MountRecord, options: list[str]) -> None:
    assert mounted(config(container(mounts=(record,))), "/t")["options"] == options


def test_a_path_in_a_volume_never_leads_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "way-out").symlink_to("/etc")
    (tmp_path / "link").symlink_to("/inner")
    (tmp_path / "etc").mkdir()

    def source(subpath: str) -> str:
        point = MountPoint(kind=MountKind.VOLUME, name="v", source=str(tmp_path), destination="/data")
        return str(mounted(config(container(mounts=(mount(point, subpath=subpath),))), "/data")["source"])

    assert source("inner") == source("link") == f"{tmp_path}/inner"
    assert source("way-out") == f"{tmp_path}/etc"
    with pytest.raises(Internal, match=f"^cannot access path {tmp_path}/no: lstat {tmp_path}/no: no such file"):
        source("no")


def test_a_mount_comes_after_those_that_it_lies_in() -> None:
    found = config(container(mounts=(bind("/s", "/a/b"), bind("/s", "/a"))))

    assert [m["destination"] for m in found["mounts"] if m["destination"].startswith("/a")] == ["/a", "/a/b"]


def test_the_engines_files_come_first_and_give_way_to_the_containers_own() -> None:
    found = config(container(mounts=(bind("/my/hosts", "/etc/hosts"),)))
    files = [(m["destination"], m["source"]) for m in found["mounts"] if m["destination"].startswith("/etc/")]
    folder = f"/nowhere/root/containers/{identifier(1)}"

    assert files == [
        ("/etc/resolv.conf", f"{folder}/resolv.conf"),
        ("/etc/hostname", f"{folder}/hostname"),
        ("/etc/hosts", "/my/hosts"),
    ]


# namespaces


def test_namespaces_of_its_own() -> None:
    found = namespaces(config(PLAIN))

    assert found["network"] == f"/nowhere/run/netns/{identifier(1)}"
    assert (found["pid"], found["ipc"], found["uts"], found["mount"]) == ("", "", "", "")
    assert "cgroup" not in found  # v1: the host's


@pytest.mark.parametrize(
    ("version", "mode", "privileged", "own"),
    [
        ("v1", "", False, False),
        ("v1", "private", False, True),
        ("v2", "", False, True),
        ("v2", "", True, False),
        ("v2", "host", False, False),
        ("v2", "private", True, True),
    ],
)
def test_the_cgroup_namespace(version: str, mode: str, privileged: bool, own: bool) -> None:
    box = container(cgroupns_mode=mode, privileged=privileged)

    assert ("cgroup" in namespaces(config(box, of=machine(version=version)))) == own


@pytest.mark.parametrize(("field", "kind"), [("pid_mode", "pid"), ("ipc_mode", "ipc"), ("uts_mode", "uts")])
def test_a_namespace_of_the_host(field: str, kind: str) -> None:
    assert kind not in namespaces(config(container(**{field: "host"})))


def test_the_hosts_network() -> None:
    assert "network" not in namespaces(config(container(network_mode="host")))


def test_no_hostname_is_set_in_the_hosts_namespace() -> None:
    assert config(container(uts_mode="host")).get("hostname", "") == ""
    assert config(container())["hostname"] == "box"


PEER = container("peer", 2, status=Status.RUNNING, pid=4711)


def test_namespaces_of_another_container() -> None:
    box = container(network_mode="container:peer", pid_mode="container:peer", ipc_mode="container:peer")
    found = config(box, PEER)

    assert namespaces(found)["network"] == f"/nowhere/run/netns/{identifier(2)}"
    assert namespaces(found)["pid"] == "/proc/4711/ns/pid"
    assert namespaces(found)["ipc"] == "/proc/4711/ns/ipc"
    assert mounted(found, "/dev/shm")["source"] == "/proc/4711/root/dev/shm"
    assert mounted(found, "/etc/hosts")["source"] == f"/nowhere/root/containers/{identifier(2)}/hosts"


def test_a_network_may_be_joined_through_another() -> None:
    middle = container("middle", 3, status=Status.RUNNING, network_mode="container:peer")
    box = container(network_mode="container:middle")

    assert namespaces(config(box, middle, PEER))["network"] == f"/nowhere/run/netns/{identifier(2)}"


def test_the_hosts_network_may_be_joined_through_another() -> None:
    middle = container("middle", 3, status=Status.RUNNING, network_mode="host")

    assert "network" not in namespaces(config(container(network_mode="container:middle"), middle))


@pytest.mark.parametrize(
    ("request_fields", "problem"),
    [
        ({"network_mode": "container:peer"}, "cannot join network namespace of a non running container"),
        ({"pid_mode": "container:peer"}, "cannot join PID namespace of a non running container: peer"),
        ({"ipc_mode": "container:peer"}, "cannot join IPC namespace of a non running container: peer"),
    ],
)
def test_a_peer_must_run(request_fields: dict[str, Any], problem: str) -> None:
    asleep = container("peer", 2, status=Status.EXITED)

    with pytest.raises(Conflict, match=problem):
        config(container(**request_fields), asleep)


def test_nobody_joins_itself() -> None:
    box = container(network_mode="container:box")

    with pytest.raises(Internal, match="cannot join own network namespace"):
        config(box)


def test_who_join_each_other_are_told() -> None:
    one = container("one", 1, network_mode="container:two")
    two = container("two", 2, network_mode="container:one")

    with pytest.raises(Internal, match="they join each other"):
        network_holder(one, {"one": one, "two": two}.__getitem__)


def test_a_private_ipc_namespace_without_shared_memory() -> None:
    found = config(container(ipc_mode="none"))

    assert namespaces(found)["ipc"] == ""
    assert "/dev/shm" not in {each["destination"] for each in found["mounts"]}


# privileges


def test_system_paths_may_be_opened() -> None:
    closed, opened = config(container()), config(container(security_opt=("systempaths=unconfined",)))

    assert tuple(closed["linux"]["maskedPaths"]) == MASKED_PATHS
    assert not opened["linux"].get("maskedPaths")
    assert not opened["linux"].get("readonlyPaths")


def test_no_new_privileges() -> None:
    assert config(container(security_opt=("no-new-privileges:true",)))["process"]["noNewPrivileges"] is True
    assert not config(container())["process"].get("noNewPrivileges")


def test_privileged() -> None:
    found = config(container(privileged=True))

    assert set(found["process"]["capabilities"]["bounding"]) == set(ALL_CAPABILITIES)
    assert {"path": "/dev/null", "type": "c"}.items() <= next(
        each for each in found["linux"]["devices"] if each["path"] == "/dev/null"
    ).items()


def test_an_own_seccomp_profile() -> None:
    profile = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO"}]}'
    found = config(container(security_opt=(f"seccomp={profile}",)))

    assert found["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ALLOW"
    with pytest.raises(InvalidArgument, match="seccomp profile of --security-opt is not valid"):
        config(container(security_opt=("seccomp={",)))


# devices


def test_a_device_under_another_name() -> None:
    found = config(container(devices=(Device("/dev/zero", "/dev/foo", "r"),)))

    (device,) = (each for each in found["linux"]["devices"] if each["path"] == "/dev/foo")
    assert (device["type"], device["major"], device["minor"]) == ("c", 1, 5)
    assert {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"} in found["linux"]["resources"]["devices"]


def test_a_device_without_permissions_has_all() -> None:
    found = config(container(devices=(Device("/dev/zero", "", ""),)))

    assert {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"} in (
        found["linux"]["resources"]["devices"]
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/dev/no-such-device", "no such file or directory"), ("/etc/passwd", "not a device node")],
)
def test_what_is_no_device_is_named(path: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        config(container(devices=(Device(path, path),)))
    assert caught.value.message == (f'error gathering device information while adding custom device "{path}": {reason}')


def test_a_directory_without_devices_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidArgument, match="no such file or directory"):
        config(container(devices=(Device(str(tmp_path), "/dev/x"),)))


def test_a_directory_stands_for_the_devices_in_it() -> None:
    found = config(container(devices=(Device("/dev", "/dev/host"),)))

    assert {"/dev/host/null", "/dev/host/zero"} <= {each["path"] for each in found["linux"]["devices"]}


# limits, logs, the rest


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 0),
        ("-1", 0),
        ("10", 10),
        ("10b", 10),
        ("10k", 10240),
        ("10K", 10240),
        ("1.5m", 1572864),
        ("1gb", 1 << 30),
        ("1 MiB", 1 << 20),
    ],
)
def test_a_size_as_text(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["x", "10x", "m", "10mm", "1  m", "nanm", "infg", "-5", "1..5", "9" * 400, "10m\n"])
def test_a_bad_size_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^invalid size: '{text}'$"):
        parse_size(text)


def test_every_limit_reaches_the_runtime() -> None:
    asked = Resources(
        memory=1, memory_swap=2, memory_reservation=3, memory_swappiness=4, nano_cpus=5, cpu_shares=6, cpu_period=7,
        cpu_quota=8, cpuset_cpus="9", cpuset_mems="10", pids_limit=11, blkio_weight=12, oom_kill_disable=True,
    )  # fmt: skip
    limits = limits_of(container(resources=asked).record.request)

    same = {"pids": 11, "kernel_memory": 0}
    for item in fields(limits):
        assert getattr(limits, item.name) == same.get(item.name, getattr(asked, item.name, None)), item.name


@pytest.mark.parametrize(("driver", "kept"), [("", True), ("json-file", True), ("local", True), ("none", False)])
def test_where_the_log_goes(driver: str, kept: bool) -> None:
    box = container(log_driver=driver)
    path = planner(box).launch(box, Path("/ROOT"), ROOT_USER).log_path

    assert path == (Path(f"/nowhere/root/containers/{box.id}/log") if kept else None)


def test_the_engines_own_log_settings() -> None:
    box = container()
    launch = planner(box, log_driver="none").launch(box, Path("/ROOT"), ROOT_USER)
    sized = planner(box, log_options={"max-size": "1k"}).launch(box, Path("/ROOT"), ROOT_USER)

    assert (launch.log_path, sized.log_max_bytes) == (None, 1024)


def test_init() -> None:
    box = container(init=True)
    found = config(box, of=machine(init=Path("/usr/bin/tini")))

    assert found["process"]["args"][0] != "sleep"
    assert "sleep" in found["process"]["args"]


def test_init_needs_a_program() -> None:
    with pytest.raises(InvalidArgument, match="--init needs an init program"):
        planner().check(container(init=True).record.request)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"cap_add": ("NO_SUCH",)}, 'unknown capability: "CAP_NO_SUCH"'),
        ({"security_opt": ("foo",)}, 'invalid --security-opt: "foo"'),
        ({"security_opt": ("seccomp={",)}, "seccomp profile"),
        ({"pid_mode": "container:nobody"}, "No such container: nobody"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_anything_is_made(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises((InvalidArgument, NotFound), match=problem):
        planner().check(container(**fields).record.request)


# execs


def exec_process(box: Container, *, detach: bool = False, **request: Any) -> tuple[Json, bool, bool]:
    asked = ExecRequest(command=("sh", "-c", "x"), **request)
    launch = planner(box).exec_launch(box, ExecId("e1"), asked, ROOT_USER, detach=detach, size=(24, 80))
    return launch.process, launch.stdin, launch.attach


def test_an_exec_has_the_containers_surroundings() -> None:
    process, stdin, attach = exec_process(RICH)

    assert process["args"] == ["sh", "-c", "x"]
    assert process["cwd"] == "/srv"
    assert {"A=1", "PATH=/x", "HOSTNAME=ha", "HOME=/root"} <= set(process["env"])
    assert "CAP_NET_ADMIN" in process["capabilities"]["bounding"]
    assert "CAP_MKNOD" not in process["capabilities"]["bounding"]
    assert process["noNewPrivileges"] is True
    assert (stdin, attach) == (False, True)


def test_an_execs_own_wishes() -> None:
    process, stdin, _ = exec_process(
        PLAIN, tty=True, attach_stdin=True, env=("A=2", "HOME=/x"), working_dir="/w", privileged=True
    )

    assert process["terminal"] is True
    assert process["cwd"] == "/w"
    assert [entry for entry in process["env"] if entry.startswith("HOME=")] == ["HOME=/x"]
    assert set(process["capabilities"]["bounding"]) == set(ALL_CAPABILITIES)
    assert stdin


def test_a_detached_exec_has_no_streams() -> None:
    assert exec_process(PLAIN, detach=True, attach_stdin=True)[1:] == (False, False)
