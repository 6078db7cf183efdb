"""The docker SDK for Python, unchanged, against our socket."""

from __future__ import annotations

import contextlib
import gc
import io
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker import DockerClient
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool, Ulimit

from support.engine import Engine
from support.images import BUSYBOX
from support.poll import until

#: The SDK leaves sockets to the garbage collector; they are collected while that is forgiven.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def sdk(engine: Engine) -> Iterator[DockerClient]:
    yield engine.sdk()
    gc.collect()


@pytest.fixture
def box(sdk: DockerClient) -> Container:
    """A container that runs until it is told to end."""
    return sdk.containers.run(BUSYBOX, ["sleep", "1000"], name="box", detach=True, init=True)


def test_the_engine_presents_itself(sdk: DockerClient) -> None:
    assert sdk.ping() is True
    version = sdk.version()
    assert version["ApiVersion"] == sdk.api.api_version
    assert version["Os"] == "linux"
    assert sdk.info()["OSType"] == "linux"
    assert {image["RepoTags"][0] for image in sdk.df()["Images"]} >= {BUSYBOX}


def test_every_version_from_the_oldest_is_served(engine: Engine, box: Container) -> None:
    for minor in range(24, 49):
        with contextlib.closing(docker.DockerClient(base_url=engine.url, version=f"1.{minor}")) as client:
            found = client.containers.get("box")
            assert found.id == box.id
            assert found.image.tags == [BUSYBOX]
            assert client.networks.get("bridge").attrs["Driver"] == "bridge"


def test_a_command_is_run_and_its_output_returned(sdk: DockerClient) -> None:
    assert sdk.containers.run(BUSYBOX, "echo hello", remove=True) == b"hello\n"
    both = sdk.containers.run(BUSYBOX, ["sh", "-c", "echo out; echo err >&2"], remove=True, stderr=True)
    assert sorted(both.split()) == [b"err", b"out"]
    with pytest.raises(ContainerError) as caught:
        sdk.containers.run(BUSYBOX, ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    assert (caught.value.exit_status, caught.value.stderr) == (3, b"bad\n")
    assert sdk.containers.list(all=True) == []


def test_what_is_missing_is_recognised(sdk: DockerClient) -> None:
    with pytest.raises(ImageNotFound):
        sdk.images.get("nosuch")
    with pytest.raises(ImageNotFound):
        sdk.api.create_container("nosuch:1", "true")
    for get in (sdk.containers.get, sdk.networks.get, sdk.volumes.get):
        with pytest.raises(NotFound):
            get("nosuch")


@pytest.mark.parametrize("command", ["/nosuch", "/etc"])
def test_a_command_that_cannot_be_run_leaves_no_running_container(sdk: DockerClient, command: str) -> None:
    with pytest.raises(APIError) as caught:
        sdk.containers.run(BUSYBOX, command, name="box")
    assert caught.value.status_code == 400
    box = sdk.containers.get("box")
    assert box.attrs["State"]["ExitCode"] == {"/nosuch": 127, "/etc": 126}[command]
    assert box.status == "created"


def test_what_was_asked_is_what_there_is(sdk: DockerClient) -> None:
    network = sdk.networks.create(
        "lab",
        ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="10.86.8.0/24", gateway="10.86.8.254")]),
        labels={"tier": "back"},
        internal=True,
    )
    box = sdk.containers.run(
        BUSYBOX,
        ["sleep", "1000"],
        name="box",
        detach=True,
        init=True,
        network="lab",
        networking_config={"lab": sdk.api.create_endpoint_config(aliases=["other"], ipv4_address="10.86.8.7")},
        environment={"COLOUR": "red"},
        labels={"q": "r"},
        hostname="boxhost",
        mem_limit="64m",
        tmpfs={"/scratch": "size=1m"},
        extra_hosts={"elsewhere": "192.0.2.7"},
        ulimits=[Ulimit(name="nofile", soft=100, hard=200)],
        volumes={"data": {"bind": "/data", "mode": "rw"}},
    )
    box.reload()
    attachment = box.attrs["NetworkSettings"]["Networks"]["lab"]
    assert (attachment["IPAddress"], attachment["Gateway"]) == ("10.86.8.7", "")  # an internal network has no way out
    assert {"box", "other", box.short_id} <= set(attachment["DNSNames"])
    script = "hostname; echo $COLOUR; ulimit -n; grep elsewhere /etc/hosts; df -m /scratch | tail -n 1; ls -d /data"
    seen = box.exec_run(["sh", "-c", script]).output.decode().split()
    assert seen[:5] == ["boxhost", "red", "100", "192.0.2.7", "elsewhere"]
    assert (seen[6], seen[-1]) == ("1", "/data")
    network.reload()
    assert [member.name for member in network.containers] == ["box"]
    assert network.attrs["Labels"] == {"tier": "back"}
    assert network.attrs["Internal"] is True


