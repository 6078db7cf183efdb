"""Replies that come over time: logs, wait, stats, events, pulls, archives."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sealane.engine.model import LogLine
from unit.api.fake_parts import NOW
from unit.api.serving import Served

CLOSE = b" HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


def box_with_log(served: Served, **config: Any) -> None:
    served.container("box", **config)
    box = served.engine.containers.box("box")
    box.log += [LogLine(1, NOW, b"out\n"), LogLine(2, NOW + 1, b"err\n")]


@pytest.mark.parametrize(
    ("version", "tty", "media"),
    [
        ("", False, "application/vnd.docker.multiplexed-stream"),
        ("", True, "application/vnd.docker.raw-stream"),
        ("/v1.41", False, "application/vnd.docker.raw-stream"),
    ],
)
def test_logs_in_frames_or_raw(served: Served, version: str, tty: bool, media: str) -> None:
    box_with_log(served, Tty=tty)
    status, headers, body = served.ask("GET", f"{version}/containers/box/logs?stdout=1&stderr=1")
    assert (status, headers["content-type"]) == (200, media)
    assert body == (b"out\nerr\n" if tty else b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n")


def test_logs_with_times(served: Served) -> None:
    box_with_log(served, Tty=True)
    _, _, body = served.ask("GET", "/containers/box/logs?stdout=1&timestamps=1")
    assert body.splitlines()[0] == b"2026-11-24T08:37:11.659802480Z out"


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, "Bad parameters: you must choose at least one stream"),
        ("stdout=1&since=x", 400, 'invalid value for since: "x" is not a time'),
    ],
)
def test_bad_questions_for_logs(served: Served, query: str, status: int, message: str) -> None:
    served.container("box")
    assert served.message("GET", f"/containers/box/logs?{query}", status=status) == message


def test_logs_of_a_container_without_any(served: Served) -> None:
    served.container("box", HostConfig={"LogConfig": {"Type": "none"}})
    said = served.message("GET", "/containers/box/logs?stdout=1", status=501)
    assert said == "configured logging driver does not support reading"


def test_wait_answers_its_head_at_once_and_the_code_at_the_end(served: Served) -> None:
    served.container("box")
    with served.connect() as client:
        client.sendall(
            b"POST /containers/box/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")  # a client may now start what it waits for
        assert served.ask("POST", "/containers/box/kill")[0] == 204
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert b'{"StatusCode":137}' in received
    assert served.json("POST", "/containers/box/wait") == {"StatusCode": 137}
    assert served.message("POST", "/containers/box/wait?condition=foo") == 'invalid condition: "foo"'


def test_a_wait_for_the_removal_outlives_the_container(served: Served) -> None:
    served.container("box")
    with served.connect() as client:
        client.sendall(b"POST /containers/box/wait?condition=removed" + CLOSE)
        assert client.recv(65536)
        assert served.ask("DELETE", "/containers/box?force=1")[0] == 204
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert b'{"StatusCode":0}' in received


def test_one_reading_of_counters(served: Served) -> None:
    identifier = served.container("box")
    (shown,) = lines(served.ask("GET", "/containers/box/stats?stream=0&one-shot=1")[2])
    assert (shown["name"], shown["id"]) == ("/box", identifier)
    assert shown["memory_stats"] == {"usage": 4096, "stats": {"cache": 1}, "limit": 1 << 30}
    assert shown["cpu_stats"]["online_cpus"] == 2
    assert shown["preread"] == "0001-01-01T00:00:00Z"
    said = served.message("GET", "/containers/box/stats?one-shot=1")
    assert said == "cannot have stream=true and one-shot=true"


def test_counters_of_what_does_not_run_are_empty(served: Served) -> None:
    served.container("box", start=False)
    (shown,) = lines(served.ask("GET", "/containers/box/stats?stream=0")[2])
    assert shown["read"] == "0001-01-01T00:00:00Z"
    assert shown["memory_stats"] == {}


def test_events_of_the_past_in_dockers_form(served: Served) -> None:
    identifier = served.container("box")
    events = lines(served.ask("GET", f"/events?since=0&until={NOW // 10**9 + 10}")[2])
    assert [event["Action"] for event in events] == ["create", "start"]
    assert events[0] == {
        "status": "create",
        "id": identifier,
        "from": "centos:7.6.1810",
        "Type": "container",
        "Action": "create",
        "Actor": {"ID": identifier, "Attributes": {"name": "box", "image": "centos:7.6.1810"}},
        "scope": "local",
        "time": NOW // 10**9,
        "timeNano": NOW,
    }


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"type": ["container"]}, 2),
        ({"type": ["network"]}, 0),
        ({"event": ["start"]}, 1),
        ({"container": ["box"]}, 2),
        ({"container": ["bo"]}, 2),
        ({"container": ["x"]}, 0),
        ({"image": ["centos:7.6.1810"]}, 2),
        ({"image": ["centos"]}, 2),
        ({"image": ["debian"]}, 0),
        ({"label": ["name=box"]}, 2),
        ({"nosuch": ["x"]}, 2),
    ],
)
def test_events_are_filtered(served: Served, filters: dict[str, list[str]], count: int) -> None:
    served.container("box")
    query = f"since=0&until={NOW // 10**9 + 10}&filters={json.dumps(filters)}".replace(" ", "").replace('"', "%22")
    assert len(lines(served.ask("GET", f"/events?{query}")[2])) == count


def test_a_listener_hears_what_happens_next(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
        assert client.recv(65536)
        served.eventually(lambda: served.engine.events.listeners)
        served.container("box", start=False)
        assert b'"Action":"create"' in client.recv(65536)


def test_a_pull_shows_its_progress_and_its_failure_in_the_stream(served: Served) -> None:
    assert lines(served.ask("POST", "/images/create?fromImage=debian&tag=12")[2]) == [
        {"status": "Pulling from debian", "progressDetail": {}, "id": "12"},
        {"status": "Downloading", "progressDetail": {"current": 10, "total": 100}, "id": "aaaaaaaaaaaa"},
        {"status": "Pull complete", "progressDetail": {}, "id": "aaaaaaaaaaaa"},
        {"status": "Status: Downloaded newer image"},
    ]
    assert served.ask("POST", "/images/create?fromImage=broken")[0] == 200
    assert lines(served.ask("POST", "/images/create?fromImage=broken")[2])[-1] == {
        "errorDetail": {"message": "filesystem layer verification failed"},
        "error": "filesystem layer verification failed",
    }
    assert "pull access denied" in served.message("POST", "/images/create?fromImage=nowhere", status=404)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "invalid reference format: fromImage is empty"),
        ("fromImage=a&tag=!", "invalid tag format"),
        ("fromImage=a&platform=a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
    ],
)
def test_bad_pulls(served: Served, query: str, message: str) -> None:
    assert served.message("POST", f"/images/create?{query}") == message


def test_load_save_and_import(served: Served) -> None:
    assert lines(served.ask("POST", "/images/load", b"x" * 100_000)[2]) == [
        {"stream": "Loaded image of 100000 bytes\n"}
    ]
    assert served.message("POST", "/images/load", b"x") == "unexpected EOF"
    assert served.ask("GET", "/images/centos:7.6.1810/get")[2] == b"centos:7.6.1810"
    assert served.ask("GET", "/images/get?names=centos:7.6.1810,registry.local:5000/team/app:1")[2].startswith(b"cen")
    assert served.message("GET", "/images/get?names=nosuch", status=404) == "No such image: nosuch:latest"
    (line,) = lines(served.ask("POST", "/images/create?fromSrc=-&repo=mine&tag=1", b"tar")[2])
    assert line["status"].startswith("sha256:")


def test_files_go_in_and_out(served: Served) -> None:
    served.container("box")
    status, headers, body = served.ask("GET", "/containers/box/archive?path=/etc")
    assert (status, headers["content-type"], len(body)) == (200, "application/x-tar", 400)
    stat = json.loads(base64.b64decode(headers["x-docker-container-path-stat"]))
    assert stat == {
        "name": "etc",
        "size": 4096,
        "mode": 0o20000000755,
        "mtime": "2026-11-24T08:37:11.65980248Z",
        "linkTarget": "",
    }
    status, headers, body = served.ask("HEAD", "/containers/box/archive?path=/etc")
    assert (status, body) == (200, b"")
    assert json.loads(base64.b64decode(headers["x-docker-container-path-stat"])) == stat
    assert served.ask("PUT", "/containers/box/archive?path=/etc", b"t" * 300_000)[0] == 200
    assert served.engine.uploaded == 300_000
    assert served.message("GET", "/containers/box/archive") == "bad parameter: path cannot be empty"
    assert served.message("GET", "/containers/box/archive?path=/no", status=404).startswith("Could not find the file")
    assert served.ask("GET", "/containers/box/export")[1]["content-type"] == "application/octet-stream"
