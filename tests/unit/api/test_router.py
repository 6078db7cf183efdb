import pytest

from sealane.api.backend import Engine
from sealane.api.http import Reply, Request, empty
from sealane.api.router import Route, Router
from sealane.api.routes import build_router
from sealane.api.versions import MAXIMUM, ApiVersion
from sealane.errors import InvalidArgument, NotFound


async def handler(engine: Engine, request: Request) -> Reply:
    return empty()


ROUTER = Router(
    (
        Route("GET", "/images/json", handler),
        Route("GET", "/images/{name*}/json", handler),
        Route("DELETE", "/images/{name*}", handler),
        Route("GET", "/containers/{id}/json", handler),
        Route("POST", "/containers/prune", handler),
    )
)


@pytest.mark.parametrize(
    ("method", "path", "pattern", "params"),
    [
        ("GET", "/images/json", "/images/json", {}),
        ("GET", "/v1.30/images/json", "/images/json", {}),
        ("GET", "/images/a/b/c/json", "/images/{name*}/json", {"name": "a/b/c"}),
        ("GET", "/images/a%2Fb%3A1/json", "/images/{name*}/json", {"name": "a/b:1"}),
        ("DELETE", "/images/reg:5000/x@sha256:00", "/images/{name*}", {"name": "reg:5000/x@sha256:00"}),
        ("GET", "/containers/a%2Fb/json", "/containers/{id}/json", {"id": "a/b"}),
    ],
)
def test_paths_are_found(method: str, path: str, pattern: str, params: dict[str, str]) -> None:
    found = ROUTER.find(method, path)
    assert found.route.path == pattern
    assert found.params == params


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "*"),
        ("GET", "/foo"),
        ("GET", "/v1.45/"),
        ("GET", "/vfoo/images/json"),
        ("POST", "/images/json"),
        ("GET", "/containers//json"),
        ("GET", "/containers/a/b/json"),
        ("GET", "/containers/a%00b/json"),
    ],
)
def test_everything_else_is_page_not_found(method: str, path: str) -> None:
    with pytest.raises(NotFound, match=r"^page not found$"):
        ROUTER.find(method, path)


def test_versions() -> None:
    assert ROUTER.find("GET", "/images/json").version == MAXIMUM
    assert ROUTER.find("GET", "/v1.24/images/json").version == ApiVersion(1, 24)
    with pytest.raises(InvalidArgument) as caught:
        ROUTER.find("GET", "/v1.99/images/json")
    assert caught.value.message == f"client version 1.99 is too new. Maximum supported API version is {MAXIMUM}"
    with pytest.raises(InvalidArgument) as caught:
        ROUTER.find("GET", "/v1.10/images/json")
    assert caught.value.message == (
        "client version 1.10 is too old. Minimum supported API version is 1.24,"
        " please upgrade your client to a newer version"
    )


def test_the_whole_table_has_no_route_that_another_hides() -> None:
    router = build_router()
    for route in router.routes:
        path = route.path.replace("{id}", "x").replace("{name*}", "a/b").replace("{name}", "x").replace("{rest*}", "q")
        assert router.find(route.method, path).route is route