def test_exec_in_all_its_ways(sdk: DockerClient, box: Container) -> None:
    for _ in range(10):  # what comes at once with the reply's head is not lost
        assert box.exec_run("echo hello") == (0, b"hello\n")
    assert box.exec_run(["sh", "-c", "echo a; echo b >&2; exit 4"], demux=True) == (4, (b"a\n", b"b\n"))
    assert b"".join(box.exec_run(["sh", "-c", "echo a; echo b"], stream=True).output) == b"a\nb\n"
    assert box.exec_run("tty", tty=True).output.startswith(b"/dev/pts/")
    script = "echo $E; pwd; id -u"
    said = box.exec_run(["sh", "-c", script], environment={"E": "v"}, workdir="/tmp", user="65534").output
    assert said == b"v\n/tmp\n65534\n"
    assert box.exec_run("/nosuch").exit_code == 127
    assert box.exec_run("/etc").exit_code == 126


def test_exec_over_a_socket_of_ones_own(sdk: DockerClient, box: Container) -> None:
    identifier = sdk.api.exec_create("box", ["cat"], stdin=True)["Id"]
    with contextlib.closing(sdk.api.exec_start(identifier, socket=True)) as stream:
        stream._sock.sendall(b"data\n")
        stream._sock.shutdown(1)  # the process sees the end of its input, and its output still comes
        assert b"".join(iter(lambda: stream.read(100), b"")) == b"\1\0\0\0\0\0\0\5data\n"
        stream._sock.close()
    assert sdk.api.exec_inspect(identifier)["ExitCode"] == 0


def test_attach_before_start_and_a_terminal(sdk: DockerClient) -> None:
    identifier = sdk.api.create_container(BUSYBOX, ["sh"], tty=True, stdin_open=True)["Id"]
    with contextlib.closing(sdk.api.attach_socket(identifier, {"stdin": 1, "stdout": 1, "stream": 1})) as stream:
        sdk.api.start(identifier)
        stream._sock.sendall(b"echo x$((1+1))\nexit 5\n")
        assert b"x2\r\n" in b"".join(iter(lambda: stream.read(100), b""))
        stream._sock.close()
    assert sdk.api.wait(identifier)["StatusCode"] == 5


def test_logs_and_attach_with_logs(sdk: DockerClient) -> None:
    box = sdk.containers.run(BUSYBOX, ["sh", "-c", "echo 1; echo 2; echo 3"], detach=True)
    assert box.wait() == {"StatusCode": 0}
    assert box.logs() == b"1\n2\n3\n"
    assert box.logs(tail=1) == b"3\n"
    assert list(box.logs(stream=True, follow=True)) == [b"1\n", b"2\n", b"3\n"]
    assert box.logs(timestamps=True).startswith(b"20")
    assert box.logs(since=int(time.time()) + 60) == b""
    for _ in range(5):
        assert box.attach(logs=True, stream=False) == b"1\n2\n3\n"


def test_counters_processes_and_changes(box: Container) -> None:
    reading = box.stats(stream=False)
    assert reading["name"] == "/box"
    assert reading["memory_stats"]["usage"] > 0
    assert set(reading["networks"]) == {"eth0"}
    assert "sleep 1000" in [row[-1] for row in box.top()["Processes"]]
    box.exec_run("touch /new")
    assert {"Path": "/new", "Kind": 1} in box.diff()


def test_files_go_in_and_come_out(box: Container) -> None:
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as archive:
        member = tarfile.TarInfo("greeting")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    assert box.put_archive("/tmp", sent.getvalue())
    chunks, stat = box.get_archive("/tmp/greeting")
    assert (stat["name"], stat["size"], stat["mode"], stat["mtime"]) == ("greeting", 5, 0o644, "1970-01-01T00:00:00Z")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        found = archive.extractfile("greeting")
        assert found is not None
        assert found.read() == b"hello"
    with tarfile.open(fileobj=io.BytesIO(b"".join(box.export()))) as archive:
        assert "tmp/greeting" in archive.getnames()


