"""What a process in a container can and cannot do: asked of the kernel, inside."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from kernel.runtime.lab import RuntimeLab, until
from sealane.linux import process
from sealane.runtime.defaults import MASKED_PATHS, READONLY_PATHS, capabilities
from sealane.runtime.probe import available_capabilities, find_init, host_devices, seccomp_profile, syscall_abi
from sealane.runtime.seccomp import Profile, parse_profile
from sealane.runtime.spec import DeviceNode, Mount, User

#: What Docker's containers have, as /proc/PID/status shows it.
DOCKERS = 0xA80425FB
ALL = available_capabilities()
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


def status(lab: RuntimeLab, **changes: object) -> dict[str, str]:
    """/proc/self/status inside."""
    lines = lab.run(lab.shell("cat /proc/self/status", **changes)).out.splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def capability_sets(lab: RuntimeLab, **changes: object) -> dict[str, int]:
    found = status(lab, **changes)
    return {name: int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def test_default_capabilities_are_dockers(lab: RuntimeLab) -> None:
    assert capability_sets(lab) == {"CapInh": 0, "CapPrm": DOCKERS, "CapEff": DOCKERS, "CapBnd": DOCKERS, "CapAmb": 0}


def test_another_user_has_none_in_effect(lab: RuntimeLab) -> None:
    found = capability_sets(lab, user=User(1000, 1000))
    assert found == {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": DOCKERS, "CapAmb": 0}


def test_dropped_capabilities_cannot_be_used(lab: RuntimeLab) -> None:
    dropped = capabilities(drop=["CHOWN"])
    result = lab.run(lab.shell("touch /x; chown 1000 /x", capabilities=dropped))
    assert (result.code, result.err) == (1, "chown: /x: Operation not permitted\n")
    assert capability_sets(lab, capabilities=capabilities(drop=["ALL"]))["CapBnd"] == 0


def test_added_capabilities(lab: RuntimeLab) -> None:
    assert "Operation not permitted" in lab.run(lab.shell("ip link set lo mtu 1400")).err
    assert lab.run(lab.shell("ip link set lo mtu 1400", "c2", capabilities=capabilities(add=["NET_ADMIN"]))).err == ""


def test_no_new_privileges(lab: RuntimeLab) -> None:
    assert status(lab)["NoNewPrivs"] == "0"
    assert status(lab, no_new_privileges=True)["NoNewPrivs"] == "1"


def test_the_default_profile_is_active(lab: RuntimeLab) -> None:
    profile = seccomp_profile()
    assert isinstance(profile, Profile)
    assert status(lab, seccomp=profile)["Seccomp"] == "2"
    assert status(lab)["Seccomp"] == "0"


def test_a_profile_is_obeyed(lab: RuntimeLab) -> None:
    rules = [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122},
        {"names": ["symlink", "symlinkat"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}},
    ]
    content = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}).encode()
    profile = parse_profile(content, syscall_abi(), "test")
    script = "mkdir /a; ln -s x /b && echo linked"
    result = lab.run(lab.shell(script, seccomp=profile))
    assert result.err == "mkdir: can't create directory '/a': Disk quota exceeded\n"
    assert result.out == "linked\n"
    without = lab.run(lab.shell(script, "c2", seccomp=profile, capabilities=capabilities(drop=["CHOWN"])))
    assert without.out == ""


def test_masked_paths_show_nothing(lab: RuntimeLab) -> None:
    script = 'for p in "$@"; do [ -d $p ] && ls -A $p || cat $p; done'
    there = [path for path in MASKED_PATHS if os.path.exists(path)]
    result = lab.run(lab.outcome("c1", "sh", "-c", script, "sh", *there))
    assert there
    assert (result.out, result.err) == ("", "")
    shown = lab.run(lab.outcome("c2", "sh", "-c", script, "sh", *there, masked_paths=()))
    assert shown.out


def test_kernel_settings_are_read_only(lab: RuntimeLab) -> None:
    there = [path for path in READONLY_PATHS if os.path.exists(path)]
    script = "echo x > /proc/sys/kernel/domainname"
    assert "Read-only file system" in lab.run(lab.shell(script)).err
    assert lab.run(lab.shell(script, "c2", readonly_paths=(), capabilities=ALL)).err == ""
    mounted = lab.run(lab.shell("cat /proc/mounts", "c3")).out
    for path in there:
        line = next(line for line in mounted.splitlines() if line.split()[1] == path)
        assert "ro" in line.split()[3].split(",")


def test_sys_and_groups_are_read_only(lab: RuntimeLab) -> None:
    group = "/sys/fs/cgroup/memory" if lab.layout.version != "v2" else "/sys/fs/cgroup"
    result = lab.run(lab.shell(f"mkdir {group}/x; touch /sys/x; cat {group}/cgroup.procs"))
    assert result.err.count("Read-only file system") == 2
    assert result.out.split()[0] == "1"


def test_a_read_only_root(lab: RuntimeLab) -> None:
    result = lab.run(lab.shell("touch /x; touch /dev/shm/x && echo shm; touch /tmp/x", readonly=True))
    assert result.err.count("Read-only file system") == 2
    assert result.out == "shm\n"


def test_only_the_usual_devices(lab: RuntimeLab) -> None:
    listed = lab.run(lab.shell("cd /dev; find . -type c -o -type b | sort")).out.split()
    assert listed == ["./full", "./null", "./ptmx", "./random", "./tty", "./urandom", "./zero"] or listed == [
        *("./full", "./null", "./pts/ptmx", "./random", "./tty", "./urandom", "./zero")
    ]


def test_a_device_that_is_not_allowed_cannot_be_used(lab: RuntimeLab) -> None:
    """CAP_MKNOD is there by default: what holds is the device group."""
    script = "mknod /kmsg c 1 11; head -c 1 /kmsg; mknod /z c 1 5 && head -c 3 /z | wc -c"
    result = lab.run(lab.shell(script, capabilities=capabilities(add=["SYSLOG"])))
    assert "/kmsg: Operation not permitted" in result.err
    assert result.out == "3\n"


def test_devices_that_were_asked_for(lab: RuntimeLab) -> None:
    node = DeviceNode("/dev/other", "c", 1, 11, mode=0o640, gid=29, permissions="r")
    more = {"capabilities": capabilities(add=["SYSLOG"])}
    script = "stat -c '%t:%T %a %g' /dev/other; : < /dev/other && echo r; : >> /dev/other"
    result = lab.run(lab.shell(script, devices=(node,), **more))
    assert result.out == "1:b 640 29\nr\n"
    assert "Operation not permitted" in result.err
    ruled = lab.run(lab.shell("mknod /kmsg c 1 11; : < /kmsg && echo r", "c2", device_rules=("c 1:* rm",), **more))
    assert ruled.out == "r\n"


def test_privileged(lab: RuntimeLab) -> None:
    """It has what the engine has, whatever that lacks on this machine."""
    every = {"privileged": True, "capabilities": ALL, "devices": host_devices()}
    mine = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:"))
    assert capability_sets(lab, **every)["CapEff"] == int(mine.split()[1], 16)
    script = "mkdir /tmp/m && mount -t tmpfs x /tmp/m && : < /dev/kmsg && [ -w /proc/sys ] && mkdir /sys/fs/cgroup/x"
    result = lab.run(lab.shell(script, cgroupns="", **every))
    assert (result.code, result.err) == (0, "")


def links(text: str) -> dict[str, str]:
    return dict(zip(NAMESPACES, text.split(), strict=True))


SHOW_NAMESPACES = "for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done"


def hosts_namespaces() -> dict[str, str]:
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}


def test_namespaces_of_its_own(lab: RuntimeLab) -> None:
    own, host = links(lab.run(lab.shell(SHOW_NAMESPACES)).out), hosts_namespaces()
    assert [name for name in NAMESPACES if own[name] == host[name]] == ["cgroup"]
    private = links(lab.run(lab.shell(SHOW_NAMESPACES, "c2", cgroupns="")).out)
    assert private["cgroup"] != host["cgroup"]


@pytest.mark.parametrize("mode", ["host", "joined"])
def test_namespaces_of_others(lab: RuntimeLab, mode: str) -> None:
    async def story() -> tuple[dict[str, str], dict[str, str]]:
        if mode == "host":
            wanted, modes = hosts_namespaces(), dict.fromkeys(("netns", "pidns", "ipcns", "utsns"), "host")
        else:
            pid = await lab.start("other", "sleep", "1000")
            names = ("net", "pid", "ipc", "uts")
            wanted = {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in names}
            modes = {f"{name}ns": f"/proc/{pid}/ns/{name}" for name in names}
        result = await lab.shell(SHOW_NAMESPACES, **modes)
        assert result.err == ""
        assert "/proc" in (await lab.shell("grep -o ' /proc ' /proc/mounts", "c2", **modes)).out
        return links(result.out), wanted

    found, wanted = lab.run(story())
    for name in ("net", "pid", "ipc", "uts"):
        assert found[name] == wanted[name]


def test_names_of_the_host(lab: RuntimeLab) -> None:
    result = lab.run(lab.shell("hostname; cat /proc/sys/kernel/domainname", domainname="example.org"))
    assert result.out == "c1\nexample.org\n"


def test_network_settings(lab: RuntimeLab) -> None:
    script = "cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range ip_default_ttl"
    result = lab.run(lab.shell(script, sysctls={"net.ipv4.ip_default_ttl": "77"}))
    assert result.out.split() == ["0", "0", "2147483647", "77"]


def test_user_groups_directory_environment(lab: RuntimeLab) -> None:
    plan = {
        "user": User(5, 6, (6, 7)),
        "cwd": "/new/place",
        "env": ("A=x y",),
        "rlimits": (("core", 1024, -1),),
        "oom_score_adj": 500,
    }
    result = lab.run(lab.shell("id -u; id -g; id -G; pwd; echo $A; ulimit -Sc; cat /proc/self/oom_score_adj", **plan))
    assert result.out.splitlines() == ["5", "6", "6 7", "/new/place", "x y", "2", "500"]


def test_mounts(lab: RuntimeLab) -> None:
    shared = lab.folder / "shared"
    shared.mkdir()
    (shared / "file").write_text("host\n")
    mounts = (
        Mount("/rw", "bind", str(shared)),
        Mount("/ro", "bind", str(shared), ("rbind", "ro", "rprivate")),
        Mount("/new/file", "bind", str(shared / "file")),
        Mount("/scratch", "tmpfs", "tmpfs", ("size=65536", "mode=1770")),
    )
    script = "cat /rw/file /new/file; echo inside > /rw/made; touch /ro/x; stat -c %a /scratch; df -k /scratch /dev/shm"
    result = lab.run(lab.shell(script, mounts=mounts, shm_size=1 << 20))
    assert result.out.startswith("host\nhost\n1770\n")
    assert [line.split()[1] for line in result.out.splitlines()[4:]] == ["64", "1024"]
    assert result.err == "touch: /ro/x: Read-only file system\n"
    assert (shared / "made").read_text() == "inside\n"


def test_a_mount_over_a_system_mount(lab: RuntimeLab) -> None:
    mounts = (Mount("/dev/shm", "tmpfs", "tmpfs", ("size=131072",)),)
    result = lab.run(lab.shell("grep -c ' /dev/shm ' /proc/mounts; df -k /dev/shm | tail -1", mounts=mounts))
    assert result.out.split()[:3] == ["1", "tmpfs", "128"]


def test_links_in_the_image_do_not_lead_mounts_out(lab: RuntimeLab) -> None:
    outside = lab.folder / "outside"
    outside.mkdir()
    source = lab.folder / "source"
    source.mkdir()
    (source / "secret").write_text("x")
    (lab.root("c1") / "evil").symlink_to(outside)
    result = lab.run(lab.shell("true", mounts=(Mount("/evil/deep", "bind", str(source)),)))
    assert result.code == 0
    assert list(outside.iterdir()) == []


def test_an_init_reaps_and_forwards(lab: RuntimeLab) -> None:
    init = find_init()
    assert init is not None

    async def story() -> None:
        script = "trap 'exit 5' TERM; (sleep 0 & exec sleep 0.01); echo up $$; while :; do sleep 0.01; done"
        await lab.start("c1", "sh", "-c", script, init=init)
        await lab.says("c1", "up")
        assert int((await lab.printed("c1")).split()[1]) > 1
        assert process.command(lab.monitor.pid("c1")) == "docker-init"
        await until(lambda: zombies(lab) == 0, "orphans are reaped")
        await lab.monitor.kill("c1", signal.SIGTERM)
        assert await lab.monitor.wait_exit("c1") == 5

    lab.run(story())


def zombies(lab: RuntimeLab) -> int:
    """Zombies among the children of the container's first process."""
    return sum(not process.exists(child) for child in process.children(lab.monitor.pid("c1")))


def test_without_an_init_it_is_process_1(lab: RuntimeLab) -> None:
    assert lab.run(lab.shell("echo $$")).out == "1\n"
