"""Private registries: credentials from the command line's own file, shown to Debian's docker-registry."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.engine import Engine
from support.registry import BuiltImage, Registry, layer
from support.running import Result
from support.tokens import TokenService

#: "pw", by bcrypt.
_HTPASSWD = "me:$2b$12$jEGgLng8DiV/DmpdqmsgdOoyVC.ghkpkRqAPAxISvZw5mRR7WjsdO\n"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuiltImage]:
    """The storage of a registry with ``team/app:1`` in it."""
    storage = tmp_path_factory.mktemp("private")
    with Registry(storage) as registry:
        return storage, registry.push_image("team/app", "1", [layer({"x": b"y"})])


@pytest.fixture(params=["basic", "token"])
def private(image: tuple[Path, BuiltImage], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """The same storage, for "me" with the password "pw" only."""
    if request.param == "basic":
        (tmp_path / "htpasswd").write_text(_HTPASSWD)
        settings = f'auth: {{htpasswd: {{realm: here, path: "{tmp_path}/htpasswd"}}}}\n'
        with Registry(image[0], extra=settings) as registry:
            yield registry
        return
    with TokenService(tmp_path / "tokens", "me", "pw") as tokens, Registry(image[0], extra=tokens.settings) as registry:
        yield registry
        assert set(tokens.asked) <= {"repository:team/app:pull", "repository:team/none:pull"}


@pytest.fixture(params=["docker", "sealane"])
def pull(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Callable[..., Result]]:
    run = engine.docker if request.param == "docker" else engine.cli
    yield lambda *words, **how: run("pull", *words, **how)
    config = Path(engine.environ["DOCKER_CONFIG"]) / "config.json"
    config.unlink(missing_ok=True)


def remember(engine: Engine, registry: Registry, password: str) -> None:
    """What ``docker login`` writes."""
    pair = base64.b64encode(f"me:{password}".encode()).decode()
    config = Path(engine.environ["DOCKER_CONFIG"]) / "config.json"
    config.write_text(json.dumps({"auths": {registry.host: {"auth": pair}}}))


def test_a_pull_with_the_credentials_of_the_users_file(
    engine: Engine, private: Registry, pull: Callable[..., Result], image: tuple[Path, BuiltImage]
) -> None:
    name = f"{private.host}/team/app:1"
    remember(engine, private, "pw")

    pulled = pull(name).out.splitlines()

    assert pulled[-3:] == [f"Digest: {image[1].digest}", f"Status: Downloaded newer image for {name}", name]
    assert pull("--all-tags", f"{private.host}/team/app").out.splitlines()[-2].startswith("Status: Image is up to date")
    missing = pull(f"{private.host}/team/none:1", check=False)
    assert f"manifest for {private.host}/team/none:1 not found: manifest unknown" in missing.err
    assert engine.docker("rmi", name).code == 0


@pytest.mark.parametrize("password", [None, "wr0ng"])
def test_a_pull_that_is_not_let_in(
    engine: Engine, private: Registry, pull: Callable[..., Result], password: str | None
) -> None:
    name = f"{private.host}/team/app:1"
    if password is not None:
        remember(engine, private, password)

    refused = pull(name, check=False, timeout_s=20)  # and does not ask for a password

    assert refused.code == 1
    assert refused.out == ""
    assert "unauthorized: " in refused.err
    assert "wr0ng" not in refused.err + engine.log.read_text()
    assert engine.http("GET", f"/images/{name}/json").status == 404


def test_docker_login(engine: Engine, private: Registry) -> None:
    config = Path(engine.environ["DOCKER_CONFIG"]) / "config.json"
    words = ("login", "--username", "me", "--password-stdin", private.host)

    wrong = engine.docker(*words, input="wr0ng", check=False)
    assert wrong.code == 1
    assert "unauthorized" in wrong.err.lower()
    assert not config.exists()
    right = engine.docker(*words, input="pw")
    assert "Login Succeeded" in right.out
    engine.docker("pull", "-q", f"{private.host}/team/app:1")
    engine.docker("rmi", f"{private.host}/team/app:1")
    config.unlink()