def test_the_life_of_a_container(sdk: DockerClient, box: Container) -> None:
    def status() -> str:
        box.reload()
        return str(box.status)

    box.pause()
    assert status() == "paused"
    box.unpause()
    box.rename("other")
    assert status() == "running"
    assert box.name == "other"
    box.update(mem_limit="128m", memswap_limit="128m")
    assert status() == "running"
    assert box.attrs["HostConfig"]["Memory"] == 128 << 20
    box.restart(timeout=0)
    box.stop(timeout=0)
    assert status() == "exited"
    box.start()
    box.kill()
    until(lambda: status() == "exited", "it was killed")
    box.remove()
    assert sdk.containers.list(all=True) == []


def test_networks_are_joined_and_left(sdk: DockerClient, box: Container) -> None:
    network = sdk.networks.create("lab")
    network.connect(box, aliases=["other"])
    assert box.exec_run("nslookup other").exit_code == 0
    network.disconnect(box)
    assert "lab" not in sdk.containers.get("box").attrs["NetworkSettings"]["Networks"]
    network.connect(box)
    with pytest.raises(APIError) as caught:
        network.remove()
    assert caught.value.status_code == 403
    assert "has active endpoints" in caught.value.explanation
    network.disconnect(box)
    network.remove()


def test_lists_are_filtered(sdk: DockerClient, box: Container) -> None:
    other = sdk.containers.create(BUSYBOX, "true", name="other", labels={"tier": "back"})

    def names(**filters: Any) -> list[str]:
        return sorted(item.name for item in sdk.containers.list(all=True, filters=filters))

    assert names(status="running") == ["box"]
    assert names(label="tier=back") == ["other"]
    assert names(name="^oth") == ["other"]
    assert names(before="other") == ["box"]
    assert names(network="bridge") == ["box", "other"]
    assert names(ancestor=BUSYBOX, status=["created", "running"]) == ["box", "other"]
    with pytest.raises(APIError, match="invalid filter 'nosuch'"):
        names(nosuch="x")
    assert sdk.containers.prune()["ContainersDeleted"] == [other.id]
    assert [item.name for item in sdk.networks.list(names=["bridge"], greedy=True)] == ["bridge"]


def test_images_are_tagged_saved_loaded_and_removed(sdk: DockerClient) -> None:
    image = sdk.images.get(BUSYBOX)
    assert image.tag("local/other", "1")
    saved = b"".join(sdk.api.get_image("local/other:1"))
    sdk.images.remove("local/other:1")
    (loaded,) = sdk.images.load(saved)
    assert loaded.id == image.id
    assert "local/other:1" in loaded.tags
    sdk.images.remove("local/other:1")
    assert image.history()[0]["Id"] == image.id
    assert BUSYBOX in {tag for item in sdk.images.list() for tag in item.tags}


def test_a_pull_reports_progress(sdk: DockerClient) -> None:
    lines = list(sdk.api.pull("busybox", tag="latest", stream=True, decode=True))
    assert lines[0]["status"] == "Pulling from library/busybox"
    assert lines[-1]["status"].startswith("Status: ")


def test_volumes(sdk: DockerClient) -> None:
    volume = sdk.volumes.create("data", labels={"tier": "back"})
    sdk.containers.run(BUSYBOX, ["sh", "-c", "echo kept >/data/file"], volumes=["data:/data"], remove=True)
    assert sdk.containers.run(BUSYBOX, "cat /data/file", volumes=["data:/data"], remove=True) == b"kept\n"
    assert [item.name for item in sdk.volumes.list(filters={"label": "tier=back"})] == ["data"]
    volume.remove()


def test_events_past_and_present(sdk: DockerClient) -> None:
    stream = sdk.events(decode=True, filters={"type": "network"})
    network = sdk.networks.create("news")
    event = next(stream)
    stream.close()
    assert (event["Action"], event["Actor"]["ID"]) == ("create", network.id)
    assert event["Actor"]["Attributes"] == {"name": "news", "type": "bridge"}
    since = event["time"]
    network.remove()
    past = sdk.events(decode=True, since=since, until=since + 1, filters={"network": "news"})
    assert [item["Action"] for item in past] == ["create", "destroy"]


def test_a_wait_for_the_removal(sdk: DockerClient) -> None:
    box = sdk.containers.create(BUSYBOX, ["sh", "-c", "exit 5"], auto_remove=True)
    box.start()
    try:
        assert box.wait(condition="removed")["StatusCode"] == 5
    except NotFound:  # it was quicker
        pass
    until(lambda: not sdk.containers.list(all=True), "it is gone")
