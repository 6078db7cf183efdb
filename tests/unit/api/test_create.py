"""What is read from the body of ``POST /containers/create``, and how bad bodies are refused (texts are Docker's)."""

import json
from typing import Any

import pytest

from sealane.api.convert.create import container_request
from sealane.api.convert.limits import MINIMUM_MEMORY
from sealane.api.schema.container import CreateBody
from sealane.api.schema.decode import decode
from sealane.api.versions import MAXIMUM, ApiVersion
from sealane.engine.model import ContainerRequest, MountKind, MountRequest, PortBinding, Ulimit
from sealane.errors import InvalidArgument
from sealane.values import ContainerPort, Transport


def read(version: ApiVersion = MAXIMUM, name: str = "", **fields: Any) -> ContainerRequest:
    body = {"Image": "centos", "Cmd": ["true"], **fields}
    return container_request(decode(json.dumps(body).encode(), CreateBody), name, version, 2)


def host(**fields: Any) -> ContainerRequest:
    return read(HostConfig=fields)


def test_what_the_docker_cli_sends() -> None:
    request = read(
        name="srv1",
        Tty=True,
        OpenStdin=True,
        StdinOnce=True,
        Env=["A=B"],
        Labels={"a": "b"},
        ExposedPorts={"80/tcp": {}},
        Healthcheck={"Test": ["CMD-SHELL", "true"], "Interval": 10**9},
        HostConfig={
            "NetworkMode": "default",
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": [{"HostIp": "127.0.0.1"}]},
            "Binds": ["/srv:/data:ro", "cache:/cache"],
            "Tmpfs": {"/run": "size=1m"},
            "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
            "CapAdd": ["net_admin", "ALL"],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "Memory": 64 * 2**20,
            "NanoCpus": 500_000_000,
        },
    )
    assert request.network_mode == "bridge"
    assert request.port_bindings == (
        PortBinding(ContainerPort(80), "", "8080"),
        PortBinding(ContainerPort(53, Transport.UDP), "127.0.0.1", ""),
    )
    assert request.mounts == (
        MountRequest(kind=MountKind.BIND, target="/data", source="/srv", read_only=True, mode="ro", create_source=True),
        MountRequest(kind=MountKind.VOLUME, target="/cache", source="cache"),
        MountRequest(kind=MountKind.TMPFS, target="/run", tmpfs_options="size=1m"),
    )
    assert request.ulimits == (Ulimit("nofile", 10, 20),)
    assert request.cap_add == ("CAP_NET_ADMIN", "ALL")
    assert request.restart.maximum_retries == 3
    assert request.resources.memory == 64 * 2**20
    assert request.health is not None
    assert request.health.interval_ns == 10**9
    asked = json.loads(request.asked)
    assert asked["HostConfig"]["Binds"] == ["/srv:/data:ro", "cache:/cache"]
    assert asked["HostConfig"]["ShmSize"] == 67108864
    assert asked["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert asked["Config"]["Labels"] == {"a": "b"}


def test_commands_may_be_one_text() -> None:
    request = read(Cmd="true", Entrypoint="/init")
    assert request.command == ("true",)
    assert request.entrypoint == ("/init",)
    assert read(Cmd=None, Entrypoint=[]).command is None


def test_the_network_of_the_mode_comes_first_and_the_rest_in_the_order_asked() -> None:
    config = {"EndpointsConfig": {"blue": {}, "green": {"Aliases": ["x"]}, "red": {"GwPriority": 7}}}
    request = read(HostConfig={"NetworkMode": "red"}, NetworkingConfig=config)
    assert [endpoint.network for endpoint in request.endpoints] == ["red", "blue", "green"]
    assert request.endpoints[0].gw_priority == 7
    assert request.endpoints[2].aliases == ("x",)


def test_endpoints_alone_decide_when_no_mode_was_asked() -> None:
    request = read(NetworkingConfig={"EndpointsConfig": {"blue": {}}})
    assert [endpoint.network for endpoint in request.endpoints] == ["blue"]
    assert request.network_mode == "blue"
    assert json.loads(request.asked)["HostConfig"]["NetworkMode"] == "bridge"


def test_the_old_mac_address_goes_to_the_main_network() -> None:
    request = read(MacAddress="02:42:ac:11:00:02", HostConfig={"NetworkMode": "red"})
    assert [(endpoint.network, endpoint.mac) for endpoint in request.endpoints] == [("red", "02:42:ac:11:00:02")]


def test_interface_sysctls_of_old_clients_move_to_the_endpoint() -> None:
    sysctls = {"net.ipv4.conf.eth0.forwarding": "1", "net.core.somaxconn": "5"}
    request = read(ApiVersion(1, 45), HostConfig={"Sysctls": sysctls})
    assert request.sysctls == {"net.core.somaxconn": "5"}
    assert request.endpoints[0].driver_opts == {
        "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.forwarding=1"
    }
    with pytest.raises(InvalidArgument, match="must be supplied using driver option"):
        read(HostConfig={"Sysctls": sysctls})


def test_volumes_of_the_config_are_anonymous_and_give_way_to_explicit_mounts() -> None:
    request = read(Volumes={"/a": {}, "/b/": {}}, HostConfig={"Binds": ["/x:/a"]})
    assert [(mount.kind, mount.target, mount.source) for mount in request.mounts] == [
        (MountKind.BIND, "/a", "/x"),
        (MountKind.VOLUME, "/b", ""),
    ]


def test_long_mounts() -> None:
    request = host(
        Mounts=[
            {"Type": "bind", "Source": "/s//x/", "Target": "/t", "BindOptions": {"Propagation": "rslave"}},
            {
                "Type": "volume",
                "Source": "vv",
                "Target": "/v",
                "VolumeOptions": {"NoCopy": True, "Subpath": "a/b", "DriverConfig": {"Options": {"type": "tmpfs"}}},
            },
            {"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o700}},
        ]
    )
    bind, volume, tmpfs = request.mounts
    assert (bind.source, bind.propagation, bind.create_source) == ("/s/x", "rslave", False)
    assert (volume.no_copy, volume.subpath, volume.driver_options) == (True, "a/b", {"type": "tmpfs"})
    assert (tmpfs.tmpfs_size, tmpfs.tmpfs_mode) == (1024, 0o700)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Image": ""}, "config cannot be empty in order to create a container"),
        ({"Env": ["=x"]}, "invalid environment variable: =x"),
        ({"WorkingDir": "rel"}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({"StopSignal": "FOO"}, "invalid signal: FOO"),
        ({"StopSignal": "99"}, "the linux daemon does not support signal 99"),
        ({"ExposedPorts": {"0": {}}}, 'invalid port specification: "0"'),
        ({"ExposedPorts": {"70000": {}}}, 'invalid port specification: "70000"'),
        ({"ExposedPorts": {"80/foo": {}}}, 'invalid port specification: "80/foo"'),
        ({"Healthcheck": {"Interval": 1}}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Healthcheck": {"Retries": -1}}, "Retries in Healthcheck cannot be negative"),
        ({"Healthcheck": {"Test": ["FOO"]}}, 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ({"MacAddress": "zz"}, "invalid config for network bridge: invalid MAC address zz"),
        (
            {"NetworkingConfig": {"EndpointsConfig": {"nope": None}}},
            "invalid config for network nope: EndpointsConfig is nil",
        ),
    ],
)
def test_bad_configs_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(**fields)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"PortBindings": {"70000/tcp": [{}]}}, 'invalid port specification: "70000/tcp"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}}, 'invalid port specification: "70000"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": "80-70"}]}}, 'invalid port specification: "80-70"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": "-1"}]}}, 'invalid port specification: "-1"'),
        ({"PortBindings": {"80/tcp": [{"HostIp": "x"}]}}, "invalid host IP address for port 80/tcp: x"),
        ({"Memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": -1}, "Minimum memory limit allowed is 6MB"),
        (
            {"MemorySwap": 5},
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            {"Memory": MINIMUM_MEMORY, "MemorySwap": 1},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        ({"MemoryReservation": 100}, "Minimum memory reservation allowed is 6MB"),
        ({"MemorySwappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
        ({"NanoCpus": -1}, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        (
            {"NanoCpus": 10**9, "CpuQuota": 1000},
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        ({"CpuPeriod": 1}, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
        ({"CpuQuota": 1}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"CpusetCpus": "x"}, "Invalid value x for cpuset cpus: invalid format: x"),
        ({"CpusetCpus": "9"}, "Requested CPUs are not available - requested 9, available: 0-1"),
        ({"ShmSize": -1}, "SHM size can not be less than 0"),
        ({"OomScoreAdj": 5000}, "Invalid value 5000, range for oom score adj is [-1000, 1000]"),
        (
            {"RestartPolicy": {"Name": "foo"}},
            (
                "invalid restart policy: unknown policy 'foo'; use one of 'no', 'always', 'on-failure', or"
                " 'unless-stopped'"
            ),
        ),
        (
            {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            {"RestartPolicy": {"Name": "always"}, "AutoRemove": True},
            "can't create 'AutoRemove' container with restart policy",
        ),
        ({"NetworkMode": "container:"}, "invalid network mode: invalid container format container:<name|id>"),
        (
            {"NetworkMode": "container:x", "Dns": ["1.1.1.1"]},
            "conflicting options: dns and the network mode",
        ),
        (
            {"NetworkMode": "container:x", "PortBindings": {"80": [{}]}},
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            {"NetworkMode": "host", "Links": ["x"]},
            (
                "conflicting options: host type networking can't be used with links. This would result in undefined"
                " behavior"
            ),
        ),
        ({"PidMode": "foo"}, "invalid PID mode: foo"),
        ({"PidMode": "container:"}, "invalid PID mode: container:"),
        ({"IpcMode": "foo"}, "invalid IPC mode: foo"),
        ({"UTSMode": "foo"}, "invalid UTS mode: foo"),
        ({"CgroupnsMode": "foo"}, "invalid cgroup namespace mode: foo"),
        ({"Dns": ["x"]}, "bad nameserver address: x"),
        ({"ExtraHosts": ["x"]}, 'bad format for add-host: "x"'),
        ({"ExtraHosts": ["a:b"]}, 'invalid IP address in add-host: "b"'),
        ({"Links": ["a:b:c"]}, "bad format for links: a:b:c"),
        ({"CapAdd": ["FOO"]}, 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        ({"CapDrop": ["ALL", "foo"]}, 'invalid CapDrop: unknown capability: "CAP_FOO"'),
        ({"SecurityOpt": ["foo"]}, 'invalid --security-opt 1: "foo"'),
        ({"SecurityOpt": ["foo=bar"]}, 'invalid --security-opt 2: "foo=bar"'),
        ({"Ulimits": [{"Name": "foo"}]}, "invalid ulimit type: foo"),
        (
            {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 1}]},
            "ulimit soft limit must be less than or equal to hard limit: 5 > 1",
        ),
        ({"DeviceCgroupRules": ["x"]}, "invalid device cgroup rule format: 'x'"),
        ({"LogConfig": {"Config": {"foo": "1"}}}, "unknown log opt 'foo' for json-file log driver"),
        ({"Runtime": "foo"}, "unknown or invalid runtime name: foo"),
        ({"Isolation": "hyperv"}, "Invalid isolation: \"hyperv\" - linux only supports 'default'"),
        (
            {"DeviceRequests": [{"Capabilities": [["gpu"]]}]},
            'could not select device driver "" with capabilities: [[gpu]]',
        ),
        ({"Binds": [""]}, "invalid volume specification: ''"),
        ({"Binds": ["/a:/b:c:d"]}, "invalid volume specification: '/a:/b:c:d'"),
        ({"Binds": ["/a:/b:foo"]}, "invalid mode: foo"),
        ({"Binds": ["/a:/b:ro,rw"]}, "invalid mode: ro,rw"),
        (
            {"Binds": ["/a:rel"]},
            (
                "invalid volume specification: '/a:rel': invalid mount config for type \"bind\": invalid mount path:"
                " 'rel' mount path must be absolute"
            ),
        ),
        (
            {"Binds": ["/a:/"]},
            (
                "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification:"
                " destination can't be '/'"
            ),
        ),
        (
            {"Binds": ["v!:/x"]},
            (
                'create v!: "v!" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]"'
                " are allowed. If you intended to pass a host directory, use absolute path"
            ),
        ),
        ({"Binds": ["/tmp:/b", "/tmp:/b"]}, "Duplicate mount point: /b"),
        ({"Binds": ["/tmp:/b"], "Tmpfs": {"/b/": ""}}, "Duplicate mount point: /b"),
        ({"Tmpfs": {"rel": ""}}, "invalid mount path: 'rel' mount path must be absolute"),
        ({"Mounts": [{"Type": "foo", "Target": "/x"}]}, 'invalid mount config for type "foo": mount type unknown'),
        (
            {"Mounts": [{"Type": "bind", "Target": "/x"}]},
            'invalid mount config for type "bind": field Source must not be empty',
        ),
        ({"Mounts": [{"Type": "volume"}]}, 'invalid mount config for type "volume": field Target must not be empty'),
        (
            {"Mounts": [{"Type": "volume", "Target": "/x", "BindOptions": {}}]},
            'BindOptions must not be specified on mount type "volume"',
        ),
        ({"VolumesFrom": ["x:foo"]}, "invalid mode: foo"),
    ],
)
def test_bad_host_configs_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        host(**fields)
    assert caught.value.message == message


@pytest.mark.parametrize("name", ["a b", "/x/y", "-x", "x", "ä1"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(name=name)
    assert caught.value.message == (f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


@pytest.mark.parametrize(
    ("asked", "understood"),
    [
        ("no-new-privileges", "no-new-privileges"),
        ("no-new-privileges:true", "no-new-privileges=true"),
        ("seccomp=unconfined", "seccomp=unconfined"),
        ('seccomp={"defaultAction":\n"SCMP_ACT_ALLOW"}', 'seccomp={"defaultAction":\n"SCMP_ACT_ALLOW"}'),
        ("apparmor:unconfined", "apparmor=unconfined"),
        ("label=disable", "label=disable"),
        ("systempaths=unconfined", "systempaths=unconfined"),
    ],
)
def test_security_options(asked: str, understood: str) -> None:
    assert host(SecurityOpt=[asked]).security_opt == (understood,)
