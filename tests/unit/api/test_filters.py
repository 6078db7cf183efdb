"""The ``filters`` of lists and prunes, asked over the API."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from unit.api.serving import Served


def filtered(path: str, filters: object) -> str:
    return f"{path}{'&' if '?' in path else '?'}filters={quote(json.dumps(filters))}"


@pytest.fixture
def stage(served: Served) -> Served:
    """``box`` runs on the bridge with a port; ``rest`` was only created, on ``lab``."""
    served.json("POST", "/networks/create", {"Name": "lab", "Labels": {"tier": "back"}}, 201)
    served.json("POST", "/volumes/create", {"Name": "data", "Labels": {"a": "b"}}, 201)
    ports = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    served.container("box", HostConfig=ports, Labels={"a": "b"})
    served.container("rest", start=False, HostConfig={"NetworkMode": "lab", "Binds": ["data:/v"]})
    return served


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["rest", "box"]),
        ({"name": ["box"]}, ["box"]),
        ({"name": ["^/bo"]}, ["box"]),
        ({"name": ["^bo", "rest"]}, ["rest", "box"]),
        ({"name": ["("]}, []),
        ({"status": ["running"]}, ["box"]),
        ({"status": ["created", "running"]}, ["rest", "box"]),
        ({"label": ["a"]}, ["box"]),
        ({"label": ["a=b"]}, ["box"]),
        ({"label": ["a=c"]}, []),
        ({"label": {"a=b": True}}, ["box"]),
        ({"network": ["lab"]}, ["rest"]),
        ({"volume": ["data"]}, ["rest"]),
        ({"volume": ["/v"]}, ["rest"]),
        ({"publish": ["8080"]}, ["box"]),
        ({"publish": ["8000-9000/tcp"]}, ["box"]),
        ({"publish": ["8080/udp"]}, []),
        ({"expose": ["80"]}, ["box"]),
        ({"ancestor": ["centos:7.6.1810"]}, ["rest", "box"]),
        ({"ancestor": ["nosuch"]}, []),
        ({"before": ["rest"]}, ["box"]),
        ({"since": ["box"]}, ["rest"]),
        ({"is-task": ["false"]}, ["rest", "box"]),
        ({"exited": ["0"]}, []),
        ({"health": ["none"]}, ["rest", "box"]),
    ],
)
def test_containers(stage: Served, filters: dict[str, Any], names: list[str]) -> None:
    listed = stage.json("GET", filtered("/containers/json?all=1", filters))
    assert [entry["Names"][0] for entry in listed] == [f"/{name}" for name in names]


@pytest.mark.parametrize(
    ("path", "filters", "status", "message"),
    [
        ("/containers/json", {"foo": ["x"]}, 400, "invalid filter 'foo'"),
        ("/containers/json", {"health": ["x"]}, 400, "unrecognized filter value for health: x"),
        ("/containers/json", {"before": ["nosuch"]}, 404, "No such container: nosuch"),
        ("/containers/json", {"exited": ["x"]}, 400, "invalid filter 'exited=x': parsing \"x\": invalid syntax"),
        ("/containers/json", [], 400, "invalid filter"),
        ("/containers/json", {"name": "x"}, 400, "invalid filter"),
        ("/networks", {"foo": ["x"]}, 400, "invalid filter 'foo'"),
        ("/networks", {"type": ["x"]}, 400, "invalid filter: 'type'='x'"),
        ("/networks", {"dangling": ["true", "false"]}, 400, 'got more than one value for filter key "dangling"'),
        ("/images/json", {"foo": ["x"]}, 400, "invalid filter 'foo'"),
        ("/images/json", {"dangling": ["x"]}, 400, "invalid filter 'dangling=[x]'"),
        ("/images/json", {"before": ["nosuch"]}, 404, "No such image: nosuch:latest"),
        ("/volumes", {"foo": ["x"]}, 400, "invalid filter 'foo'"),
        ("/volumes", {"dangling": ["x"]}, 400, "invalid filter 'dangling=[x]'"),
    ],
)
def test_what_cannot_be_filtered_by(stage: Served, path: str, filters: object, status: int, message: str) -> None:
    assert stage.message("GET", filtered(path, filters), status=status).startswith(message)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"name": ["lab"]}, ["lab"]),
        ({"name": ["^b"]}, ["bridge"]),
        ({"driver": ["bridge"]}, ["bridge", "lab"]),
        ({"driver": ["null"]}, ["none"]),
        ({"type": ["custom"]}, ["lab"]),
        ({"type": ["builtin"]}, ["bridge", "host", "none"]),
        ({"label": ["tier"]}, ["lab"]),
        ({"scope": ["swarm"]}, []),
        ({"dangling": ["true"]}, ["lab"]),
        ({"dangling": ["false"]}, ["bridge", "host", "none"]),
    ],
)
def test_networks(stage: Served, filters: dict[str, Any], names: list[str]) -> None:
    assert [entry["Name"] for entry in stage.json("GET", filtered("/networks", filters))] == names


@pytest.mark.parametrize(
    ("filters", "tags"),
    [
        ({"reference": ["centos"]}, ["centos:7.6.1810"]),
        ({"reference": ["centos:*"]}, ["centos:7.6.1810"]),
        ({"reference": ["*"]}, ["centos:7.6.1810"]),
        ({"reference": ["registry.local:5000/*/app"]}, ["registry.local:5000/team/app:1"]),
        ({"label": ["a=c"]}, []),
        ({"dangling": ["true"]}, []),
        ({"until": ["1700000000"]}, []),
    ],
)
def test_images(stage: Served, filters: dict[str, Any], tags: list[str]) -> None:
    listed = stage.json("GET", filtered("/images/json", filters))
    assert [tag for entry in listed for tag in entry["RepoTags"]] == tags


@pytest.mark.parametrize(
    ("filters", "names"),
    [({"name": ["da"]}, ["data"]), ({"label": ["a=b"]}, ["data"]), ({"driver": ["x"]}, []), ({"label": ["x"]}, [])],
)
def test_volumes(stage: Served, filters: dict[str, Any], names: list[str]) -> None:
    listed = stage.json("GET", filtered("/volumes", filters))
    assert [volume["Name"] for volume in listed["Volumes"]] == names


def test_limit(stage: Served) -> None:
    assert [entry["Names"] for entry in stage.json("GET", "/containers/json?limit=1")] == [["/rest"]]
    assert stage.message("GET", "/containers/json?limit=x").startswith("invalid value for limit")


def test_prunes_spare_what_the_filters_do_not_mean(stage: Served) -> None:
    for kind, answer in (
        ("containers", {"ContainersDeleted": None, "SpaceReclaimed": 0}),
        ("networks", {"NetworksDeleted": None}),
    ):
        assert stage.json("POST", filtered(f"/{kind}/prune", {"label": ["nosuch"]})) == answer
        assert stage.json("POST", filtered(f"/{kind}/prune", {"until": ["24h"]})) == answer
        assert stage.message("POST", filtered(f"/{kind}/prune", {"foo": ["x"]})) == "invalid filter 'foo'"
        said = stage.message("POST", filtered(f"/{kind}/prune", {"until": ["1h", "2h"]}))
        assert said == "more than one until filter specified"
    assert stage.json("POST", filtered("/networks/prune", {"label!": ["tier"]})) == {"NetworksDeleted": None}
    assert stage.json("POST", filtered("/networks/prune", {"label": ["tier"]})) == {"NetworksDeleted": ["lab"]}
    assert len(stage.json("POST", "/containers/prune")["ContainersDeleted"]) == 1


def test_volumes_with_names_are_pruned_only_when_asked(stage: Served) -> None:
    assert stage.json("POST", "/volumes/prune")["VolumesDeleted"] == []
    assert stage.json("POST", filtered("/volumes/prune", {"all": ["true"]}))["VolumesDeleted"] == ["data"]
    stage.json("POST", "/volumes/create", {"Name": "data"}, 201)
    assert stage.json("POST", "/v1.41/volumes/prune")["VolumesDeleted"] == ["data"]
