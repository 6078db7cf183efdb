"""What lists and inspections look like: Docker's fields, nulls and versions (seen on Docker 26.1; its changelog)."""

from __future__ import annotations

from typing import Any

import pytest

from unit.api.serving import Served

IMAGE = "centos:7.6.1810"
RICH: dict[str, Any] = {
    "Cmd": ["sleep", "1000"],
    "Env": ["A=b"],
    "Labels": {"q": "r"},
    "Volumes": {},
    "ExposedPorts": {"81/udp": {}},
    "HostConfig": {
        "NetworkMode": "lab",
        "Binds": ["/tmp:/t:ro", "data:/v"],
        "Tmpfs": {"/run": ""},
        "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
        "MemorySwappiness": -1,
        "PidsLimit": 0,
    },
    "NetworkingConfig": {"EndpointsConfig": {"lab": {"Aliases": ["other"], "DriverOpts": {"k": "v"}}}},
}


@pytest.fixture
def rich(served: Served) -> str:
    served.json("POST", "/networks/create", {"Name": "lab", "Labels": {"tier": "back"}, "Options": {"o": "p"}}, 201)
    return served.container("box", **RICH)


def test_a_container_inspected(served: Served, rich: str) -> None:
    shown = served.json("GET", "/containers/box/json")
    assert (shown["Id"], shown["Name"], shown["Path"], shown["Args"]) == (rich, "/box", "sleep", ["1000"])
    assert shown["Created"] == "2026-11-24T08:37:11.659802487Z"
    assert shown["State"] == {
        "Status": "running",
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 4242,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2026-11-24T08:37:11.65980248Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }
    config, host = shown["Config"], shown["HostConfig"]
    assert (config["Volumes"], config["OnBuild"], config["Entrypoint"]) == (None, None, None)
    assert config["ExposedPorts"] == {"80/tcp": {}, "81/udp": {}}
    assert "Healthcheck" not in config
    assert (host["MemorySwappiness"], host["PidsLimit"], host["RestartPolicy"]) == (
        None,
        None,
        {"Name": "no", "MaximumRetryCount": 0},
    )
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert len(host["MaskedPaths"]) == 11
    assert [(mount["Type"], mount["Destination"]) for mount in shown["Mounts"]] == [("bind", "/t"), ("volume", "/v")]


def test_the_network_of_a_container(served: Served, rich: str) -> None:
    settings = served.json("GET", "/containers/box/json")["NetworkSettings"]
    assert settings["Ports"] == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/udp": None}
    assert settings["IPAddress"] == ""  # the old fields speak of the network bridge alone
    lab = settings["Networks"]["lab"]
    assert lab == {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": ["other", rich[:12]],
        "MacAddress": "02:42:ac:11:00:02",
        "NetworkID": served.json("GET", "/networks/lab")["Id"],
        "EndpointID": "e" * 64,
        "Gateway": "172.17.0.1",
        "IPAddress": "172.17.0.2",
        "IPPrefixLen": 16,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DriverOpts": {"k": "v"},
        "GwPriority": 0,
        "DNSNames": ["box", rich[:12]],
    }


def test_on_the_default_bridge_the_old_fields_are_filled_and_there_are_no_names(served: Served) -> None:
    served.container("box")
    settings = served.json("GET", "/containers/box/json")["NetworkSettings"]
    assert (settings["IPAddress"], settings["Gateway"]) == ("172.17.0.2", "172.17.0.1")
    assert (settings["Networks"]["bridge"]["DNSNames"], settings["Networks"]["bridge"]["Aliases"]) == (None, None)


def test_a_container_that_has_ended(served: Served, rich: str) -> None:
    served.ask("POST", "/containers/box/kill")
    shown = served.json("GET", "/containers/box/json")
    assert (shown["State"]["Status"], shown["State"]["ExitCode"]) == ("exited", 137)
    assert shown["NetworkSettings"]["Ports"] == {}
    assert shown["NetworkSettings"]["Networks"]["lab"]["IPAddress"] == ""
    (listed,) = served.json("GET", "/containers/json?all=1")
    assert (listed["Ports"], listed["State"]) == ([], "exited")
    assert listed["Status"].startswith("Exited (137) ")


def test_a_container_listed(served: Served, rich: str) -> None:
    (listed,) = served.json("GET", "/containers/json")
    assert (listed["Names"], listed["Image"], listed["Command"]) == (["/box"], IMAGE, "sleep 1000")
    assert (listed["State"], listed["Status"]) == ("running", "Up About a minute")
    assert listed["Ports"] == [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 81, "Type": "udp"},
    ]
    assert listed["HostConfig"] == {"NetworkMode": "lab"}
    assert listed["NetworkSettings"]["Networks"]["lab"]["Aliases"] is None
    assert "SizeRw" not in listed


def test_a_network_inspected(served: Served, rich: str) -> None:
    shown = served.json("GET", "/networks/lab")
    assert shown.pop("Id")
    assert shown == {
        "Name": "lab",
        "Created": "2026-11-24T08:25:16.077676251Z",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            rich: {
                "Name": "box",
                "EndpointID": "e" * 64,
                "MacAddress": "02:42:ac:11:00:02",
                "IPv4Address": "172.17.0.2/16",
                "IPv6Address": "",
            }
        },
        "Options": {"o": "p"},
        "Labels": {"tier": "back"},
    }
    assert served.json("GET", "/networks/lab?verbose=1")["Status"]["IPAM"]["Subnets"] == {
        "172.18.0.0/16": {"IPsInUse": 3, "DynamicIPsAvailable": 65533}
    }


