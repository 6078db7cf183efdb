"""Images by the real docker command line, by ours and by the docker SDK: pull, save, load, import, tag, rmi, prune."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from docker import DockerClient
from docker.errors import ImageNotFound, NotFound

from support.engine import Engine
from support.images import BUSYBOX
from support.registry import BuiltImage, Registry, build_image, layer, sha256
from support.running import Result

BASE = layer({"bin/sh": b"shell" * 20_000, "etc/release": b"7"})
TOP = layer({"etc/.wh.release": b"", "app": b"app"})
OTHER = layer({"app": b"another"})

#: Runs ``docker`` or ``sealane`` with these arguments.
Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_images(engine: Engine) -> Iterator[None]:
    """The images of a test go with it; what was there before has its names back."""
    before = names(engine)
    yield
    engine.tidy()
    for image in engine.http("GET", "/images/json").json:
        for name in [*image["RepoTags"], *image["RepoDigests"], image["Id"]]:
            if name not in before:
                assert engine.http("DELETE", f"/images/{name}?force=1").status in (200, 404)
    assert names(engine) == before


def names(engine: Engine) -> set[str]:
    found = engine.http("GET", "/images/json").json
    return {name for image in found for name in [*image["RepoTags"], *image["RepoDigests"], image["Id"]]}


@pytest.fixture(params=["docker", "sealane"])
def cli(engine: Engine, request: pytest.FixtureRequest) -> Cli:
    return engine.docker if request.param == "docker" else engine.cli


@pytest.fixture
def app(registry: Registry) -> BuiltImage:
    """``team/app:1`` in the registry; ``:2`` shares its lowest layer."""
    config = {"Cmd": ["/app"], "Env": ["A=b"], "Labels": {"kind": "app"}, "ExposedPorts": {"80/tcp": {}}}
    registry.push_image("team/app", "2", [BASE, OTHER])
    return registry.push_image("team/app", "1", [BASE, TOP], config)


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def layers_of(image: BuiltImage) -> list[str]:
    return [short(item["digest"]) for item in json.loads(image.manifest)["layers"]]


def archive(image: BuiltImage, *tags: str, **other: bytes) -> bytes:
    """An OCI image layout of *image*, its layers as they travel; *other* replaces members."""
    notes = [{"io.containerd.image.name": tag} for tag in tags] or [{}]
    target = {"mediaType": image.media_type, "digest": image.digest, "size": len(image.manifest)}
    index = {"schemaVersion": 2, "manifests": [{**target, "annotations": note} for note in notes]}
    blobs = {**image.blobs, image.digest: image.manifest}
    files = {f"blobs/sha256/{digest[7:]}": data for digest, data in blobs.items()}
    return layer({**files, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()})


# pull


def test_a_pull_tells_of_every_layer(cli: Cli, app: BuiltImage, registry: Registry) -> None:
    lower, upper = layers_of(app)
    name = f"{registry.host}/team/app:1"

    first = cli("pull", name).out.splitlines()

    assert first[0] == "1: Pulling from team/app"
    for item in (lower, upper):
        states = [line.removeprefix(f"{item}: ") for line in first if line.startswith(item)]
        assert [state for state in states if state != "Waiting"] == [
            "Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete",
        ]  # fmt: skip
    assert first.index(f"{lower}: Pull complete") < first.index(f"{upper}: Pull complete")
    assert first[-3:] == [f"Digest: {app.digest}", f"Status: Downloaded newer image for {name}", name]
    assert cli("pull", name).out.splitlines() == [
        "1: Pulling from team/app",
        f"Digest: {app.digest}",
        f"Status: Image is up to date for {name}",
        name,
    ]
    assert cli("pull", "-q", name).out == f"{name}\n"
    shared = cli("pull", f"{registry.host}/team/app:2").out.splitlines()
    assert f"{lower}: Already exists" in shared


def test_all_tags_and_digests(cli: Cli, app: BuiltImage, registry: Registry) -> None:
    repository = f"{registry.host}/team/app"

    everything = cli("pull", "--all-tags", repository).out.splitlines()

    assert [line for line in everything if "Pulling from" in line] in (
        ["1: Pulling from team/app", "2: Pulling from team/app"],
        ["2: Pulling from team/app", "1: Pulling from team/app"],
    )
    assert everything[-2:] == [f"Status: Downloaded newer image for {repository}", repository]
    assert cli("pull", "-a", repository).out.splitlines()[-2] == f"Status: Image is up to date for {repository}"
    by_digest = cli("pull", f"{repository}@{app.digest}").out.splitlines()
    assert by_digest[0] == f"{repository}@{app.digest}: Pulling from team/app"
    assert by_digest[-1] == f"{repository}@{app.digest}"
    assert cli("images", "-q", "--no-trunc", "--filter", f"reference={repository}:1").line == app.id


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("team/app:9", "manifest for {}/team/app:9 not found: manifest unknown: manifest unknown"),
        ("team/none", "manifest for {}/team/none:latest not found: manifest unknown: manifest unknown"),
        (f"team/app@sha256:{'0' * 64}", f"manifest for {{}}/team/app@sha256:{'0' * 64} not found: manifest unknown"),
        ("team/App", "invalid reference format: repository name (team/App) must be lowercase"),
    ],
)
def test_what_the_registry_does_not_have(cli: Cli, app: BuiltImage, registry: Registry, name: str, words: str) -> None:
    refused = cli("pull", f"{registry.host}/{name}", check=False)

    assert refused.code == 1
    assert words.format(registry.host) in refused.err


def test_registries_that_are_not_there(engine: Engine) -> None:
    reply = engine.http("POST", "/images/create?fromImage=127.0.0.1:9/x&tag=1")

    assert reply.status == 503
    assert reply.message == 'Get "http://127.0.0.1:9/v2/x/manifests/1": connect: connection refused'


def test_another_platform(cli: Cli, app: BuiltImage, registry: Registry) -> None:
    name = f"{registry.host}/team/app:1"

    refused = cli("pull", "--platform", "linux/arm64", name, check=False)

    assert refused.code == 1
    assert (
        f"image with reference {name} was found but does not match the specified platform: wanted linux/arm64, "
        "actual: linux/amd64"
    ) in refused.err
    assert cli("images", "-q", name).out == ""


# save, load, import


def test_what_was_saved_is_loaded_again(cli: Cli, app: BuiltImage, registry: Registry, tmp_path: Path) -> None:
    repository = f"{registry.host}/team/app"
    cli("pull", "-a", repository)
    cli("tag", f"{repository}:1", "mine:1")
    before = {tag: cli("inspect", "--format", "{{.Id}} {{.RootFS.Layers}}", f"{repository}:{tag}").out for tag in "12"}

    cli("save", "-o", str(tmp_path / "both.tar"), repository, "mine:1")  # without a tag: all of them
    cli("rmi", f"{repository}:1", f"{repository}:2", "mine:1")
    loaded = cli("load", "-i", str(tmp_path / "both.tar")).out.splitlines()

    assert sorted(loaded) == [f"Loaded image: {name}" for name in (f"{repository}:1", f"{repository}:2", "mine:1")]
    for tag, seen in before.items():
        assert cli("inspect", "--format", "{{.Id}} {{.RootFS.Layers}}", f"{repository}:{tag}").out == seen
    with tarfile.open(tmp_path / "both.tar") as tar:
        members = {member.name: member for member in tar if member.isfile()}
        for name in members:
            if name.startswith("blobs/sha256/"):
                file = tar.extractfile(name)
                assert file is not None
                assert sha256(file.read()) == f"sha256:{name.rpartition('/')[2]}"
    assert {"index.json", "manifest.json", "oci-layout", "repositories"} < set(members)


def test_an_image_without_a_name_is_loaded_by_its_id(
    cli: Cli, app: BuiltImage, registry: Registry, tmp_path: Path
) -> None:
    cli("pull", f"{registry.host}/team/app:1")
    cli("save", "-o", str(tmp_path / "one.tar"), short(app.id))
    saved = (tmp_path / "one.tar").read_bytes()

    cli("rmi", app.id)

    assert cli("load", input=saved).out == f"Loaded image ID: {app.id}\n"
    assert cli("rmi", short(app.id)).out.splitlines()[0] == f"Deleted: {app.id}"


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", ""])
def test_oci_layouts_and_compressed_archives(engine: Engine, kind: str) -> None:
    image = build_image([BASE, TOP], oci=True)
    packed = {"gzip": gzip.compress, "zstd": zstandard.compress, "bzip2": bz2.compress, "": bytes}[kind](
        archive(image, "oci/app:1", "docker.io/oci/app:2")
    )

    assert engine.docker("load", input=packed).out.splitlines() == [
        "Loaded image: oci/app:1",
        "Loaded image: oci/app:2",
    ]
    assert engine.http("GET", "/images/oci/app:2/json").json["Id"] == image.id


def test_a_name_that_another_image_had(engine: Engine) -> None:
    old, new = build_image([BASE]), build_image([BASE, TOP])
    engine.docker("load", input=archive(old, "moving:1"))

    told = engine.docker("load", input=archive(new, "moving:1")).out.splitlines()

    assert told == [
        f"The image moving:1 already exists, renaming the old one with ID {old.id} to empty string",
        "Loaded image: moving:1",
    ]
    assert engine.docker("images", "-q", "--no-trunc", "-f", "dangling=true").line == old.id


def test_a_root_filesystem_becomes_an_image(cli: Cli, engine: Engine) -> None:
    changes = ("--change", 'CMD ["a", "b"]', "--change", 'ENV X=1 Y="2 3"', "--change", "EXPOSE 80", "-m", "hello")

    identifier = cli("import", *changes, "-", "made:1", input=BASE).line

    assert re.fullmatch(r"sha256:[0-9a-f]{64}", identifier)
    found = engine.http("GET", "/images/made:1/json").json
    assert (found["Id"], found["Comment"], found["Os"]) == (identifier, "hello", "linux")
    assert found["RootFS"] == {"Type": "layers", "Layers": [sha256(BASE)]}
    config = found["Config"]
    assert (config["Cmd"], config["Env"], config["ExposedPorts"]) == (["a", "b"], ["X=1", "Y=2 3"], {"80/tcp": {}})
    history = cli("history", "--no-trunc", "--format", "{{.ID}}|{{.Comment}}|{{.Size}}", "made:1").line
    assert history == f"{identifier}|hello|100kB"
    foreign = cli("import", "--platform", "linux/arm64/v8", "-", "made:arm", input=BASE).line
    found = engine.http("GET", f"/images/{foreign}/json").json
    assert (found["Architecture"], found["Variant"]) == ("arm64", "v8")
    refused = cli("import", "--change", "FROM x", "-", "made:2", input=BASE, check=False)
    assert refused.code == 1
    assert "FROM is not a valid change command" in refused.err


# names


def test_tags(cli: Cli) -> None:
    for name in ("a/b:c", "a/b", "127.0.0.1:9/x"):
        assert cli("tag", BUSYBOX, name).out == ""
    assert cli("images", "--format", "{{.Repository}}:{{.Tag}}", "a/b").out.splitlines() == ["a/b:c", "a/b:latest"]
    for bad, words in (("BAD:x", "invalid reference format: repository name (library/BAD) must be lowercase"),
                       (f"x@sha256:{'0' * 64}", "refusing to create a tag with a digest reference")):  # fmt: skip
        refused = cli("tag", BUSYBOX, bad, check=False)
        assert refused.code == 1
        assert words in refused.err
    missing = cli("tag", "nope", "x", check=False)
    assert "No such image: nope:latest" in missing.err


def test_rmi(cli: Cli, app: BuiltImage, registry: Registry) -> None:
    name = f"{registry.host}/team/app"
    cli("pull", "-a", name)
    cli("tag", f"{name}:1", "mine:1")

    assert cli("rmi", "mine:1").out == "Untagged: mine:1\n"
    gone = cli("rmi", f"{name}:1").out.splitlines()
    assert gone == [
        f"Untagged: {name}:1",
        f"Untagged: {name}@{app.digest}",
        f"Deleted: {app.id}",
        f"Deleted: {chain(BASE, TOP)}",
    ]
    last = cli("rmi", f"{name}:2").out.splitlines()
    assert last[-2:] == [f"Deleted: {chain(BASE, OTHER)}", f"Deleted: {chain(BASE)}"]
    refused = cli("rmi", "mine:1", check=False)
    assert refused.code == 1
    assert "No such image: mine:1" in refused.err


def chain(*layers: bytes) -> str:
    """The chain id of the last one (OCI image-spec config.md)."""
    found = sha256(layers[0])
    for above in layers[1:]:
        found = sha256(f"{found} {sha256(above)}".encode())
    return found


def test_images_in_use_stay(cli: Cli, tmp_path: Path) -> None:
    identifier = cli("import", "--change", 'CMD ["/bin/sh"]', "-", "used:1", input=BASE).line
    container = cli("create", "--name", "holder", "used:1").line

    refused = cli("rmi", "used:1", check=False)
    assert refused.code == 1
    assert (
        'conflict: unable to remove repository reference "used:1" (must force) - container '
        f"{container[:12]} is using its referenced image {short(identifier)}"
    ) in refused.err
    assert "image is being used by stopped container" in cli("rmi", short(identifier), check=False).err
    assert cli("tag", "used:1", "used:2").code == 0
    assert cli("rmi", "used:2").out == "Untagged: used:2\n"
    assert cli("rmi", "-f", "used:1").out.splitlines()[0] == "Untagged: used:1"
    assert cli("inspect", "--format", "{{.Image}}", "holder").line == identifier
    cli("cp", "holder:/etc/release", str(tmp_path))
    assert (tmp_path / "release").read_bytes() == b"7"
    assert cli("rm", "holder").line == "holder"
    assert cli("images", "-q", "-a", "--no-trunc").out.count(identifier) == 0


def test_an_image_of_a_running_container_cannot_be_forced_away(engine: Engine) -> None:
    box = engine.docker("run", "-d", "--init", BUSYBOX, "sleep", "1000").line

    refused = engine.http("DELETE", f"/images/{engine.inspect(box)['Image']}?force=1")

    assert refused.status == 409
    assert refused.message.endswith(f"(cannot be forced) - image is being used by running container {box[:12]}")


# looking


def test_filters(cli: Cli, app: BuiltImage, registry: Registry) -> None:
    name = f"{registry.host}/team/app"
    cli("pull", "-a", name)
    new = cli("import", "-", "new:1", input=OTHER).line

    def listed(*filters: str) -> list[str]:
        asked = [word for text in filters for word in ("--filter", text)]
        return sorted(cli("images", "--format", "{{.Repository}}:{{.Tag}}", *asked).out.splitlines())

    assert listed("label=kind=app") == [f"{name}:1"]
    assert listed("label=kind", "reference=*/team/*") == [f"{name}:1"]
    assert listed(f"reference={name}") == [f"{name}:1", f"{name}:2"]
    assert listed("reference=new:*", "before=new:1") == []
    assert listed(f"since={name}:1", "reference=new") == ["new:1"]
    assert listed("dangling=true") == []
    cli("tag", f"{name}:1", "new:1")
    assert listed("dangling=true") == ["<none>:<none>"]
    assert cli("images", "-q", "--no-trunc", "--filter", "dangling=true").line == new
    for wrong, words in (("bad=1", "invalid filter 'bad'"), ("dangling=maybe", "invalid filter 'dangling=[maybe]'"),
                         ("since=nope", "No such image: nope:latest")):  # fmt: skip
        refused = cli("images", "--filter", wrong, check=False)
        assert refused.code == 1
        assert words in refused.err


def test_history(cli: Cli, app: BuiltImage, registry: Registry) -> None:
    name = f"{registry.host}/team/app:1"
    cli("pull", name)

    lines = cli("history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Size}}", name).out.splitlines()

    assert lines == [f"{app.id}|layer 1|3B", "<missing>|layer 0|100kB"]
    assert cli("history", "-q", name).out.split() == [short(app.id), "<missing>"]


def test_every_field_of_inspect(engine: Engine, app: BuiltImage, registry: Registry) -> None:
    name = f"{registry.host}/team/app"
    engine.docker("pull", f"{name}:1")

    found = engine.http("GET", f"/v1.44/images/{name}:1/json").json
    assert found["GraphDriver"]["Name"] == "overlay2"
    assert (Path(found["GraphDriver"]["Data"]["UpperDir"]) / "app").read_bytes() == b"app"
    assert (Path(found["GraphDriver"]["Data"]["LowerDir"]) / "etc/release").read_bytes() == b"7"
    assert found["Config"] | {"Env": ["A=b"], "Cmd": ["/app"], "Labels": {"kind": "app"}} == found["Config"]
    shown: dict[str, Any] = {
        key: found[key] for key in found if key not in ("GraphDriver", "Config", "ContainerConfig")
    }
    assert shown == {
        "Id": app.id,
        "RepoTags": [f"{name}:1"],
        "RepoDigests": [f"{name}@{app.digest}"],
        "Parent": "",
        "Comment": "",
        "Created": "2018-12-05T21:20:32.123456789Z",
        "DockerVersion": "",
        "Author": "",
        "Architecture": "amd64",
        "Os": "linux",
        "Size": 100_004,
        "RootFS": {"Type": "layers", "Layers": [sha256(BASE), sha256(TOP)]},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    }
    assert engine.http("GET", f"/v1.43/images/{name}:1/json").json["VirtualSize"] == 100_004
    engine.docker("tag", f"{name}:1", "mine:1")
    assert engine.http("GET", "/images/mine:1/json").json["Metadata"]["LastTagTime"] > "2025"


def test_prune(cli: Cli, engine: Engine) -> None:
    first = cli("import", "-", "x:1", input=OTHER).line
    kept = cli("import", "--change", "LABEL keep=1", "-", "x:1", input=TOP).line
    second = cli("import", "-", "x:1", input=BASE).line

    out = cli("image", "prune", "-f", "--filter", "label!=keep").out
    assert f"deleted: {first}" in out
    assert "Total reclaimed space: 7B" in out
    assert kept not in out
    assert cli("images", "-q", "--no-trunc", "-f", "dangling=true").line == kept
    answer = engine.http("POST", "/images/prune?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D").json
    assert [line["Deleted"] for line in answer["ImagesDeleted"]] == [kept, sha256(TOP)]
    assert cli("images", "-q", "--no-trunc", "x").line == second


# the SDK


def test_the_sdk(engine: Engine, app: BuiltImage, registry: Registry) -> None:
    sdk: DockerClient = engine.sdk()
    name = f"{registry.host}/team/app"

    pulled = sdk.images.pull(name, tag="1")
    assert (pulled.id, pulled.tags, pulled.labels) == (app.id, [f"{name}:1"], {"kind": "app"})
    assert {image.tags[0] for image in sdk.images.pull(name, all_tags=True)} == {f"{name}:1", f"{name}:2"}
    assert pulled.tag("sdk/app", tag="x") is True
    saved = b"".join(sdk.images.get("sdk/app:x").save(named="sdk/app:x"))
    sdk.images.remove("sdk/app:x")
    with pytest.raises(ImageNotFound):
        sdk.images.get("sdk/app:x")
    with pytest.raises(NotFound, match="manifest unknown"):
        sdk.images.pull(name, tag="none")
    assert [image.id for image in sdk.images.load(saved)] == [app.id]
    assert sdk.images.get("sdk/app:x").history()[0]["Tags"] == [f"{name}:1", "sdk/app:x"]
    made = sdk.api.import_image_from_data(io.BytesIO(BASE).read(), repository="sdk/made", tag="1")
    assert json.loads(made.splitlines()[-1])["status"] == sdk.images.get("sdk/made:1").id
    assert sdk.images.prune(filters={"dangling": True})["SpaceReclaimed"] == 0
