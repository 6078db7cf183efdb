"""Pulling from Debian's docker-registry, and from registries that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import random
import ssl
import subprocess
from collections.abc import Iterator

import pytest
import zstandard

from kernel.image.fake import FakeRegistry
from kernel.image.lab import NO_HUB, Steps, Stores, run
from sealane.errors import NotFound, SealaneError, Unauthorized, Unavailable
from sealane.image.registry.credentials import Login
from sealane.image.registry.endpoints import Endpoint, Registries
from sealane.image.registry.pull import PullResult
from sealane.image.registry.transport import Session
from sealane.values import short
from support.registry import (
    DOCKER_LIST,
    OCI_INDEX,
    BuiltImage,
    Registry,
    build_image,
    build_index,
    layer,
    sha256,
)

BASE = layer({"bin/sh": b"shell" * 1000, "etc/release": b"7"})
TOP = layer({"etc/.wh.release": b"", "app": b"app"})
#: Does not compress, so that there is something to interrupt.
BIG = layer({"big": random.Random(7).randbytes(3_000_000)})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as made:
        yield made


def layers_of(image: BuiltImage) -> list[str]:
    return [digest for digest in image.blobs if digest != image.id]


# a real registry


def test_the_first_pull_downloads_and_the_second_finds_it(stores: Stores, registry: Registry) -> None:
    image = registry.push_image("library/centos", "7.6.1810", [BASE, TOP])
    first, second = Steps(), Steps()

    async def scene() -> list[PullResult]:
        store = stores.open()
        puller = stores.puller(store, (registry.url,))
        return [await puller.pull("centos:7.6.1810", progress=steps) for steps in (first, second)]

    results = run(scene())

    assert [item.status for item in results] == [
        "Downloaded newer image for centos:7.6.1810",
        "Image is up to date for centos:7.6.1810",
    ]
    assert {item.digest for item in results} == {image.digest}
    assert (first.seen[0].id, first.seen[0].status) == ("7.6.1810", "Pulling from library/centos")
    for blob in layers_of(image):
        assert first.of(short(blob)) == [
            "Pulling fs layer",
            "Downloading",
            "Verifying Checksum",
            "Download complete",
            "Extracting",
            "Pull complete",
        ]
    assert [step.status for step in second.seen] == ["Pulling from library/centos"]

    found = stores.open().get("centos:7.6.1810")  # another store reads it from the disk
    assert (found.id, found.tags, found.repo_digests) == (
        image.id,
        ("centos:7.6.1810",),
        (f"centos@{image.digest}",),
    )
    assert found.config.raw == image.config
    assert found.size == 5000 + 1 + 3
    top, base = stores.open().layer_paths(found.id)
    assert (base / "bin/sh").read_bytes() == b"shell" * 1000
    assert (top / "app").read_bytes() == b"app"
    assert (top / "etc/release").is_char_device()


def test_shared_layers_already_exist(stores: Stores, registry: Registry) -> None:
    registry.push_image("library/base", "1", [BASE])
    image = registry.push_image("library/child", "1", [BASE, TOP])
    steps = Steps()

    async def scene() -> None:
        puller = stores.puller(stores.open(), (registry.url,))
        await puller.pull("base:1")
        await puller.pull("child:1", progress=steps)

    run(scene())

    base, top = layers_of(image)
    assert steps.of(short(base)) == ["Already exists"]
    assert steps.of(short(top))[-1] == "Pull complete"


@pytest.mark.parametrize("kind", ["gzip", "zstd", ""])
@pytest.mark.parametrize("oci", [True, False])
def test_media_types(stores: Stores, registry: Registry, kind: str, oci: bool) -> None:
    def compress(plain: bytes) -> bytes:
        return {"gzip": gzip.compress, "zstd": zstandard.compress, "": bytes}[kind](plain)

    name = f"media/{'oci' if oci else 'docker'}{kind}"
    registry.push_image(name, "1", [BASE, TOP], oci=oci, kind=kind, compress=compress)

    async def scene() -> None:
        store = stores.open()
        await stores.puller(store).pull(f"{registry.host}/{name}:1")
        (path, _) = store.layer_paths(store.all()[0].id)
        assert (path / "app").read_bytes() == b"app"

    run(scene())


@pytest.mark.parametrize("oci", [True, False])
def test_the_platform_is_chosen(stores: Stores, registry: Registry, oci: bool) -> None:
    name = f"multi/oci{oci}".lower()
    images = {}
    for architecture in ("amd64", "arm64"):
        images[architecture] = registry.push_image(
            name, architecture, [layer({architecture: b"x"})], oci=oci, architecture=architecture
        )
    index = build_index([({"os": "linux", "architecture": a}, image) for a, image in images.items()], oci=oci)
    registry.push_manifest(name, "latest", index, OCI_INDEX if oci else DOCKER_LIST)

    async def scene() -> None:
        store = stores.open()
        puller = stores.puller(store)
        arm = await puller.pull(f"{registry.host}/{name}", platform="linux/arm64")
        assert (arm.image, arm.digest) == (images["arm64"].id, sha256(index))
        again = await puller.pull(f"{registry.host}/{name}", platform="linux/arm64")
        assert not again.newer
        intel = await puller.pull(f"{registry.host}/{name}", platform="linux/amd64")
        assert (intel.image, intel.newer) == (images["amd64"].id, True)
        with pytest.raises(NotFound, match="no matching manifest for linux/s390x in the manifest list entries"):
            await puller.pull(f"{registry.host}/{name}", platform="linux/s390x")
        with pytest.raises(NotFound, match="wanted linux/arm64, actual: linux/amd64"):
            await puller.pull(f"{registry.host}/{name}:amd64", platform="linux/arm64")
        by_digest = await puller.pull(f"{registry.host}/{name}@{images['arm64'].digest}")
        assert by_digest.image == images["arm64"].id
        assert by_digest.status.endswith(f"{name}@{images['arm64'].digest}")

    run(scene())


def test_a_tag_that_moved(stores: Stores, registry: Registry) -> None:
    async def scene() -> None:
        store = stores.open()
        puller = stores.puller(store, (registry.url,))
        old = registry.push_image("library/moving", "latest", [BASE])
        await puller.pull("moving")
        new = registry.push_image("library/moving", "latest", [BASE, TOP])
        result = await puller.pull("moving")
        assert result.newer
        assert store.get("moving").id == new.id
        assert store.get(old.id).tags == ()
        assert store.get(old.id).repo_digests == (f"moving@{old.digest}",)
        assert await puller.tags("moving") == ("latest",)

    run(scene())


def test_what_is_missing(stores: Stores, registry: Registry) -> None:
    registry.push_image("library/there", "1", [BASE])

    async def scene() -> None:
        puller = stores.puller(stores.open(), (registry.url,))
        for name in ("there:2", "nope", f"{registry.host}/library/there:2", f"there@sha256:{'0' * 64}"):
            with pytest.raises(NotFound, match=r"^manifest for .* not found: manifest unknown: manifest unknown"):
                await puller.pull(name)
        with pytest.raises(Unavailable, match=r'^Get "http://127\.0\.0\.1:9/v2/.*": connect: connection refused'):
            await puller.pull("127.0.0.1:9/app")

    run(scene())
    assert stores.empty


# mirrors


def test_mirrors_fall_back_in_order_and_never_see_credentials(stores: Stores) -> None:
    image = build_image([BASE])

    async def scene() -> None:
        broken, hub = FakeRegistry(status=503), FakeRegistry(auth="basic", user=("me", "pw"))
        hub.add("library/app", "latest", image)
        async with broken.serving(), hub.serving():
            puller = stores.puller(stores.open(), (NO_HUB, broken.url), hub=hub.url)
            await puller.pull("app", credentials=Login("me", "pw"))
        assert len(broken.asked("/manifests/")) == 1
        assert not any("authorization" in headers for _, _, headers in broken.log)
        assert any("authorization" in headers for _, _, headers in hub.log)

    run(scene())


def test_a_mirror_without_a_blob_is_helped_out_by_the_next(stores: Stores) -> None:
    image = build_image([BASE, TOP])

    async def scene() -> None:
        mirror, hub = FakeRegistry(), FakeRegistry()
        for fake in (mirror, hub):
            fake.add("library/app", "latest", image)
        first, second = layers_of(image)
        del mirror.blobs[first]
        mirror.blobs[second] = b"x" * len(image.blobs[second])
        async with mirror.serving(), hub.serving():
            await stores.puller(stores.open(), (mirror.url,), hub=hub.url).pull("app")
        assert len(hub.asked("/blobs/")) == 2

    run(scene())


# authentication


@pytest.mark.parametrize("login", [None, Login("me", "pw"), Login(identity_token="refresh")])
def test_tokens(stores: Stores, login: Login | None) -> None:
    async def scene() -> FakeRegistry:
        fake = FakeRegistry(auth="bearer")
        if login is not None:
            fake.user = ("me", "pw") if login.username else ("", "refresh")
        fake.add("library/app", "1", build_image([BASE, TOP]))
        async with fake.serving():
            await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1", credentials=login)
        return fake

    fake = run(scene())

    assert len(fake.tokens) == 1, "one token for the whole pull"
    if login is not None and login.identity_token:
        form = next(path for kind, path, _ in fake.log if kind == "FORM")
        assert "grant_type=refresh_token&refresh_token=refresh&client_id=" in form
        assert "service=svc&scope=repository%3Alibrary%2Fapp%3Apull" in form
    else:
        (query,) = [path for _, path, _ in fake.log if path.startswith("/token")]
        assert "service=svc&scope=repository%3Alibrary%2Fapp%3Apull" in query
        assert ("account=me" in query) is (login is not None)


def test_a_token_that_runs_out_is_renewed(stores: Stores) -> None:
    async def scene() -> FakeRegistry:
        fake = FakeRegistry(auth="bearer", token_uses=2)
        fake.add("library/app", "1", build_image([BASE, TOP]))
        async with fake.serving():
            await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1")
        return fake

    assert len(run(scene()).tokens) == 2


def test_a_registry_token_is_sent_as_it_is(stores: Stores) -> None:
    async def scene() -> None:
        fake = FakeRegistry(auth="bearer", tokens=["given"])
        fake.add("library/app", "1", build_image([BASE]))
        async with fake.serving():
            await stores.puller(stores.open()).pull(
                f"{fake.host}/library/app:1", credentials=Login(registry_token="given")
            )
        assert fake.tokens == ["given"]

    run(scene())


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_wrong_credentials(stores: Stores, auth: str) -> None:
    async def scene(login: Login | None) -> SealaneError:
        fake = FakeRegistry(auth=auth, user=("me", "right"))
        fake.add("library/app", "1", build_image([BASE]))
        async with fake.serving():
            with pytest.raises(SealaneError) as caught:
                await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1", credentials=login)
        assert len(fake.log) < 6, "no endless asking"
        return caught.value

    refused, anonymous = run(scene(Login("me", "wr0ng"))), run(scene(None))

    assert "wr0ng" not in refused.message
    assert isinstance(refused, Unauthorized if auth == "bearer" else NotFound)
    if auth == "basic":
        assert "pull access denied for" in anonymous.message
        assert "repository does not exist or may require 'docker login'" in anonymous.message
    assert stores.empty


def test_a_token_service_without_an_answer(stores: Stores) -> None:
    async def scene() -> None:
        fake = FakeRegistry(auth="bearer", realm=f"{NO_HUB}/token")
        async with fake.serving():
            with pytest.raises(Unavailable, match=r'Get "http://127\.0\.0\.1:9/token.*connection refused'):
                await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1")

    run(scene())


def test_credentials_do_not_follow_a_redirect(stores: Stores) -> None:
    image = build_image([BASE])
    (blob,) = layers_of(image)

    async def scene() -> None:
        fake, storage = FakeRegistry(auth="bearer"), FakeRegistry(blobs=dict(image.blobs))
        fake.add("library/app", "1", image)
        async with fake.serving(), storage.serving():
            fake.elsewhere[blob] = f"{storage.url}/v2/x/blobs/{blob}"
            await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1")
        assert len(storage.log) == 1
        assert all("authorization" not in headers for _, _, headers in storage.log)

    run(scene())


def test_a_redirect_that_never_ends(stores: Stores) -> None:
    image = build_image([BASE])
    (blob,) = layers_of(image)

    async def scene() -> None:
        fake = FakeRegistry()
        fake.add("library/app", "1", image)
        async with fake.serving():
            fake.elsewhere[blob] = f"{fake.url}/v2/library/app/blobs/{blob}"
            with pytest.raises(Unavailable, match="stopped after 10 redirects"):
                await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1")

    run(scene())


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side with a certificate that nobody knows."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "certificate", folder / "key")
    return made


def test_tls_is_tried_first_and_loopback_needs_no_known_certificate(
    stores: Stores, certificate: ssl.SSLContext
) -> None:
    async def scene() -> None:
        fake = FakeRegistry()
        fake.add("library/app", "1", build_image([BASE]))
        async with fake.serving(certificate):
            assert (await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1")).newer

    run(scene())


@pytest.mark.parametrize(
    ("has_tls", "words"),
    [
        (True, r"tls: failed to verify certificate: self.signed certificate"),
        (False, "http: server gave HTTP response to HTTPS client"),
    ],
)
def test_elsewhere_the_certificate_must_be_known(certificate: ssl.SSLContext, has_tls: bool, words: str) -> None:
    async def scene() -> None:
        async with FakeRegistry().serving(certificate if has_tls else None) as fake:
            elsewhere = Endpoint(f"https://{fake.host}", verify=True)
            async with Session(elsewhere, Registries(), "", None, 20) as session:
                with pytest.raises(Unavailable, match=rf'^Get "https://{fake.host}/v2/": {words}'):
                    await session.check()

    run(scene())


# interruptions


def test_an_interrupted_download_goes_on_where_it_was(stores: Stores) -> None:
    image = build_image([BIG])
    (blob,) = layers_of(image)

    async def scene() -> FakeRegistry:
        fake = FakeRegistry(cuts={blob: [1_000_000, 0, 500_000]})
        fake.add("library/app", "1", image)
        async with fake.serving():
            await stores.puller(stores.open()).pull(f"{fake.host}/library/app:1")
        return fake

    asked = [headers.get("range", "") for headers in run(scene()).asked(blob)]

    assert asked[0] == ""
    starts = [int(item.removeprefix("bytes=").rstrip("-")) for item in asked[1:]]
    assert starts[0] > 0
    assert starts == sorted(starts)
    assert starts[-1] <= 1_500_000


@pytest.mark.parametrize("habit", ["ranges", "wrong_range"])
def test_a_registry_that_cannot_resume(stores: Stores, habit: str) -> None:
    image = build_image([BIG])
    (blob,) = layers_of(image)

    async def scene() -> None:
        fake = FakeRegistry(cuts={blob: [1_000_000]}, **{habit: habit == "wrong_range"})
        fake.add("library/app", "1", image)
        async with fake.serving():
            store = stores.open()
            await stores.puller(store).pull(f"{fake.host}/library/app:1")
            assert store.get(image.id).size == 3_000_000

    run(scene())


def test_a_pull_that_gave_up_is_resumed_by_the_next(stores: Stores) -> None:
    image = build_image([BASE, BIG])
    small, big = layers_of(image)

    async def scene() -> FakeRegistry:
        fake = FakeRegistry(cuts={big: [1_000_000, 0, 0, 0, 0]})
        fake.add("library/app", "1", image)
        async with fake.serving():
            store = stores.open()
            puller = stores.puller(store)
            with pytest.raises(Unavailable, match=f"error pulling blob {short(big)}: "):
                await puller.pull(f"{fake.host}/library/app:1")
            assert store.all() == []
            with pytest.raises(NotFound):
                store.get(f"{fake.host}/library/app:1")
            fake.cuts.clear()
            fake.log.clear()
            await puller.pull(f"{fake.host}/library/app:1")
        return fake

    fake = run(scene())

    assert fake.asked(small) == [], "it had come whole"
    assert fake.asked(big)[0]["range"].startswith("bytes=")


def test_a_cancelled_pull_leaves_nothing_that_looks_whole(stores: Stores) -> None:
    image = build_image([BASE, BIG])
    big = layers_of(image)[1]

    async def scene() -> None:
        gate = asyncio.Event()
        fake = FakeRegistry(gates={big: gate})
        fake.add("library/app", "1", image)
        async with fake.serving():
            store = stores.open()
            complete = asyncio.Event()
            puller = stores.puller(store)
            pull = asyncio.ensure_future(
                puller.pull(
                    f"{fake.host}/library/app:1",
                    progress=lambda step: complete.set() if step.status == "Pull complete" else None,
                )
            )
            await asyncio.wait_for(complete.wait(), 20)
            pull.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pull
            assert store.all() == []
            gate.set()
            result = await puller.pull(f"{fake.host}/library/app:1")
            assert result.newer

    run(scene())
    stores.open()
    assert stores.files()["downloads"] == 0


def test_two_pulls_at_once_fetch_once(stores: Stores) -> None:
    image = build_image([BASE, TOP, BIG])

    async def scene() -> FakeRegistry:
        fake = FakeRegistry()
        fake.add("library/app", "1", image)
        fake.add("library/app", "2", image)
        async with fake.serving():
            puller = stores.puller(stores.open())
            await asyncio.gather(*[puller.pull(f"{fake.host}/library/app:{tag}") for tag in ("1", "2", "1")])
        return fake

    assert len(run(scene()).asked("/blobs/")) == 4