@pytest.mark.parametrize(
    ("version", "ipv4", "containers"),
    [("v1.24", False, 1), ("v1.27", False, 1), ("v1.28", False, 0), ("v1.47", False, 0), ("v1.48", True, 0)],
)
def test_networks_listed_by_version(served: Served, rich: str, version: str, ipv4: bool, containers: int) -> None:
    lab = next(item for item in served.json("GET", f"/{version}/networks") if item["Name"] == "lab")
    assert ("EnableIPv4" in lab, len(lab["Containers"])) == (ipv4, containers)
    assert served.json("GET", f"/{version}/networks/") == served.json("GET", f"/{version}/networks")


def test_the_networks_that_are_no_bridge(served: Served) -> None:
    none = served.json("GET", "/networks/none")
    assert (none["Driver"], none["IPAM"]) == ("null", {"Driver": "default", "Options": None, "Config": None})


@pytest.mark.parametrize(("version", "virtual"), [("v1.24", True), ("v1.43", True), ("v1.44", False), ("v1.48", False)])
def test_images(served: Served, version: str, virtual: bool) -> None:
    shown = served.json("GET", f"/{version}/images/{IMAGE}/json")
    assert (shown["RepoTags"], shown["Architecture"], shown["Os"]) == ([IMAGE], "amd64", "linux")
    assert shown["RootFS"] == {"Type": "layers", "Layers": ["sha256:" + "1" * 64]}
    assert shown["Config"]["Cmd"] == ["sh"]
    assert "ContainerConfig" in shown  # docker-compose 1.29 reads it at every version
    assert ("VirtualSize" in shown) is virtual
    listed = served.json("GET", f"/{version}/images/json")[0]
    assert (listed["Containers"], listed["SharedSize"], listed["Created"]) == (-1, -1, 1795509431)
    assert ("VirtualSize" in listed) is virtual


def test_what_a_network_holds_in_the_kernel(served: Served) -> None:
    held = [{"Kind": "link", "Name": "sl-x", "Describe": "bridge of bridge", "Command": "ip link show sl-x"}]
    for path in ("/networks/bridge/kernel", "/sealane/networks/bridge/kernel"):
        assert served.json("GET", path) == {"Objects": held}


def test_a_dry_run_makes_nothing(served: Served) -> None:
    before = served.json("GET", "/networks")
    for path in ("/networks/create?dry-run=1", "/sealane/networks/dry-run"):
        (found,) = served.json("POST", path, {"Name": "lab"})["Objects"]
        assert found["Command"] == "ip link add sl-x type bridge"
    assert served.json("GET", "/networks") == before


def test_info_version_and_usage(served: Served) -> None:
    served.container("box")
    info = served.json("GET", "/info")
    assert (info["Containers"], info["OSType"], info["Driver"]) == (1, "linux", "overlay2")
    assert info["RegistryConfig"]["IndexConfigs"]["docker.io"]["Mirrors"] == ["http://127.0.0.1:5000"]
    assert info["RuntimeReason"] == "crun refuses hybrid cgroups"
    version = served.json("GET", "/version")
    assert (version["ApiVersion"], version["MinAPIVersion"], version["Arch"]) == ("1.48", "1.24", "amd64")
    usage = served.json("GET", "/system/df")
    assert usage["Images"][0]["Containers"] == 1
    assert served.json("GET", "/system/df?type=volume")["Containers"] == []
    assert served.message("GET", "/system/df?type=foo") == "unknown object type: foo"


def test_volumes(served: Served) -> None:
    made = served.json("POST", "/volumes/create", {"Name": "data", "Labels": {"a": "b"}}, 201)
    assert served.json("GET", "/volumes/data") == made
    assert made["CreatedAt"] == "2026-11-24T08:37:11Z"
    assert (made["Scope"], made["Options"], "UsageData" in made) == ("local", None, False)
    assert served.json("GET", "/volumes") == {"Volumes": [made], "Warnings": None}
    assert served.ask("DELETE", "/volumes/data")[0] == 204
    assert served.message("GET", "/volumes/data", status=404) == "get data: no such volume"
    for name, words in (("!", "volume name is too short"), ("a b", "includes invalid characters")):
        assert words in served.message("POST", "/volumes/create", {"Name": name})


def test_small_answers(served: Served) -> None:
    served.container("box")
    assert served.json("GET", "/containers/box/top") == {"Processes": [["1", "sh"]], "Titles": ["PID", "CMD"]}
    assert served.json("GET", "/containers/box/changes")[0] == {"Path": "/etc", "Kind": 1}
    assert served.json("POST", "/containers/box/update", {"Memory": 64 << 20}) == {"Warnings": None}
    assert served.json("GET", "/containers/box/json")["HostConfig"]["Memory"] == 64 << 20
    assert served.json("POST", "/networks/prune") == {"NetworksDeleted": None}
    assert served.json("POST", "/containers/prune") == {"ContainersDeleted": None, "SpaceReclaimed": 0}
    assert served.ask("POST", "/containers/box/start")[0] == 304
    assert served.message("POST", "/containers/nosuch/kill", status=404).startswith("cannot kill container: nosuch: ")
    assert served.message("POST", "/networks/create", {"Name": "a", "Ingress": True}, 403)
    assert served.ask("DELETE", "/networks/bridge")[0] == 403
    assert served.json("GET", "/plugins") == []
    assert "not a swarm manager" in served.message("GET", "/services", status=503)


def test_only_a_missing_image_is_not_found_at_creation(served: Served) -> None:
    """Clients answer a 404 with a pull."""
    wanted = {"Image": IMAGE, "HostConfig": {"VolumesFrom": ["nosuch"]}}
    assert served.message("POST", "/containers/create", wanted, 400) == "No such container: nosuch"
    wanted["Image"] = "nosuch"
    assert served.message("POST", "/containers/create", wanted, 404) == "No such image: nosuch:latest"
