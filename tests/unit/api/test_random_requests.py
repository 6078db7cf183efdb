"""Whatever is asked, the answer is well formed and never blames the engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sealane.api.schema.decode import decode
from sealane.errors import InvalidArgument
from unit.api.random_requests import IMAGE, Ask, Field, answer, anything, check, fields, requests
from unit.api.serving import Served, serving

RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("api")) as running:
        yield running


@RELAXED
@given(ask=requests())
def test_no_request_is_the_engines_failure(shared: Served, ask: Ask) -> None:
    prepare(shared)

    check(ask, *answer(shared.path, ask))


def prepare(shared: Served) -> None:
    """The objects that requests name are there again, whatever the request before did to them."""
    engine = shared.engine
    if all(IMAGE not in image.tags for image in engine.images.all()):
        shared.call(lambda: engine.images.add(IMAGE))
    if all(view.name != "box" for view in engine.containers.views()):
        shared.container("box")
    if all(view.spec.name != "net" for view in engine.networks.views()):
        shared.json("POST", "/networks/create", {"Name": "net"}, 201)


@RELAXED
@given(place=st.sampled_from(fields()), value=anything)
def test_a_wrong_type_is_refused_by_the_name_of_its_field(place: Field, value: Any) -> None:
    assume(place.refuses(value))
    raw = json.dumps(place.body(value)).encode()
    with pytest.raises(InvalidArgument, match=r"^invalid JSON: ") as caught:
        decode(raw, place.kind)
    named = [name for name in place.path if name not in ("[]", "{}")]
    assert all(name in caught.value.message for name in named)


@RELAXED
@given(raw=st.binary(max_size=60))
def test_no_bytes_are_the_engines_failure(shared: Served, raw: bytes) -> None:
    with shared.connect() as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert not received or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 2"))
