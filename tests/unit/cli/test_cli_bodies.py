"""From the command line to the request: what run and create send, and what they refuse before sending."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sealane.cli.container_body import Surroundings, build
from sealane.cli.container_options import CONTAINER_OPTIONS
from sealane.cli.failures import UsageError
from sealane.cli.grammar import Command, parse, switch

RUN = Command("run", "IMAGE", "", lambda app, args: 0, (*CONTAINER_OPTIONS, switch("detach", "d", "")), passes_on=True)
HERE = Surroundings("/work", {"HOME": "/root", "SET": "yes"})


def body(*words: str) -> dict[str, Any]:
    return build(parse(RUN, [*words, "busybox"]), HERE)


def host(*words: str) -> dict[str, Any]:
    return dict(body(*words)["HostConfig"])


def refused(*words: str) -> str:
    """Why it is refused: while the options are read, or when the request is made."""
    try:
        body(*words)
    except UsageError as error:
        return re.sub(r'^invalid argument ".*" for "[^"]*" flag: ', "", error.message)
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{words} is not refused")


def test_the_plain_request() -> None:
    made = build(parse(RUN, ["busybox", "sh", "-c", "x"]), HERE)

    assert made["Image"] == "busybox"
    assert made["Cmd"] == ["sh", "-c", "x"]
    assert (made["AttachStdin"], made["AttachStdout"], made["AttachStderr"]) == (False, True, True)
    assert (made["Tty"], made["OpenStdin"], made["StdinOnce"]) == (False, False, False)
    assert made["HostConfig"]["NetworkMode"] == "default"
    assert made["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert made["NetworkingConfig"] == {"EndpointsConfig": {}}


@pytest.mark.parametrize(
    ("words", "streams", "once"),
    [
        (["-i"], "io e", True),
        (["-d"], "", False),
        (["-d", "-i"], "", False),
        (["-a", "stdout"], "o", False),
        (["-a", "STDERR", "-i"], "ie", True),
    ],
)
def test_which_streams_are_attached(words: list[str], streams: str, once: bool) -> None:
    made = body(*words)
    wanted = ["i" in streams, "o" in streams, "e" in streams]

    assert [made[f"Attach{name}"] for name in ("Stdin", "Stdout", "Stderr")] == wanted
    assert made["StdinOnce"] == once


def test_variables_and_labels(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("\ufeffA=1\n# no\n\n  B= x y \nSET\nUNSET\n")
    (tmp_path / "labels").write_text("l=1\nbare\n")
    files = ["--env-file", str(tmp_path / "env"), "--label-file", str(tmp_path / "labels")]
    made = body(*files, "-e", "C", "-e", "SET", "-e", "D=", "-l", "x")

    assert made["Env"] == ["A=1", "B= x y ", "SET=yes", "C", "SET=yes", "D="]
    assert made["Labels"] == {"l": "1", "x": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A B=c\n", "invalid env file ({}): variable 'A B' contains whitespaces"),
        (b"=c\n", "invalid env file ({}): no variable name on line '=c'"),
        (b"A=1\n\xff\n", "invalid env file ({}): invalid utf8 bytes at line 2: [255]"),
    ],
)
def test_bad_files_of_variables(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f").write_bytes(content)

    assert refused("--env-file", str(tmp_path / "f")) == message.format(tmp_path / "f")


def test_ports() -> None:
    published = ["-p", "80", "-p", "127.0.0.1:8080:81/udp", "-p", "[::1]:82:82", "-p", "90-91:90-91"]
    made = body(*published, "--expose", "70-71/sctp")

    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": ""}],
        "81/udp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "82/tcp": [{"HostIp": "::1", "HostPort": "82"}],
        "90/tcp": [{"HostIp": "", "HostPort": "90"}],
        "91/tcp": [{"HostIp": "", "HostPort": "91"}],
    }
    assert set(made["ExposedPorts"]) == {*made["HostConfig"]["PortBindings"], "70/sctp", "71/sctp"}


def test_more_forms_of_ports() -> None:
    assert host("-p", "8000-9000:80")["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8000-9000"}]}
    assert host("-p", "published=8080,target=80,protocol=udp")["PortBindings"] == {
        "80/udp": [{"HostIp": "", "HostPort": "8080"}]
    }
    assert host("-p", "1:80", "-p", "2:80")["PortBindings"]["80/tcp"] == [
        {"HostIp": "", "HostPort": "1"},
        {"HostIp": "", "HostPort": "2"},
    ]


def test_networks_keep_their_order() -> None:
    made = body("--network", "name=b,alias=x,alias=y,ip=10.0.0.5,driver-opt=k=v,gw-priority=3", "--network", "a")

    assert list(made["NetworkingConfig"]["EndpointsConfig"]) == ["b", "a"]
    assert made["HostConfig"]["NetworkMode"] == "b"
    assert made["NetworkingConfig"]["EndpointsConfig"]["b"] == {
        "Aliases": ["x", "y"],
        "IPAMConfig": {"IPv4Address": "10.0.0.5"},
        "DriverOpts": {"k": "v"},
        "GwPriority": 3,
    }


def test_options_without_a_network_go_to_the_first() -> None:
    mac = "02:42:ac:11:00:02"
    made = body("--net", "n", "--network-alias", "x", "--ip", "10.0.0.5", "--mac-address", mac, "--link", "c:d")

    assert made["NetworkingConfig"]["EndpointsConfig"] == {
        "n": {
            "Aliases": ["x"],
            "IPAMConfig": {"IPv4Address": "10.0.0.5"},
            "MacAddress": mac,
            "Links": ["c:d"],
        }
    }
    assert host("--link", "c:d")["Links"] == ["c:d"]


def test_volumes_and_mounts() -> None:
    mount = "type=bind,src=./s,dst=/d,ro,bind-propagation=rslave"
    made = body("-v", "/data", "-v", "vol:/v:ro", "-v", "./x:/y", "--tmpfs", "/t:size=1m", "--mount", mount)

    assert made["Volumes"] == {"/data": {}}
    assert made["HostConfig"]["Binds"] == ["vol:/v:ro", "/work/x:/y"]
    assert made["HostConfig"]["Tmpfs"] == {"/t": "size=1m"}
    assert made["HostConfig"]["Mounts"] == [
        {
            "Type": "bind", "Source": "/work/s", "Target": "/d", "ReadOnly": True,
            "BindOptions": {"Propagation": "rslave"},
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "mount"),
    [
        ("target=/x", {"Type": "volume", "Source": "", "Target": "/x"}),
        ("type=tmpfs,target=/x,tmpfs-size=1m,tmpfs-mode=1770",
         {"Type": "tmpfs", "Source": "", "Target": "/x", "TmpfsOptions": {"SizeBytes": 1048576, "Mode": 0o1770}}),
        ("source=v,target=/x,volume-opt=a=b,volume-label=l=1,volume-nocopy",
         {"Type": "volume", "Source": "v", "Target": "/x", "VolumeOptions": {
             "DriverConfig": {"Options": {"a": "b"}}, "Labels": {"l": "1"}, "NoCopy": True}}),
        ('"type=bind",source=/a,"target=/x,y"', {"Type": "bind", "Source": "/a", "Target": "/x,y"}),
    ],
)  # fmt: skip
def test_mounts(spec: str, mount: dict[str, Any]) -> None:
    assert host("--mount", spec)["Mounts"] == [mount]


def test_limits_and_devices() -> None:
    made = host(
        "-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit", "50", "--ulimit", "nproc=5",
        "--ulimit", "nofile=10:20", "--device", "/dev/null:/dev/foo:r", "--device", "/dev/zero:rw",
        "--device-read-bps", "/dev/sda:1mb", "--blkio-weight-device", "/dev/sda:100", "--gpus", "all",
    )  # fmt: skip

    assert (made["Memory"], made["MemorySwap"], made["NanoCpus"], made["PidsLimit"]) == (67108864, -1, 1500000000, 50)
    assert made["Ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}, {"Name": "nproc", "Soft": 5, "Hard": 5}]
    assert made["Devices"] == [
        {"PathOnHost": "/dev/null", "PathInContainer": "/dev/foo", "CgroupPermissions": "r"},
        {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/zero", "CgroupPermissions": "rw"},
    ]
    assert made["BlkioDeviceReadBps"] == [{"Path": "/dev/sda", "Rate": 1048576}]
    assert made["BlkioWeightDevice"] == [{"Path": "/dev/sda", "Weight": 100}]
    assert made["DeviceRequests"][0]["Count"] == -1


def test_health() -> None:
    made = body("--health-cmd", "true", "--health-interval", "5s", "--health-retries", "3")

    assert made["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5 * 10**9, "Retries": 3}
    assert body("--no-healthcheck")["Healthcheck"] == {"Test": ["NONE"]}
    assert "Healthcheck" not in body("--health-interval", "0")


def test_security(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{ "a": 1 }')
    made = host(
        "--security-opt", "systempaths=unconfined", "--security-opt", f"seccomp={tmp_path / 'p.json'}",
        "--security-opt", "no-new-privileges", "--security-opt", "label:disable",
    )  # fmt: skip

    assert made["SecurityOpt"] == ['seccomp={"a":1}', "no-new-privileges", "label=disable"]
    assert (made["MaskedPaths"], made["ReadonlyPaths"]) == ([], [])


def test_the_rest_is_carried_over() -> None:
    made = body(
        "--entrypoint", "", "--stop-timeout", "5", "--stop-signal", "INT", "-w", "/w", "-u", "1:2", "-h", "box",
        "--restart", "on-failure:3", "--log-driver", "none", "--dns-opt", "ndots:1", "--add-host", "a=[::1]",
        "--init=false", "--sysctl", "net.x=1", "--annotation", "k=v", "--memory-swappiness", "0",
    )  # fmt: skip

    assert (made["Entrypoint"], made["StopTimeout"], made["StopSignal"]) == ([""], 5, "INT")
    assert (made["WorkingDir"], made["User"], made["Hostname"]) == ("/w", "1:2", "box")
    config = made["HostConfig"]
    assert config["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert (config["LogConfig"], config["DnsOptions"]) == ({"Type": "none", "Config": {}}, ["ndots:1"])
    assert (config["ExtraHosts"], config["Init"], config["Sysctls"]) == (["a:::1"], False, {"net.x": "1"})
    assert (config["Annotations"], config["MemorySwappiness"]) == ({"k": "v"}, 0)


# Each line was run through docker 28.2; what comes after the colon is its answer.
REFUSALS = """
-p 99999: invalid containerPort: 99999
-p 80:70000: invalid containerPort: 70000
-p 1.2.3:80:80: invalid IP address: 1.2.3
-p 80-81:80-90: invalid ranges specified for container and host Ports: 80-90 and 80-81
-p 80/foo: invalid proto: foo
--expose x: invalid range format for --expose: x, error: strconv.ParseUint: parsing "x": invalid syntax
--expose 80-79: invalid range format for --expose: 80-79, error: invalid range specified for port: 80-79
--expose 80:80: invalid port format for --expose: 80:80
--cpus foo: failed to parse foo as a rational number
--cpus 0.0000000001: value is too precise
--ulimit x: invalid ulimit argument: x
--ulimit foo=1: invalid ulimit type: foo
--ulimit nofile=a: strconv.ParseInt: parsing "a": invalid syntax
--ulimit nofile=10:5: ulimit soft limit must be less than or equal to hard limit: 10 > 5
--ulimit nofile=1:2:3: too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`
--label =x: invalid label '=x': empty name
--env =: invalid environment variable: =
--mac-address x: x is not a valid mac address
--network name=b,=c: invalid field =c
--network name=a,foo=c: invalid field key foo
--network alias=x: network name/id is not specified
--network name=a,gw-priority=x: invalid gw-priority (x): invalid syntax
--network a --network a: network "a" is specified multiple times
--network host --network a: conflicting options: cannot attach both user-defined and non-user-defined network-modes
--network-alias x: network-scoped aliases are only supported for user-defined networks
--network name=a,alias=c --net-alias x: conflicting options: cannot specify both --network-alias and per-network alias
--network name=a,ip=1.2.3.4 --ip 1.2.3.4: conflicting options: cannot specify both --ip and per-network IPv4 address
--restart :3: invalid restart policy format: no policy provided before colon
--restart on-failure:x: invalid restart policy format: maximum retry count must be an integer
--restart always --rm: conflicting options: cannot specify both --restart and --rm
--health-interval -5s: --health-interval cannot be negative
--health-retries -1: --health-retries cannot be negative
--no-healthcheck --health-cmd x: --no-healthcheck conflicts with --health-* options
--mount foo: invalid field 'foo' must be a key=value pair
--mount type=bind,source=/tmp: target is required
--mount type=,target=/x: type is required
--mount type=volume,bind-propagation=rslave,target=/x: cannot mix 'bind-*' options with mount type 'volume'
--mount type=bind,source=/tmp,target=/x,foo=bar: unexpected key 'foo' in 'foo=bar'
--mount type=bind,source=/tmp,target=/x,readonly=foo: invalid value for readonly: foo
--device foo: foo is not an absolute path
--device a:b:c:d: bad format for path: a:b:c:d
--device /dev/null:/dev/null:xyz: bad mode specified: xyz
--device-cgroup-rule foo: invalid device cgroup format 'foo'
--device-read-bps foo: bad format: foo
--blkio-weight-device /dev/sda:5: invalid weight for device: /dev/sda:5
--security-opt foo: Invalid --security-opt: "foo"
--storage-opt foo: invalid storage option
--sysctl foo: sysctl 'foo' is not allowed
--add-host foo: bad format for add-host: "foo"
--add-host foo:bar: invalid IP address in add-host: "bar"
--link a:b:c: bad format for links: a:b:c
--attach foo: valid streams are STDIN, STDOUT and STDERR
--pid foo: --pid: invalid PID mode
--uts foo: --uts: invalid UTS mode
--userns foo: --userns: invalid USER mode
--cgroupns foo: --cgroupns: invalid CGROUP mode
--memory-swappiness 200: invalid value: 200. Valid memory swappiness range is 0-100
--dns x: IP address is not correctly formatted: x
--dns-search a_b: a_b is not a valid domain
--log-driver none --log-opt a=b: invalid logging opts for driver none
"""


@pytest.mark.parametrize("line", REFUSALS.strip().splitlines())
def test_what_docker_refuses_is_refused_in_its_words(line: str) -> None:
    words, message = _apart(line)

    assert refused(*words) == message


def test_a_recursive_mount_must_be_read_only() -> None:
    message = "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"

    assert refused("--mount", "type=bind,source=/tmp,target=/x,bind-recursive=writable") == message


def _apart(line: str) -> tuple[list[str], str]:
    """The options end at the first colon that a blank follows."""
    words, _, message = line.partition(": ")
    return words.split(" "), message


def test_the_body_is_json() -> None:
    assert json.loads(json.dumps(body("-it", "-p", "80", "--rm")))["HostConfig"]["AutoRemove"] is True
